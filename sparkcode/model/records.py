"""Records: a matrix laid out the way a kernel streams it.

A matrix is a sequence of **records**, one for each group of 16 rows and pair of 32-weight blocks
(``q4k``: eight blocks), all of a group's records along the row before the next group's. A record
has first the scales, ``[blocks][16]``, then the minima where the kind has
them, then the codes. A code vector of 64 bytes holds 16 rows x 4 weights, so a kernel that adds
products of four neighbours (``vpdpbusd``) needs no horizontal sum and reads one sequential stream.
Vector ``j`` of a block covers its weights ``4 j`` to ``4 j + 3``.

====  ============  ===========================================================================
kind  record bytes  codes of one record
====  ============  ===========================================================================
q4    640           ``[2][4][64]`` nibbles: vector ``2 i`` low, vector ``2 i + 1`` high
q4k   2368          ``[8][4][64]`` nibbles as q4; before them ``d[16]``, ``dmin[16]``, then scales
                    and minima ``[8][16]`` of one byte each
q5    704           the upper four bits as q4, then ``[2][8][8]`` bytes of lowest bits, one bit
                    a weight, in the order of the vector's bytes, least significant first
q6    832           the lower four bits as q4, then ``[2][2][64]`` bytes of the upper two: line
                    ``i`` holds those of vectors ``4 i`` to ``4 i + 3``, lowest bits first
q8    1088          ``[2][8][64]`` bytes
====  ============  ===========================================================================

Scales, minima and the factors ``d`` and ``dmin`` are 16-bit floats unless said otherwise. Rows are
padded to 16 with scale zero, columns to 64 (rows of q4k are whole records). Every record begins on
a 64-byte boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sparkcode.model.blocks import BLOCK, F32, U8, ZERO, Kind, Quantised, SuperBlocks

RECORD_BYTES: Final[dict[Kind, int]] = {"q4": 640, "q4k": 2368, "q5": 704, "q6": 832, "q8": 1088}
BLOCKS: Final[dict[Kind, int]] = {"q4": 2, "q4k": 8, "q5": 2, "q6": 2, "q8": 2}
"""Blocks of 32 weights in each row of a record."""
ROWS: Final = 16
"""Rows that one record covers."""
COLUMNS: Final = 2 * BLOCK
"""Activations are padded to a multiple of this. Rows of q4k are multiples of 256 already."""

_CODES_AT: Final[dict[Kind, int]] = {"q4": 128, "q4k": 320, "q5": 64, "q6": 64, "q8": 64}
_DENSE_RECORDS = 256
"""Records expanded at once: keeps the intermediate arrays in the processor's cache."""


