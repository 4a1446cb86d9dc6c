"""A model's shape from the ``config.json`` that is published with its weights. Pure.

The files of different families name the same things differently, and leave out what their code
takes for granted. What is read here: dense and expert layers and which layers have which, grouped
and latent attention, sliding windows, tied embeddings, the precision in which weights are stored,
and whether there are layers that predict more than one token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparkcode.errors import ConfigError

Config = Mapping[str, Any]

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "num_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head"),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim"),
    "vocab_size": ("vocab_size",),
    "context_length": ("max_position_embeddings", "n_positions", "seq_length"),
    "num_experts": ("num_experts", "num_local_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok", "experts_per_token", "moe_topk"),
    "expert_intermediate_size": ("moe_intermediate_size", "expert_intermediate_size"),
}
"""Our name to those of published files, the commonest first."""

_BYTES: Final = {"bfloat16": 2.0, "float16": 2.0, "float32": 4.0, "float8_e4m3fn": 1.0}
_QUANTISED: Final = {"fp8": 1.0, "fbgemm_fp8": 1.0}
_EXPERTS_ONLY: Final = {"mxfp4": 0.53, "nvfp4": 0.5625}
"""Methods that leave everything but the experts at 16 bits: 4 bits and a scale for 32 or 16."""
_PATTERNS: Final = {"gemma2": 2, "gpt_oss": 2, "gpt-oss": 2, "cohere2": 4, "gemma3": 6}
"""Families of which one layer in so many sees everything, where their files do not say so."""
_CHUNKED: Final = 4
"""One layer in so many of Llama 4 sees more than its chunk."""
_UNGATED: Final = frozenset(
    {"gptj", "gpt2", "gpt_neox", "falcon", "bloom", "opt", "phi", "starcoder2"}
)
MAX_LAYERS: Final = 10_000
_FOUR_BITS: Final = 0.55
"""Bytes of a 4-bit weight with its share of a scale."""


def shape_table(config: Config, where: str) -> dict[str, Any]:
    """The fields of a :class:`ModelShape`; ConfigError names a key that is missing."""
    config = _text_part(config)
    layers = _needed(config, "num_layers", where)
    if layers > MAX_LAYERS:
        raise ConfigError(f"{where}: {layers} layers; expected at most {MAX_LAYERS}")
    hidden = _needed(config, "hidden_size", where)
    heads = _needed(config, "heads", where)
    table: dict[str, Any] = {
        "source": where,
        "num_layers": layers,
        "hidden_size": hidden,
        "vocab_size": _needed(config, "vocab_size", where),
        "context_length": _needed(config, "context_length", where),
        "tied_embeddings": bool(config.get("tie_word_embeddings", False)),
        **_stored(config),
        "draft": "head" if config.get("num_nextn_predict_layers") else "none",
        **_attention(config, hidden, heads),
        **_blocks(config, layers, where),
    }
    return table | _window(config, layers)


def _stored(config: Config) -> dict[str, Any]:
    """How weights are stored, and whether they are multiplied in 8 bits."""
    quantised = config.get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
    if method in _EXPERTS_ONLY and _found(config, "num_experts"):
        return {"expert_bytes_per_parameter": _EXPERTS_ONLY[str(method)]}
    bits = 8 if method in _QUANTISED else 16
    return {"weight_bytes_per_parameter": weight_bytes(config), "activation_bits": bits}


def weight_bytes(config: Config) -> float:
    """Bytes of a stored parameter."""
    quantised = config.get("quantization_config")
    if isinstance(quantised, Mapping):
        method = quantised.get("quant_method")
        if method in _QUANTISED:
            return _QUANTISED[str(method)]
        if method in _EXPERTS_ONLY:
            return _EXPERTS_ONLY[str(method)]
        bits = quantised.get("bits") or quantised.get("weight_bits")
        if isinstance(bits, int):
            return _FOUR_BITS if bits == 4 else bits / 8
        if quantised.get("load_in_4bit"):
            return _FOUR_BITS
    return _BYTES.get(str(config.get("torch_dtype") or config.get("dtype")), 2.0)


def _text_part(config: Config) -> Config:
    """Of a model that also sees, the part that reads and writes."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping) or _found(config, "num_layers") is not None:
        return config
    outer = {key: config[key] for key in ("quantization_config", "torch_dtype") if key in config}
    return {**outer, **inner}


