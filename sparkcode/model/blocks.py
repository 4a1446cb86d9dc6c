"""Quantised rows: integer codes with one scale for every 32 weights.

``w`` is a weight, ``c`` its unsigned code, ``s`` and ``m`` its block's scale and minimum:

====  ====================  ===================================================================
kind  value                 holds
====  ====================  ===================================================================
q4    ``w = s * c - m``     Q4_0 exactly; Q4_K but for ``s`` and ``m`` rounded to 16 bit
q5    ``w = s * (c - 16)``  Q5_0 exactly
q8    ``w = s * (c - 128)`` Q8_0 exactly; every other type, rounded (a quarter of a Q6_K step)
====  ====================  ===================================================================

The encodings are those of ggml (``ggml/src/ggml-common.h``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

BLOCK = 32
"""Weights that share a scale, along a row."""

Kind = Literal["q4", "q5", "q8"]

EXACT_KINDS: dict[str, Kind] = {"Q4_0": "q4", "Q4_K": "q4", "Q5_0": "q5", "Q8_0": "q8"}
"""GGML types whose own codes are kept."""

_BLOCK_BYTES = {"Q4_0": 18, "Q4_K": 144, "Q5_0": 22, "Q8_0": 34}

_Parts = tuple[U8, F16, F16 | None]  # codes, scales, minima


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some rows of a quantised matrix; the module's table says what the codes mean."""

    kind: Kind
    codes: U8  # [N, K]
    scales: F16  # [N, K/32]
    minima: F16 | None = None  # [N, K/32], q4 only


def round_to_q8(values: F32) -> Blocks:
    """Round rows to 8 bit: per block of 32, the largest magnitude becomes code 1 or 255."""
    blocks = values.reshape(len(values), -1, BLOCK)  # [N, K/32, 32]
    scales = (np.abs(blocks).max(axis=-1) / 127).astype(np.float16)  # [N, K/32]
    steps = scales.astype(np.float32)
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps > 0)
    codes = np.clip(np.rint(blocks * inverse[..., None]), -127, 127) + 128
    return Blocks("q8", codes.astype(np.uint8).reshape(values.shape), scales)


def exact_blocks(encoding: str, rows: U8) -> Blocks:
    """Rows of a GGML type in :data:`EXACT_KINDS`, as the file holds them, to codes and scales."""
    blocks = rows.reshape(len(rows), -1, _BLOCK_BYTES[encoding])  # [N, blocks, bytes]
    match encoding:
        case "Q8_0":
            codes, scales, minima = _q8_0(blocks)
        case "Q5_0":
            codes, scales, minima = _q5_0(blocks)
        case "Q4_0":
            codes, scales, minima = _q4_0(blocks)
        case _:
            codes, scales, minima = _q4_k(blocks)
    n = len(rows)
    minima = None if minima is None else minima.reshape(n, -1)
    return Blocks(EXACT_KINDS[encoding], codes.reshape(n, -1), scales.reshape(n, -1), minima)


def _q8_0(blocks: U8) -> _Parts:
    """34 bytes: a 16-bit scale, 32 signed codes."""
    return blocks[..., 2:] ^ np.uint8(128), _halves(blocks[..., :2]), None


def _q5_0(blocks: U8) -> _Parts:
    """22 bytes: a 16-bit scale, 32 high bits, 32 low nibbles (first half of the block low)."""
    high = np.unpackbits(np.ascontiguousarray(blocks[..., 2:6]), axis=-1, bitorder="little")
    return _nibbles(blocks[..., 6:]) | (high << np.uint8(4)), _halves(blocks[..., :2]), None


def _q4_0(blocks: U8) -> _Parts:
    """18 bytes: a 16-bit scale, 32 nibbles around 8."""
    scales = _halves(blocks[..., :2])
    return _nibbles(blocks[..., 2:]), scales, scales * np.float16(8)


def _q4_k(blocks: U8) -> _Parts:
    """144 bytes: scale of the scales, of the minima, eight 6-bit pairs in 12 bytes, 256 nibbles."""
    low, mid, top = np.split(blocks[..., 4:16], 3, axis=-1)  # [N, K/256, 4] each
    scales = np.concatenate([low & 63, (top & 15) | ((low >> 2) & 48)], axis=-1)  # [N, K/256, 8]
    minima = np.concatenate([mid & 63, (top >> 4) | ((mid >> 2) & 48)], axis=-1)
    d, dmin = (_halves(blocks[..., at : at + 2]).astype(np.float32) for at in (0, 2))
    return (
        _nibbles(blocks[..., 16:].reshape(*blocks.shape[:2], 4, 32)),
        (d[..., None] * scales).astype(np.float16),
        (dmin[..., None] * minima).astype(np.float16),
    )


def _halves(pairs: U8) -> npt.NDArray[np.float16]:
    return np.ascontiguousarray(pairs).view(np.float16)[..., 0]  # [..., 2] -> [...]


def _nibbles(packed: U8) -> U8:
    """Low nibbles of a run of bytes, then its high ones: [..., n] -> [..., 2n]."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)