def record_grid(kind: Kind, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Shape of the records of a matrix [N, K]: groups of rows, records along K, bytes."""
    rows, columns = shape
    return -(-rows // ROWS), -(-columns // (BLOCKS[kind] * BLOCK)), RECORD_BYTES[kind]


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix [N, K] as records; the memory is that of the mapped file."""

    kind: Kind
    shape: tuple[int, int]
    records: U8  # record_grid(kind, shape)

    def dense(self) -> F32:
        """The whole matrix as float32 [N, K]."""
        groups, along, _ = self.records.shape
        blocks = along * BLOCKS[self.kind]
        values = np.empty((groups * ROWS, blocks * BLOCK), np.float32)
        step = max(1, _DENSE_RECORDS // along)
        for first in range(0, groups, step):
            records = self.records[first : first + step]
            out = values[first * ROWS : (first + len(records)) * ROWS]
            codes = _code_vectors(records, self.kind)  # [G, P, B, 8, 64]
            # Four neighbours move as one 32-bit word: [G, P, B, 8, 16] -> [G, 16, P, B, 8].
            words = codes.view(np.uint32).transpose(0, 4, 1, 2, 3)
            rows = np.ascontiguousarray(words).view(np.uint8).reshape(-1, blocks, BLOCK)
            _scale(rows, *_scales(records, self.kind), self.kind, out.reshape(rows.shape))
        return values[: self.shape[0], : self.shape[1]]

    def rows(self, ids: Sequence[int]) -> F32:
        """Some rows as float32: ids [T] -> [T, K]."""
        group, lane = np.divmod(np.asarray(ids, dtype=np.int64), ROWS)
        records = self.records[group]  # [T, P, bytes]
        count = len(records)
        codes = _code_vectors(records, self.kind).reshape(count, -1, ROWS, 4)  # [T, P B 8, 16, 4]
        mine = codes[np.arange(count), :, lane].reshape(count, -1, BLOCK)  # [T, P B, 32]
        scales, minima = _scales(records, self.kind)  # [16 T, P B]
        own = np.arange(count) * ROWS + lane
        out = np.empty(mine.shape, np.float32)
        _scale(mine, scales[own], None if minima is None else minima[own], self.kind, out)
        return out.reshape(count, -1)[:, : self.shape[1]]


def pack_records(blocks: Quantised) -> U8:
    """Lay rows out as records: [N, K] codes -> ``record_grid``, rounded up."""
    kind = blocks.kind
    n, k = blocks.codes.shape
    groups, along, _ = record_grid(kind, (n, k))
    each = BLOCKS[kind]
    codes = np.pad(blocks.codes, ((0, groups * ROWS - n), (0, along * each * BLOCK - k)))
    vectors = (
        codes.reshape(groups, ROWS, along, each, 8, 4)
        .transpose(0, 2, 3, 4, 1, 5)
        .reshape(groups, along, each, 8, 64)
    )
    parts = [_interleave(numbers, groups, along, size) for numbers, size in _before(blocks)]
    match kind:
        case "q4" | "q4k":
            parts.append(_join_nibbles(vectors))
        case "q5":
            parts.append(_join_nibbles(vectors >> np.uint8(1)))
            parts.append(np.packbits(vectors & np.uint8(1), axis=-1, bitorder="little"))
        case "q6":
            parts.append(_join_nibbles(vectors & np.uint8(15)))
            parts.append(_join_pairs(vectors >> np.uint8(4)))
        case "q8":
            parts.append(vectors)
    return np.concatenate([part.reshape(groups, along, -1) for part in parts], axis=-1)


def _before(blocks: Quantised) -> list[tuple[npt.NDArray[Any], int]]:
    """What a record holds before its codes: numbers [N, C], and how many of C are a record's."""
    each = BLOCKS[blocks.kind]
    if isinstance(blocks, SuperBlocks):
        return [(blocks.d, 1), (blocks.dmin, 1), (blocks.scales, each), (blocks.minima, each)]
    return [(part, each) for part in (blocks.scales, blocks.minima) if part is not None]


def _interleave(numbers: npt.NDArray[Any], groups: int, along: int, each: int) -> U8:
    """Numbers of rows [N, C] -> bytes of records [N/16, along, each][16]."""
    n, c = numbers.shape
    padded = np.pad(numbers, ((0, groups * ROWS - n), (0, along * each - c)))
    by_block = padded.reshape(groups, ROWS, along, each).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(by_block).view(np.uint8)


def _join_nibbles(vectors: U8) -> U8:  # [..., 8, 64] -> [..., 4, 64]
    return vectors[..., 0::2, :] | (vectors[..., 1::2, :] << np.uint8(4))


def _join_pairs(vectors: U8) -> U8:  # [..., 8, 64] -> [..., 2, 64]
    lines = np.zeros((*vectors.shape[:-2], 2, 64), np.uint8)
    for place in range(4):
        lines |= vectors[..., place::4, :] << np.uint8(2 * place)
    return lines


def _code_vectors(records: U8, kind: Kind) -> U8:
    """Codes of some records: [G, P, bytes] -> [G, P, B, 8, 64], contiguous."""
    shape = (*records.shape[:2], BLOCKS[kind], 8, 64)
    start = _CODES_AT[kind]
    if kind == "q8":
        return np.ascontiguousarray(records[..., start:]).reshape(shape)
    end = start + BLOCKS[kind] * 256
    packed = records[..., start:end].reshape(*shape[:3], 4, 64)
    codes = np.empty(shape, np.uint8)
    np.bitwise_and(packed, 15, out=codes[..., 0::2, :])
    np.right_shift(packed, 4, out=codes[..., 1::2, :])
    if kind == "q5":
        lowest = np.unpackbits(records[..., end:], axis=-1, bitorder="little")
        codes <<= np.uint8(1)
        codes |= lowest.reshape(shape)
    if kind == "q6":
        lines = records[..., end:].reshape(*shape[:3], 2, 64)
        for place in range(4):
            codes[..., place::4, :] |= (lines >> np.uint8(2 * place) & np.uint8(3)) << np.uint8(4)
    return codes


def _scales(records: U8, kind: Kind) -> tuple[F32, F32 | None]:
    """Scales and, where the kind has them, minima: [G, P, bytes] -> [16 G, P B]."""
    if kind == "q4k":
        d, dmin = (_by_row(records, at, 1, np.float16) for at in (0, 32))
        scales, minima = (_by_row(records, at, 8, np.uint8) for at in (64, 192))
        return scales * np.repeat(d, 8, axis=1), minima * np.repeat(dmin, 8, axis=1)
    scales = _by_row(records, 0, 2, np.float16)
    return scales, _by_row(records, 64, 2, np.float16) if kind == "q4" else None


def _by_row(records: U8, start: int, each: int, dtype: type[np.float16] | type[np.uint8]) -> F32:
    """``each`` numbers for every row of a record: [G, P, bytes] -> [16 G, P each]."""
    groups, along, _ = records.shape
    end = start + each * ROWS * np.dtype(dtype).itemsize
    numbers = np.ascontiguousarray(records[..., start:end]).view(dtype)
    rows = numbers.reshape(groups, along * each, ROWS).transpose(0, 2, 1)
    return rows.astype(np.float32).reshape(groups * ROWS, along * each)


def _scale(codes: U8, scales: F32, minima: F32 | None, kind: Kind, out: F32) -> None:
    """Codes [N, blocks, 32] to weights in ``out``, by the table in sparkcode.model.blocks."""
    signed = (codes - np.uint8(ZERO[kind])).view(np.int8)  # wraps around, as it should
    np.multiply(signed, scales[..., None], out=out)
    if minima is not None:
        out -= minima[..., None]
