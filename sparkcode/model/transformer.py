"""The forward pass of a Llama-family decoder: token ids in, logits out.

    embed -> (norm -> attention -> add -> norm -> SwiGLU -> add) for every layer -> norm -> head

Qwen 2 adds a bias to Q, K and V; Llama rotates neighbouring components instead of halves. One
function serves prefill (many tokens), decode (one) and verification of a draft (a few): a step's
tokens are rows of one batch, and the cache holds everything before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.ops import (
    DenseMatrix,
    Matrix,
    attention,
    linear,
    rms_norm,
    rope,
    rope_angles,
    swiglu,
)
from sparkcode.model.packed import PackedFile, PackedMatrix
from sparkcode.model.weights import ModelConfig


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one block; D hidden, H heads, G key/value heads, S head size, F feed-forward."""

    attn_norm: F32  # [D]
    q: Matrix  # [H * S, D]
    k: Matrix  # [G * S, D]
    v: Matrix  # [G * S, D]
    q_bias: F32 | None  # [H * S]
    k_bias: F32 | None  # [G * S]
    v_bias: F32 | None  # [G * S]
    output: Matrix  # [D, H * S]
    ffn_norm: F32  # [D]
    gate: Matrix  # [F, D]
    up: Matrix  # [F, D]
    down: Matrix  # [D, F]


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole model, ready to run."""

    config: ModelConfig
    embedding: PackedMatrix  # [V, D], read by rows
    layers: tuple[Layer, ...]
    output_norm: F32  # [D]
    head: Matrix  # [V, D]
    inverse_frequencies: F32  # [S/2], radians a position


def load_weights(packed: PackedFile) -> Weights:
    """Expand a packed file's matrices for NumPy: 4 bytes a weight, the embedding excepted.

    Raises WeightsError where a tensor fails its checksum.
    """
    config = packed.header.config
    matrices = [name for name, entry in packed.header.tensors.items() if entry.kind != "f32"]
    head_name = "token_embd.weight" if config.tied_head else "output.weight"
    dense_names = [name for name in matrices if name in (head_name,) or name.startswith("blk.")]

    def expand(name: str) -> DenseMatrix:
        dense = DenseMatrix(packed.matrix(name).dense())
        packed.forget_pages()  # else the codes stay resident beside their expansion
        return dense

    with ThreadPoolExecutor() as pool:
        dense = dict(zip(dense_names, pool.map(expand, dense_names), strict=True))
    embedding = packed.matrix("token_embd.weight")
    layers = tuple(_layer(packed, dense, index) for index in range(config.num_layers))
    norm = packed.vector("output_norm.weight")
    return Weights(config, embedding, layers, norm, dense[head_name], inverse_frequencies(config))


def _layer(packed: PackedFile, dense: dict[str, DenseMatrix], index: int) -> Layer:
    prefix = f"blk.{index}."

    def bias(name: str) -> F32 | None:
        return packed.vector(f"{prefix}{name}.bias") if packed.header.config.qkv_bias else None

    return Layer(
        attn_norm=packed.vector(prefix + "attn_norm.weight"),
        q=dense[prefix + "attn_q.weight"],
        k=dense[prefix + "attn_k.weight"],
        v=dense[prefix + "attn_v.weight"],
        q_bias=bias("attn_q"),
        k_bias=bias("attn_k"),
        v_bias=bias("attn_v"),
        output=dense[prefix + "attn_output.weight"],
        ffn_norm=packed.vector(prefix + "ffn_norm.weight"),
        gate=dense[prefix + "ffn_gate.weight"],
        up=dense[prefix + "ffn_up.weight"],
        down=dense[prefix + "ffn_down.weight"],
    )


def inverse_frequencies(config: ModelConfig) -> F32:
    """Rotation of each pair of components, in radians a position: [S/2]."""
    exponents = np.arange(0, config.head_size, 2) / config.head_size
    frequencies = config.rope_base**-exponents
    if config.rope_factors:
        frequencies = frequencies / np.asarray(config.rope_factors)
    return frequencies.astype(np.float32)


def forward(
    tokens: Sequence[int],
    weights: Weights,
    cache: KVCache,
    *,
    logits: Literal["last", "all"] = "last",
) -> F32:
    """Evaluate ``tokens`` after those in ``cache``, and add them to it.

    Returns logits [1, V], or [T, V] for ``all``: row t scores the token that follows
    ``tokens[t]``. Raises EngineError, code ``context_length_exceeded``, when the tokens do not
    fit, and ValueError for an empty step or an id outside the vocabulary.
    """
    config = weights.config
    _check_step(tokens, config, cache)
    x = weights.embedding.rows(tokens)  # [T, D]
    cos, sin = rope_angles(
        len(cache), len(tokens), weights.inverse_frequencies, config.rope_scale
    )  # [T, S/2] each
    for index, layer in enumerate(weights.layers):
        x = x + _attention_block(x, layer, cache, index, (cos, sin), config)  # [T, D]
        x = x + _feed_forward(x, layer, config.rms_eps)  # [T, D]
    if logits == "last":
        x = x[-1:]  # [1, D]
    scores = linear(rms_norm(x, weights.output_norm, config.rms_eps), weights.head)  # [1|T, V]
    cache.commit(tokens, scores[-1])
    return scores


def _check_step(tokens: Sequence[int], config: ModelConfig, cache: KVCache) -> None:
    if not tokens:
        raise ValueError("a step needs at least one token")
    if min(tokens) < 0 or max(tokens) >= config.vocab_size:
        raise ValueError(f"token ids have to lie within 0 to {config.vocab_size - 1}")
    length = len(cache) + len(tokens)
    if length > config.context_length:
        raise EngineError(
            f"{length} tokens do not fit: the model's context holds {config.context_length}",
            code="context_length_exceeded",
        )
    cache.reserve(length)


def _attention_block(
    x: F32,
    layer: Layer,
    cache: KVCache,
    index: int,
    angles: tuple[F32, F32],
    config: ModelConfig,
) -> F32:
    """x [T, D] -> [T, D]."""
    t, s = len(x), config.head_size
    h = rms_norm(x, layer.attn_norm, config.rms_eps)  # [T, D]
    q = linear(h, layer.q, layer.q_bias).reshape(t, config.num_heads, s)  # [T, H, S]
    k = linear(h, layer.k, layer.k_bias).reshape(t, config.num_kv_heads, s)  # [T, G, S]
    v = linear(h, layer.v, layer.v_bias).reshape(t, config.num_kv_heads, s)  # [T, G, S]
    q = rope(q, *angles, config.rope_style)
    k = rope(k, *angles, config.rope_style)
    keys, values = cache.append(index, k, v)  # [G, N, S] each
    return linear(attention(q, keys, values), layer.output)  # [T, H * S] -> [T, D]


def _feed_forward(x: F32, layer: Layer, eps: float) -> F32:
    """x [T, D] -> [T, D]."""
    h = rms_norm(x, layer.ffn_norm, eps)  # [T, D]
    return linear(
        swiglu(linear(h, layer.gate), linear(h, layer.up)), layer.down
    )  # [T, F] -> [T, D]
