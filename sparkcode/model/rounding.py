"""Rounding numbers to codes and scales, with the least squared error that a few tries find.

A block of 32 numbers ``x`` becomes codes ``c`` and a scale ``s``. Plain rounding puts the largest
magnitude on the outermost code and rounds the rest. For given codes the squared error of ``s c``
is least at ``s = sum(x c) / sum(c c)``, and for a given scale the nearest codes are best, so taking
turns can only gain (Lloyd's method). Codes reach one further down than up, so the largest magnitude
is tried at either end. Each block keeps the best of all tries, counted with the scale as it is
stored, and plain rounding is among them: no block is worse than with it. At 5 bits the mean squared
error of normally distributed weights falls by a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sparkcode.model.blocks import BLOCK, F16, F32, ZERO, Blocks, Kind

Rounded = Literal["q5", "q6", "q8"]
"""Kinds that numbers can be rounded to."""

_ENDS: Final[dict[Rounded, tuple[int, int]]] = {"q5": (-16, 15), "q6": (-32, 31), "q8": (-127, 127)}
"""Lowest and highest code, as a signed number."""
_STARTS: Final[dict[Rounded, tuple[int, ...]]] = {"q5": (-16, 15), "q6": (-32, 31), "q8": (-127,)}
"""Codes on which the largest magnitude is put to begin with; the first is plain rounding."""
_TURNS: Final[dict[Rounded, int]] = {"q5": 2, "q6": 2, "q8": 1}
_CHUNK = 4096
"""Blocks rounded at once: the arrays stay in the processor's cache."""


def round_to(kind: Rounded, values: F32) -> Blocks:
    """Round rows [N, K] to blocks, K a multiple of 32.

    A magnitude too large for a 16-bit scale makes the scale infinite: see ``Blocks.finite``.
    """
    blocks = values.reshape(-1, BLOCK)
    codes = np.empty(blocks.shape, np.uint8)
    scales = np.empty(len(blocks), np.float16)
    # A scale that overflows stays, and every later try loses against not-a-number.
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(blocks), _CHUNK):
            part = slice(first, first + _CHUNK)
            best = _best(kind, blocks[part])
            codes[part] = (best.codes + np.float32(ZERO[kind])).astype(np.uint8)
            scales[part] = best.scales
    return Blocks(kind, codes.reshape(values.shape), scales.reshape(len(values), -1))


def rounded_kind(kind: Kind) -> Rounded:
    """``kind``, or a ValueError where numbers cannot be rounded to it."""
    for known in _ENDS:
        if known == kind:
            return known
    raise ValueError(f"numbers cannot be rounded to {kind!r}")


@dataclass(slots=True)
class _Try:
    codes: F32  # [B, 32], signed
    scales: F16  # [B]
    errors: F32  # [B], sums of squares

    def take_better(self, other: _Try) -> None:
        better = other.errors < self.errors
        for mine, its in (
            (self.codes, other.codes),
            (self.scales, other.scales),
            (self.errors, other.errors),
        ):
            mine[better] = its[better]


def _best(kind: Rounded, blocks: F32) -> _Try:
    """Blocks [B, 32] -> the best of all tries for each."""
    largest = np.abs(blocks).argmax(axis=1)
    peaks = blocks[np.arange(len(blocks)), largest]  # [B], with their sign
    best: _Try | None = None
    for start in _STARTS[kind]:
        tried = _nearest(kind, blocks, peaks / np.float32(start))
        for turn in range(_TURNS[kind] + 1):
            if turn:
                tried = _nearest(kind, blocks, _fitted(blocks, tried.codes))
            if best is None:
                best = _Try(tried.codes.copy(), tried.scales.copy(), tried.errors.copy())
            else:
                best.take_better(tried)
    assert best is not None
    return best


def _nearest(kind: Rounded, blocks: F32, wanted: F32) -> _Try:
    """The nearest codes for given scales [B], rounded to 16 bits."""
    scales = wanted.astype(np.float16)
    steps = scales.astype(np.float32)
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps != 0)
    codes = blocks * inverse[:, None]
    np.rint(codes, out=codes)
    np.clip(codes, *_ENDS[kind], out=codes)
    off = codes * steps[:, None]
    off -= blocks
    return _Try(codes, scales, np.einsum("ij,ij->i", off, off))


def _fitted(blocks: F32, codes: F32) -> F32:
    """The scale with the least squared error for given codes: [B, 32] twice -> [B]."""
    products: F32 = np.einsum("ij,ij->i", blocks, codes)
    squares: F32 = np.einsum("ij,ij->i", codes, codes)
    return np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
