"""A model's shape from the header of a GGUF file. Pure.

A header says in keys of its own what a ``config.json`` says; it is put into those words and read as
one (:mod:`sparkcode.wafer.hugging`). How many bytes a weight takes is counted, not named: a file
mixes encodings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparkcode.errors import ConfigError
from sparkcode.wafer.hugging import shape_table

Fields = Mapping[str, Any]

_NAMES: Final[Mapping[str, str]] = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "attention.sliding_window_pattern": "sliding_window_pattern",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.value_length_mla": "qk_nope_head_dim",
    "rope.dimension_count": "qk_rope_head_dim",
    "feed_forward_length": "intermediate_size",
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "expert_shared_count": "n_shared_experts",
    "leading_dense_block_count": "first_k_dense_replace",
}
"""Keys after the architecture's name, in the words of a config.json."""
_TOKENS: Final = "tokenizer.ggml.tokens"


def gguf_table(
    fields: Fields, *, where: str, weight_bytes: float, tied_embeddings: bool
) -> dict[str, Any]:
    """The fields of a :class:`ModelShape`.

    ``fields`` are the header's, arrays by the number of their elements or as they are;
    ``weight_bytes`` is the mean over all weights. ConfigError names a key that is missing.
    """
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str):
        raise ConfigError(f"{where}: names no 'general.architecture': is it a model's GGUF file?")
    config: dict[str, Any] = {"model_type": architecture}
    for key, name in _NAMES.items():
        value = _largest(fields.get(f"{architecture}.{key}"))
        if value is not None:
            config[name] = value
    if "vocab_size" not in config and isinstance(fields.get(_TOKENS), int):
        config["vocab_size"] = fields[_TOKENS]
    table = shape_table(config, where)
    return table | {
        "weight_bytes_per_parameter": weight_bytes,
        "tied_embeddings": tied_embeddings,
    }


def _largest(value: object) -> int | None:
    """Some headers give a number for each layer."""
    if isinstance(value, list):
        numbers = [each for each in value if isinstance(each, int)]
        return max(numbers) if numbers else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
