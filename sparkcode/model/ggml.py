"""GGML's tensor types: what a file's bytes stand for.

The encodings are those of ggml (``ggml/src/ggml-common.h``). A type of :data:`EXACT_KINDS` has
codes and scales that one of our kinds holds as they are; :func:`decode` makes numbers of any type.
Rows come as the file holds them: bytes [N, bytes of a row], or numbers [N, K] for F32 and F16.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sparkcode.model.blocks import F16, F32, U8, Blocks, Kind, Quantised, SuperBlocks

EXACT_KINDS: Final[dict[str, Kind]] = {
    "Q4_0": "q4",
    "Q4_1": "q4",
    "Q4_K": "q4k",
    "Q5_0": "q5",
    "Q8_0": "q8",
}
"""GGML types whose own codes are kept, and the kind that keeps them."""

BLOCK_BYTES: Final[dict[str, int]] = {
    "Q4_0": 18,
    "Q4_1": 20,
    "Q4_K": 144,
    "Q5_0": 22,
    "Q5_1": 24,
    "Q5_K": 176,
    "Q6_K": 210,
    "Q8_0": 34,
}
"""Bytes of one block: of 256 weights for the types that end in K, else of 32."""

READABLE: Final = frozenset({"F32", "F16", "BF16", *BLOCK_BYTES})
"""The types that :func:`decode` knows."""

_Numbers = npt.NDArray[Any]


def exact_blocks(encoding: str, rows: U8) -> Quantised:
    """Rows of a type in :data:`EXACT_KINDS` as codes and scales."""
    blocks = rows.reshape(len(rows), -1, BLOCK_BYTES[encoding])  # [N, blocks, bytes]
    match encoding:
        case "Q8_0":  # a 16-bit scale, 32 signed codes
            codes, scales, minima = blocks[..., 2:] ^ np.uint8(128), _halves(blocks, 0), None
        case "Q5_0":  # a scale, 32 high bits, 32 low nibbles
            codes, scales, minima = _five_bits(blocks[..., 2:]), _halves(blocks, 0), None
        case "Q4_0":  # a scale, 32 nibbles around 8
            codes, scales = _nibbles(blocks[..., 2:]), _halves(blocks, 0)
            minima = scales * np.float16(8)
        case "Q4_1":  # a scale, what is added, 32 nibbles
            codes, scales, minima = (
                _nibbles(blocks[..., 4:]),
                _halves(blocks, 0),
                -_halves(blocks, 2),
            )
        case _:
            return _q4_k(blocks)
    n = len(rows)
    minima = None if minima is None else minima.reshape(n, -1)
    return Blocks(EXACT_KINDS[encoding], codes.reshape(n, -1), scales.reshape(n, -1), minima)


def decode(encoding: str, rows: _Numbers) -> F32:
    """Rows of a type in :data:`READABLE` as numbers [N, K], the same that ggml makes of them."""
    if encoding in EXACT_KINDS:
        return exact_blocks(encoding, rows).values()
    match encoding:
        case "BF16":  # the upper half of a float32
            halves = np.ascontiguousarray(rows).view(np.uint16).astype(np.uint32)
            return (halves << np.uint32(16)).view(np.float32)
        case "F32" | "F16":
            return rows.astype(np.float32)
    blocks = rows.reshape(len(rows), -1, BLOCK_BYTES[encoding])
    match encoding:
        case "Q5_1":
            values = _q5_1(blocks)
        case "Q5_K":
            values = _q5_k(blocks)
        case _:
            values = _q6_k(blocks)
    return values.reshape(len(rows), -1)


def _q4_k(blocks: U8) -> SuperBlocks:
    """144 bytes: scale of the scales, of the minima, eight 6-bit pairs in 12 bytes, 256 nibbles."""
    n = len(blocks)
    codes = _nibbles(blocks[..., 16:].reshape(n, -1, 4, 32))
    scales, minima = _six_bit_pairs(blocks[..., 4:16])
    return SuperBlocks(
        codes.reshape(n, -1),
        scales.reshape(n, -1),
        minima.reshape(n, -1),
        _halves(blocks, 0),
        _halves(blocks, 2),
    )


def _q5_1(blocks: U8) -> F32:
    """24 bytes: a scale, what is added, 32 high bits, 32 low nibbles."""
    scale, added = (_halves(blocks, at).astype(np.float32)[..., None] for at in (0, 2))
    values: F32 = _five_bits(blocks[..., 4:]) * scale + added
    return values


def _q5_k(blocks: U8) -> F32:
    """176 bytes: as Q4_K, with 32 bytes of high bits before the nibbles: bit b for block b."""
    scales, minima = _six_bit_pairs(blocks[..., 4:16])
    d, dmin = (_halves(blocks, at).astype(np.float32)[..., None] for at in (0, 2))
    low = _nibbles(blocks[..., 48:].reshape(*blocks.shape[:2], 4, 32)).reshape(
        *blocks.shape[:2], 8, 32
    )
    bits = np.arange(8, dtype=np.uint8)[:, None]
    codes = low | (((blocks[..., None, 16:48] >> bits) & np.uint8(1)) << np.uint8(4))
    values: F32 = codes * (d * scales)[..., None] - (dmin * minima)[..., None]
    return values


def _q6_k(blocks: U8) -> F32:
    """210 bytes: 256 low nibbles, 256 pairs of high bits, 16 signed scales, their scale.

    A half of 128 weights has 64 bytes of nibbles (the low ones first) and 32 bytes of pairs (bits
    0-1 for its first 32 weights, and so on). A scale serves 16 weights.
    """
    n, count = blocks.shape[:2]
    low = _nibbles(blocks[..., :128].reshape(n, count, 2, 64)).reshape(n, count, 2, 4, 32)
    shifts = np.arange(0, 8, 2, dtype=np.uint8)[:, None]
    pairs = (blocks[..., 128:192].reshape(n, count, 2, 1, 32) >> shifts) & np.uint8(3)
    codes = (low | (pairs << np.uint8(4))) - np.uint8(32)  # wraps around, as it should
    scales = np.ascontiguousarray(blocks[..., 192:208]).view(np.int8)
    steps = _halves(blocks, 208).astype(np.float32)[..., None] * scales  # [N, blocks, 16]
    values: F32 = codes.view(np.int8).reshape(n, count, 16, 16) * steps[..., None]
    return values


def _six_bit_pairs(packed: U8) -> tuple[U8, U8]:
    """Scales and minima of a K block: [..., 12] -> two of [..., 8]."""
    low, mid, top = np.split(packed, 3, axis=-1)  # [..., 4] each
    scales = np.concatenate([low & 63, (top & 15) | ((low >> 2) & 48)], axis=-1)
    minima = np.concatenate([mid & 63, (top >> 4) | ((mid >> 2) & 48)], axis=-1)
    return scales, minima


def _halves(blocks: U8, at: int) -> F16:
    """The 16-bit float at a byte of every block: [..., bytes] -> [...]."""
    return np.ascontiguousarray(blocks[..., at : at + 2]).view(np.float16)[..., 0]


def _nibbles(packed: U8) -> U8:
    """Low nibbles of a run of bytes, then its high ones: [..., n] -> [..., 2n]."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _five_bits(packed: U8) -> U8:
    """4 bytes of high bits, 16 of nibbles: [..., 20] -> [..., 32]."""
    high = np.unpackbits(np.ascontiguousarray(packed[..., :4]), axis=-1, bitorder="little")
    return _nibbles(packed[..., 4:]) | (high << np.uint8(4))
