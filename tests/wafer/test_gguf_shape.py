from __future__ import annotations

from typing import Any

import pytest

from sparkcode.errors import ConfigError
from sparkcode.wafer.catalogue import DataFile
from sparkcode.wafer.gguf_shape import gguf_table
from sparkcode.wafer.shape import ModelShape, build_shape, load_shape

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.feed_forward_length": 14336,
    "llama.context_length": 131072,
    "tokenizer.ggml.tokens": 128256,
}
EXPERTS: dict[str, Any] = {
    "general.architecture": "qwen3moe",
    "qwen3moe.block_count": 94,
    "qwen3moe.embedding_length": 4096,
    "qwen3moe.attention.head_count": 64,
    "qwen3moe.attention.head_count_kv": [4] * 94,
    "qwen3moe.attention.key_length": 128,
    "qwen3moe.feed_forward_length": 12288,
    "qwen3moe.expert_count": 128,
    "qwen3moe.expert_used_count": 8,
    "qwen3moe.expert_feed_forward_length": 1536,
    "qwen3moe.vocab_size": 151936,
    "qwen3moe.context_length": 262144,
}


def shape(fields: dict[str, Any], *, weight_bytes: float = 2.0, tied: bool = False) -> ModelShape:
    table = gguf_table(fields, where="x.gguf", weight_bytes=weight_bytes, tied_embeddings=tied)
    return build_shape(DataFile("x", "x.gguf", table))


@pytest.mark.parametrize(
    ("fields", "name"), [(LLAMA, "llama-3.1-8b"), (EXPERTS, "qwen3-235b-a22b")]
)
def test_as_the_model_s_own_file(fields: dict[str, Any], name: str) -> None:
    ours, known = shape(fields), load_shape(name)
    assert ours.total_parameters == known.total_parameters
    assert ours.active_parameters == known.active_parameters
    assert ours.kv_bytes_per_token == known.kv_bytes_per_token
    assert ours.context_length == known.context_length


def test_weights_as_they_are_stored() -> None:
    mixed = shape(LLAMA, weight_bytes=0.6)
    assert mixed.weight_bytes == pytest.approx(0.6 * mixed.total_parameters)
    assert mixed.widened
    assert shape(LLAMA, tied=True).total_parameters < mixed.total_parameters


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("general.architecture", "names no 'general.architecture'"),
        ("llama.block_count", "needs 'num_hidden_layers'"),
        ("llama.embedding_length", "needs 'hidden_size'"),
        ("tokenizer.ggml.tokens", "needs 'vocab_size'"),
    ],
)
def test_what_is_missing_is_named(key: str, problem: str) -> None:
    fields = {name: value for name, value in LLAMA.items() if name != key}
    with pytest.raises(ConfigError, match=f"x.gguf: {problem}"):
        shape(fields)


def test_a_family_s_windows_alternate_where_its_header_does_not_say() -> None:
    fields = {
        "general.architecture": "gpt-oss",
        **{
            key.replace("qwen3moe", "gpt-oss"): value
            for key, value in EXPERTS.items()
            if "." in key
        },
        "gpt-oss.attention.sliding_window": 128,
    }
    fields["general.architecture"] = "gpt-oss"
    assert shape(fields).window_layers == 47
    assert shape({**fields, "gpt-oss.attention.sliding_window_pattern": 1}).window_layers == 94


def test_latent_attention() -> None:
    fields = {
        **LLAMA,
        "llama.attention.kv_lora_rank": 512,
        "llama.rope.dimension_count": 64,
        "llama.attention.key_length": 576,
        "llama.attention.value_length_mla": 128,
    }
    found = shape(fields)
    assert (found.q_size, found.kv_size, found.kv_tensors) == (32 * 128, 576, 1)
