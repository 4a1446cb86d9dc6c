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

from typing import Final, Literal

import numpy as np

from sparkcode.model.blocks import BLOCK, F16, F32, ZERO, Blocks, Kind

Rounded = Literal["q5", "q6", "q8"]
"""Kinds that numbers can be rounded to."""

_ENDS: Final[dict[Rounded, tuple[int, int]]] = {"q5": (-16, 15), "q6": (-32, 31), "q8": (-127, 127)}
"""Lowest and highest code, as a signed number."""
_STARTS: Final[dict[Rounded, tuple[int, ...]]] = {"q5": (-16, 15), "q6": (-32, 31), "q8": (-127,)}
"""Codes on which the largest magnitude is put to begin with; the first is plain rounding."""
_TRIES: Final[dict[Rounded, int]] = {"q5": 3, "q6": 3, "q8": 0}
"""Scales that are tried from each start; none is plain rounding, whose errors at 8 bits are small
beside those of the activations."""
_MARGIN = 1e-6
"""What a gain has to exceed for each unit of squared weights: single precision is no finer."""
_CHUNK = 4096
"""Blocks rounded at once: the arrays stay in the processor's cache."""


def round_to(kind: Rounded, values: F32) -> Blocks:
    """Round rows [N, K] to blocks, K a multiple of 32.

    A magnitude too large for a 16-bit scale makes the scale infinite: see ``Blocks.finite``.
    """
    blocks = values.reshape(-1, BLOCK)
    codes = np.empty(blocks.shape, np.uint8)
    scales = np.empty(len(blocks), np.float16)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(blocks), _CHUNK):
            part = slice(first, first + _CHUNK)
            scales[part] = _best_scales(kind, blocks[part])
            nearest = _nearest(kind, blocks[part], scales[part].astype(np.float32))
            nearest += np.float32(ZERO[kind])
            codes[part] = nearest
    return Blocks(kind, codes.reshape(values.shape), scales.reshape(len(values), -1))


def rounded_kind(kind: Kind) -> Rounded:
    """``kind``, or a ValueError where numbers cannot be rounded to it."""
    for known in _ENDS:
        if known == kind:
            return known
    raise ValueError(f"numbers cannot be rounded to {kind!r}")


def _best_scales(kind: Rounded, blocks: F32) -> F16:
    """Blocks [B, 32] -> for each the scale [B] of the try with the least squared error."""
    largest = np.abs(blocks).argmax(axis=1)
    peaks = blocks[np.arange(len(blocks)), largest]  # [B], with their sign
    starts = [(peaks / np.float32(start)).astype(np.float16) for start in _STARTS[kind]]
    best: F16 = starts[0].copy()
    # A block's error is sum(x x) + gain: each turn gets by without looking at x again.
    gains = np.full(len(blocks), np.inf, np.float32)
    margins = np.float32(_MARGIN) * np.einsum("ij,ij->i", blocks, blocks)
    for start in starts:
        scales = start
        for _ in range(_TRIES[kind]):
            steps = scales.astype(np.float32)
            codes = _nearest(kind, blocks, steps)
            products = np.einsum("ij,ij->i", blocks, codes)
            squares = np.einsum("ij,ij->i", codes, codes)
            tried = steps * (steps * squares - 2 * products)
            better = tried < gains - margins
            best[better], gains[better] = scales[better], tried[better]
            fitted = np.divide(products, squares, out=np.zeros_like(products), where=squares > 0)
            scales = fitted.astype(np.float16)
    best[np.isinf(starts[0])] = np.inf
    return best


def _nearest(kind: Rounded, blocks: F32, steps: F32) -> F32:
    """The nearest codes for given scales [B]."""
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps != 0)
    codes: F32 = blocks * inverse[:, None]
    np.rint(codes, out=codes)
    return np.clip(codes, *_ENDS[kind], out=codes)
