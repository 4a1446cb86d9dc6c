"""What the products are, in NumPy, one block after another: slow, plain and in the same order.

The compiled functions give these numbers bit for bit. The tests compare them over many shapes, and
:mod:`~sparkcode.model.kernels.selftest` does on the machine where they were just compiled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkcode.model.blocks import BLOCK, F32, U8
from sparkcode.model.kernels.unpack import LAYOUTS, RecordKind

I64Array = npt.NDArray[np.int64]
_ROWS = 16


def quantised(x: F32, span: int = 1) -> tuple[I64Array, F32]:
    """x [T, K] -> codes [T, K/32, 32], scales [T, K/32], the same for ``span`` blocks."""
    blocks = x.reshape(len(x), -1, BLOCK)
    spans = np.abs(x).reshape(len(x), -1, span * BLOCK)
    largest: F32 = np.repeat(spans.max(axis=-1), span, axis=1)
    inverse = np.zeros_like(largest)
    np.divide(np.float32(127), largest, out=inverse, where=largest > 1e-30)
    return np.rint(blocks * inverse[..., None]).astype(np.int64), (
        largest / np.float32(127)
    ).astype(np.float32)


def fused(a: F32, b: F32, c: F32) -> F32:
    """a * b + c, rounded once: to odd in float64, which is precise enough to round again."""
    product = a.astype(np.float64) * b.astype(np.float64)  # exact
    wide = c.astype(np.float64)
    total = product + wide
    part = total - product
    rest = (product - (total - part)) + (wide - part)  # what the sum lost, exactly
    even = total.view(np.int64) % 2 == 0
    odd = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
    exact = np.where((rest != 0) & even & np.isfinite(total), odd, total)
    return exact.astype(np.float32)


def unpacked(kind: RecordKind, records: U8) -> tuple[I64Array, F32, F32 | None]:
    """Records [G, R, bytes] -> codes less zero [N, blocks, 32], scales, minima [N, blocks]."""
    layout = LAYOUTS[kind]
    shape = (*records.shape[:2], layout.blocks)
    if kind == "q8":
        vectors = records[..., layout.codes :].reshape(*shape, 8, 64)
    else:
        end = layout.codes + 256 * layout.blocks
        nibbles = records[..., layout.codes : end].reshape(*shape, 4, 64)
        vectors = np.stack([nibbles & 15, nibbles >> 4], axis=-2).reshape(*shape, 8, 64)
        rest = records[..., end:]
        if kind == "q5":
            lowest = np.unpackbits(rest, axis=-1, bitorder="little").reshape(vectors.shape)
            vectors = 2 * vectors + lowest
        elif kind == "q6":
            pairs = rest.reshape(*shape, 2, 1, 64) >> np.arange(0, 8, 2, dtype=np.uint8)[:, None]
            vectors = vectors + 16 * (pairs & 3).reshape(vectors.shape)
    codes = vectors.reshape(*shape, 8, _ROWS, 4).transpose(0, 4, 1, 2, 3, 5)
    signed = codes.reshape(len(records) * _ROWS, -1, BLOCK).astype(np.int64) - layout.zero
    if kind != "q4k":
        scales = _numbers(records, 0, 2, np.float16)
        return signed, scales, _numbers(records, 64, 2, np.float16) if layout.minima else None
    scales, minima = (
        _numbers(records, at, 8, np.uint8)
        * np.repeat(_numbers(records, factor, 1, np.float16), 8, axis=1)
        for at, factor in ((64, 0), (192, 32))
    )
    return signed, scales, minima


def _numbers(records: U8, at: int, each: int, dtype: type[np.float16] | type[np.uint8]) -> F32:
    """``each`` numbers a row of every record -> [16 G, R each]."""
    end = at + each * _ROWS * np.dtype(dtype).itemsize
    values = np.ascontiguousarray(records[..., at:end]).view(dtype)
    by_row = values.reshape(len(records), -1, _ROWS).transpose(0, 2, 1)
    return by_row.reshape(len(records) * _ROWS, -1).astype(np.float32)


def product(kind: RecordKind, records: U8, x: F32, *, span: int = 1) -> F32:
    """Records [G, R, bytes], x [T, K] -> [T, 16 G]; K at most the columns there are.

    ``span``: blocks of activations that share a scale, where the kind does not say.
    """
    if LAYOUTS[kind].whole:
        return _whole_product(kind, records, x)
    own, steps, minima = unpacked(kind, records)
    codes, scales = quantised(x, span)
    total = np.zeros((len(x), len(own)), np.float32)
    for block in range(codes.shape[1]):
        dot = (codes[:, block] @ own[:, block].T).astype(np.float32)  # exact integers, [T, N]
        a = scales[:, block, None]
        total = fused(dot, steps[:, block] * a, total)
        if minima is not None:
            sums = codes[:, block].sum(axis=-1).astype(np.float32)[:, None]
            total = fused(-minima[:, block], sums * a, total)
    return total


def _whole_product(kind: RecordKind, records: U8, x: F32) -> F32:
    """The product of records whose scales are whole numbers."""
    each = LAYOUTS[kind].blocks
    own, _, _ = unpacked(kind, records)
    counts, minima = (
        _numbers(records, at, each, np.uint8).astype(np.int64) for at in (64, 192)
    )  # [N, blocks]
    d, dmin = (_numbers(records, at, 1, np.float16) for at in (0, 32))  # [N, R]
    codes, scales = quantised(x, each)
    total = np.zeros((len(x), len(own)), np.float32)
    for record in range(codes.shape[1] // each):
        blocks = range(record * each, (record + 1) * each)
        dots = sum(codes[:, n] @ (own[:, n] * counts[:, n, None]).T for n in blocks)  # [T, N]
        sums = sum(codes[:, n].sum(axis=-1)[:, None] * minima[:, n] for n in blocks)  # [T, N]
        a = scales[:, record * each, None]
        for ints, factor in ((dots, d), (sums, -dmin)):
            total = fused(np.asarray(ints).astype(np.float32), factor[:, record] * a, total)
    return total
