"""The transformer's operations: pure functions on float32 arrays.

Shapes use the field's letters: T rows (tokens of one step), N positions that are attended to,
D hidden size, H query heads, G key/value heads, S head size.

Every matrix product with weights goes through :func:`linear`. A :class:`Matrix` says how it is
multiplied: :mod:`sparkcode.model.kernels.choice` chooses between :class:`DenseMatrix` and kernels
that work on packed codes. NumPy's BLAS does the dense products and those of attention with as many
threads as it finds processors, and two variables in the environment of the process change that:

* ``OPENBLAS_NUM_THREADS`` sets the number. One is best on a machine that is busy otherwise.
* ``OPENBLAS_THREAD_TIMEOUT=4`` lets idle threads sleep at once instead of spinning. A step has
  about 170 products, and each waits for every thread: where other programs compete for the
  processors, spinning threads lose their turn and decoding becomes several times slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from sparkcode.model.blocks import F32

_SCORE_ELEMENTS = 1 << 22
"""Attention scores held at once (16 MiB): long contexts are attended to a few rows at a time."""

_FEW_ROWS = 3


class Matrix(Protocol):
    """Weights [N, K] that know how to multiply."""

    def times(self, x: F32) -> F32:
        """x [T, K] -> [T, N]."""
        ...


@dataclass(frozen=True, slots=True)
class DenseMatrix:
    """Weights as float32, multiplied by BLAS.

    BLAS copies the whole matrix before it multiplies several rows, which costs as much as three
    products with one row. So a few rows are multiplied one by one.
    """

    values: F32  # [N, K]

    def times(self, x: F32) -> F32:
        if len(x) <= _FEW_ROWS:
            rows: list[F32] = [self.values @ row for row in x]  # T of [N, K] @ [K]
            return np.stack(rows)  # [T, N]
        y: F32 = x @ self.values.T  # [T, K] @ [K, N] -> [T, N]
        return y


def linear(x: F32, w: Matrix, bias: F32 | None = None) -> F32:
    """x [T, K], w [N, K], bias [N] -> [T, N]."""
    y = w.times(x)  # [T, N]
    return y if bias is None else y + bias


def rms_norm(x: F32, weight: F32, eps: float) -> F32:
    """Scale each row to a root mean square of one, then by ``weight``: [T, D] -> [T, D]."""
    mean_square = np.square(x).mean(axis=-1, keepdims=True)  # [T, 1]
    y: F32 = x / np.sqrt(mean_square + np.float32(eps)) * weight
    return y


def softmax(x: F32) -> F32:
    """Along the last axis: [..., N] -> [..., N]. Minus infinity becomes zero."""
    e: F32 = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def swiglu(gate: F32, up: F32) -> F32:
    """silu(gate) * up: [T, F], [T, F] -> [T, F].

    The logistic function is written as a hyperbolic tangent, which cannot overflow.
    """
    half = gate * np.float32(0.5)
    y: F32 = (half + half * np.tanh(half)) * up
    return y


def rope_angles(
    first: int, count: int, inverse_frequencies: F32, scale: float = 1.0
) -> tuple[F32, F32]:
    """Cosine and sine of the rotation at positions ``first`` ...: [T, S/2] each.

    Angles are computed in double precision: at position 30,000 a float32 angle is off by 0.002.
    """
    positions = np.arange(first, first + count) / scale  # [T]
    angles = np.outer(positions, inverse_frequencies.astype(np.float64))  # [T, S/2]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rope(x: F32, cos: F32, sin: F32, style: Literal["neox", "normal"]) -> F32:
    """Rotate pairs of components by their position: x [T, H, S], cos and sin [T, S/2]."""
    half = x.shape[-1] // 2
    if style == "neox":
        first, second = slice(None, half), slice(half, None)
    else:
        first, second = slice(0, None, 2), slice(1, None, 2)
    a, b = x[..., first], x[..., second]  # [T, H, S/2]
    cos, sin = cos[:, None, :], sin[:, None, :]  # [T, 1, S/2]
    y = np.empty_like(x)
    y[..., first] = a * cos - b * sin
    y[..., second] = b * cos + a * sin
    return y


def attention(q: F32, keys: F32, values: F32) -> F32:
    """Causal grouped-query attention: q [T, H, S], keys and values [G, N, S] -> [T, H * S].

    The last row of ``q`` stands at position N - 1; each row sees its own position and those
    before. Head h reads key/value head h // (H / G).
    """
    t, h, s = q.shape
    g, n, _ = keys.shape
    grouped = q.reshape(t, g, h // g, s).transpose(1, 2, 0, 3)  # [G, H/G, T, S]
    grouped = grouped * np.float32(s**-0.5)
    out = np.empty((t, h, s), np.float32)
    rows = max(1, _SCORE_ELEMENTS // (h * n))
    for first in range(0, t, rows):
        last = min(first + rows, t)
        part = _attend(grouped[:, :, first:last], keys, values, n - t + first)  # [G, H/G, R, S]
        out[first:last] = part.transpose(2, 0, 1, 3).reshape(last - first, h, s)
    return out.reshape(t, h * s)


def _attend(q: F32, keys: F32, values: F32, position: int) -> F32:
    """q [G, M, R, S] whose first row stands at ``position`` -> [G, M, R, S]."""
    g, m, r, s = q.shape
    n = position + r  # later positions are masked for every row
    scores = q.reshape(g, m * r, s) @ keys[:, :n].transpose(0, 2, 1)  # [G, M * R, n]
    scores = scores.reshape(g, m, r, n)
    if r > 1:
        future = np.triu(np.ones((r, r), np.bool_), 1)  # [R, R]
        scores[..., position:][..., future] = -np.inf
    weights = softmax(scores).reshape(g, m * r, n)
    return (weights @ values[:, :n]).reshape(g, m, r, s)