def _attention(config: Config, hidden: int, heads: int) -> dict[str, int]:
    latent = _whole(config, "kv_lora_rank")
    if latent:
        plain = _whole(config, "qk_nope_head_dim") or hidden // heads
        size = latent + _whole(config, "qk_rope_head_dim")
        return {"q_size": heads * plain, "kv_size": size, "kv_tensors": 1}
    head = _whole(config, "head_dim") or hidden // heads
    groups = _whole(config, "num_key_value_heads") or _whole(config, "num_kv_heads") or heads
    return {"q_size": heads * head, "kv_size": groups * head}


def _blocks(config: Config, layers: int, where: str) -> dict[str, Any]:
    dense = _found(config, "intermediate_size")
    experts = _found(config, "num_experts")
    if not experts or experts == 1:
        return _dense(config, where)
    size = _found(config, "expert_intermediate_size") or dense
    if size is None:
        raise _missing("expert_intermediate_size", where)
    sparse = _sparse_layers(config, layers)
    shared = _whole(config, "shared_expert_intermediate_size")
    shared = shared or _whole(config, "n_shared_experts") * size
    if apart := _whole(config, "intermediate_size_mlp"):
        # Llama 4: its other key is that of the experts, one of which every token passes.
        dense, shared = apart, size
    return {
        "num_experts": experts,
        "experts_per_token": _needed(config, "experts_per_token", where),
        "expert_intermediate_size": size,
        "shared_intermediate_size": shared,
        "moe_fraction": sparse / layers,
        "intermediate_size": 0 if sparse == layers else dense or 0,
    }


def _dense(config: Config, where: str) -> dict[str, Any]:
    if config.get("model_type") not in _UNGATED:
        return {"intermediate_size": _needed(config, "intermediate_size", where)}
    said = _found(config, "intermediate_size") or _whole(config, "ffn_hidden_size")
    return {
        "intermediate_size": said or 4 * _needed(config, "hidden_size", where),
        "gated": False,
    }


def _sparse_layers(config: Config, layers: int) -> int:
    """Layers with experts."""
    listed = config.get("mlp_only_layers")
    dense = [at for at in listed if isinstance(at, int)] if isinstance(listed, list) else []
    first = _whole(config, "first_k_dense_replace")
    step = _whole(config, "decoder_sparse_step") or _whole(config, "interleave_moe_layer_step") or 1
    sparse = (at for at in range(first, layers) if (at + 1) % step == 0 and at not in dense)
    return max(1, sum(1 for _ in sparse))


def _window(config: Config, layers: int) -> dict[str, int]:
    window, chunk = _whole(config, "sliding_window"), _whole(config, "attention_chunk_size")
    if not (window or chunk) or config.get("use_sliding_window") is False:
        return {}
    kinds, pattern = config.get("layer_types"), config.get("sliding_window_pattern")
    if pattern is None:
        family = str(config.get("model_type")).removesuffix("_text")
        pattern = _PATTERNS.get(family, 1) if window else _CHUNKED
    window = window or chunk
    count = layers
    if isinstance(kinds, list):
        narrow = ("sliding_attention", "chunked_attention")
        count = sum(kind in narrow for kind in kinds[:layers])
    elif isinstance(pattern, int) and pattern > 1:
        # One layer in so many sees everything.
        count = layers - layers // pattern
    return {"window": window, "window_layers": count} if count else {}


def _whole(config: Config, key: str) -> int:
    """A number above 0, or 0 for anything else."""
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _found(config: Config, name: str) -> int | None:
    for key in _NAMES[name]:
        value = config.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _needed(config: Config, name: str, where: str) -> int:
    value = _found(config, name)
    if value is None or value < 1:
        raise _missing(name, where)
    return value


def _missing(name: str, where: str) -> ConfigError:
    keys = " or ".join(repr(key) for key in _NAMES[name])
    return ConfigError(f"{where}: needs {keys}, a whole number above 0: is it a model's config?")
