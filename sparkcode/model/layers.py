"""The layers, one operation after another, on matrices that know how to multiply themselves.

This is the readable form of the arithmetic, and the reference for any other runner. With
:class:`~sparkcode.model.ops.DenseMatrix` it needs nothing but NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from sparkcode.model.blocks import F32
from sparkcode.model.ops import Matrix, linear, rms_norm, rope, rope_angles, swiglu
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import PackedMatrix
from sparkcode.model.transformer import Segment
from sparkcode.model.weights import ModelConfig

PRODUCTS = (
    ("attn_q", "attn_k", "attn_v"),
    ("attn_output",),
    ("ffn_gate", "ffn_up"),
    ("ffn_down",),
)
"""A layer's products, in order; each multiplies its matrices by one input."""

Attention = Callable[[F32, F32, F32], F32]
"""As :func:`sparkcode.model.ops.attention`."""


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


class LayerRunner:
    """Runs a packed file's layers; see :class:`sparkcode.model.transformer.Runner`."""

    exact = False
    """BLAS and NumPy add in an order that depends on the number of rows."""

    def __init__(
        self,
        packed: PackedFile,
        make: Callable[[Sequence[PackedMatrix]], Matrix],
        *,
        attention: Attention,
        copies: bool = False,
    ) -> None:
        """``make`` puts matrices [n, K] below one another as one [N, K].

        ``copies`` says that it keeps nothing of the packed records. Raises WeightsError where a
        tensor fails its checksum.
        """
        config = packed.header.config

        def matrix(names: Sequence[str]) -> Matrix:
            made = make([packed.matrix(f"{name}.weight") for name in names])
            if copies:
                packed.forget_pages()  # else the codes stay resident beside their expansion
            return made

        names = (
            ["token_embd" if config.tied_head else "output"],
            *(
                [f"blk.{index}.{part}" for part in parts]
                for index in range(config.num_layers)
                for parts in PRODUCTS
            ),
        )
        with ThreadPoolExecutor() as pool:
            self._head, *products = pool.map(matrix, names)
        per_layer = zip(*[iter(products)] * len(PRODUCTS), strict=True)
        self._layers = tuple(_layer(packed, index, made) for index, made in enumerate(per_layer))
        self._output_norm = packed.vector("output_norm.weight")  # [D]
        self._frequencies = inverse_frequencies(config)
        self._config, self._attention = config, attention

    def run(self, x: F32, segments: Sequence[Segment], picked: Sequence[int]) -> F32:
        angles = [
            rope_angles(
                len(segment.cache),
                len(segment.tokens),
                self._frequencies,
                self._config.rope_scale,
            )
            for segment in segments
        ]
        cos, sin = (np.concatenate(part) for part in zip(*angles, strict=True))  # [R, S/2] each
        for index, layer in enumerate(self._layers):
            x = x + self._attend(x, index, segments, (cos, sin))  # [R, D]
            x = x + _feed_forward(x, layer, self._config.rms_eps)  # [R, D]
        if not picked:
            return np.empty((0, self._config.vocab_size), np.float32)
        last = rms_norm(x[list(picked)], self._output_norm, self._config.rms_eps)
        return linear(last, self._head)  # [len(picked), V]

    def _attend(
        self, x: F32, index: int, segments: Sequence[Segment], angles: tuple[F32, F32]
    ) -> F32:
        """x [R, D] -> [R, D]."""
        config, layer = self._config, self._layers[index]
        h = rms_norm(x, layer.attn_norm, config.rms_eps)  # [R, D]
        projected = linear(h, layer.qkv, layer.qkv_bias)  # [R, (H + 2 G) * S]
        projected = projected.reshape(len(x), -1, config.head_size)
        first_k, first_v = config.num_heads, config.num_heads + config.num_kv_heads
        turned = rope(projected[:, :first_v], *angles, config.rope_style)  # [R, H + G, S]
        attended, first = [], 0
        for segment in segments:
            cache, count = segment.cache, len(segment.tokens)
            rows = slice(first, first + count)
            cache.write(index, turned[rows, first_k:], projected[rows, first_v:])
            keys, values = cache.read(index, len(cache) + count)  # [G, N, S] each
            attended.append(self._attention(turned[rows, :first_k], keys, values))
            first += count
        return linear(np.concatenate(attended), layer.output)  # [R, H * S] -> [R, D]


def _layer(packed: PackedFile, index: int, products: Sequence[Matrix]) -> Layer:
    prefix = f"blk.{index}."
    qkv, output, gate_up, down = products
    bias = None
    if packed.header.config.qkv_bias:
        bias = np.concatenate([packed.vector(f"{prefix}{name}.bias") for name in PRODUCTS[0]])
    return Layer(
        attn_norm=packed.vector(prefix + "attn_norm.weight"),
        qkv=qkv,
        qkv_bias=bias,
        output=output,
        ffn_norm=packed.vector(prefix + "ffn_norm.weight"),
        gate_up=gate_up,
        down=down,
    )


def _feed_forward(x: F32, layer: Layer, eps: float) -> F32:
    """x [R, D] -> [R, D]."""
    h = rms_norm(x, layer.ffn_norm, eps)  # [R, D]
    both = linear(h, layer.gate_up)  # [R, 2 F]
    half = both.shape[1] // 2
    return linear(swiglu(both[:, :half], both[:, half:]), layer.down)  # [R, F] -> [R, D]


def inverse_frequencies(config: ModelConfig) -> F32:
    """Rotation of each pair of components, in radians a position: [S/2]."""
    exponents = np.arange(0, config.head_size, 2) / config.head_size
    frequencies = config.rope_base**-exponents
    if config.rope_factors:
        frequencies = frequencies / np.asarray(config.rope_factors)
    return frequencies.astype(np.float32)
