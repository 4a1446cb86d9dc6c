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
