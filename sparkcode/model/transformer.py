"""The forward pass of a Llama-family decoder: token ids in, logits out.

    embed -> (norm -> attention -> add -> norm -> SwiGLU -> add) for every layer -> norm -> head

Qwen 2 adds a bias to Q, K and V; Llama rotates neighbouring components instead of halves. One
function serves prefill (many tokens), decode (one) and verification of a draft (a few): a step's
tokens are rows of one batch, and the cache holds everything before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.kernels.choice import Backend
from sparkcode.model.ops import (
    Matrix,
    linear,
    rms_norm,
    rope,
    rope_angles,
    swiglu,
)
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import PackedMatrix
from sparkcode.model.weights import ModelConfig

_PRODUCTS = (
    ("attn_q", "attn_k", "attn_v"),
    ("attn_output",),
    ("ffn_gate", "ffn_up"),
    ("ffn_down",),
)
"""A layer's products, in order; each multiplies its matrices by one input."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one block; D hidden, H heads, G key/value heads, S head size, F feed-forward."""

    attn_norm: F32  # [D]
    qkv: Matrix  # [(H + 2 G) * S, D]: queries, keys, values
    qkv_bias: F32 | None  # [(H + 2 G) * S]
    output: Matrix  # [D, H * S]
    ffn_norm: F32  # [D]
    gate_up: Matrix  # [2 F, D]
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
    attention: Callable[[F32, F32, F32], F32]
    """As :func:`sparkcode.model.ops.attention`."""


def load_weights(packed: PackedFile, backend: Backend) -> Weights:
    """Make a packed file's matrices ready to be multiplied by ``backend``.

    Matrices with the same input become one. Raises WeightsError where a tensor fails its checksum.
    """
    config = packed.header.config

    def matrix(names: Sequence[str]) -> Matrix:
        made = backend.matrix([packed.matrix(f"{name}.weight") for name in names])
        if backend.copies:
            packed.forget_pages()  # else the codes stay resident beside their expansion
        return made

    names = (
        ["token_embd" if config.tied_head else "output"],
        *(
            [f"blk.{index}.{part}" for part in parts]
            for index in range(config.num_layers)
            for parts in _PRODUCTS
        ),
    )
    with ThreadPoolExecutor() as pool:
        head, *products = pool.map(matrix, names)
    embedding = packed.matrix("token_embd.weight")
    per_layer = zip(*[iter(products)] * len(_PRODUCTS), strict=True)
    layers = tuple(_layer(packed, index, made) for index, made in enumerate(per_layer))
    norm = packed.vector("output_norm.weight")
    frequencies = inverse_frequencies(config)
    return Weights(config, embedding, layers, norm, head, frequencies, backend.attention)


def _layer(packed: PackedFile, index: int, products: Sequence[Matrix]) -> Layer:
    prefix = f"blk.{index}."
    qkv, output, gate_up, down = products
    bias = None
    if packed.header.config.qkv_bias:
        bias = np.concatenate([packed.vector(f"{prefix}{name}.bias") for name in _PRODUCTS[0]])
    return Layer(
        attn_norm=packed.vector(prefix + "attn_norm.weight"),
        qkv=qkv,
        qkv_bias=bias,
        output=output,
        ffn_norm=packed.vector(prefix + "ffn_norm.weight"),
        gate_up=gate_up,
        down=down,
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
        x = x + _attention_block(x, weights, cache, index, (cos, sin))  # [T, D]
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
    x: F32, weights: Weights, cache: KVCache, index: int, angles: tuple[F32, F32]
) -> F32:
    """x [T, D] -> [T, D]."""
    config, layer = weights.config, weights.layers[index]
    t, s = len(x), config.head_size
    h = rms_norm(x, layer.attn_norm, config.rms_eps)  # [T, D]
    projected = linear(h, layer.qkv, layer.qkv_bias).reshape(t, -1, s)  # [T, H + 2 G, S]
    first_k, first_v = config.num_heads, config.num_heads + config.num_kv_heads
    turned = rope(projected[:, :first_v], *angles, config.rope_style)  # [T, H + G, S]
    q, k, v = turned[:, :first_k], turned[:, first_k:], projected[:, first_v:]
    keys, values = cache.append(index, k, v)  # [G, N, S] each
    return linear(weights.attention(q, keys, values), layer.output)  # [T, H * S] -> [T, D]


def _feed_forward(x: F32, layer: Layer, eps: float) -> F32:
    """x [T, D] -> [T, D]."""
    h = rms_norm(x, layer.ffn_norm, eps)  # [T, D]
    both = linear(h, layer.gate_up)  # [T, 2 F]
    half = both.shape[1] // 2
    return linear(swiglu(both[:, :half], both[:, half:]), layer.down)  # [T, F] -> [T, D]
