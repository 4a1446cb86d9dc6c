"""Freshly compiled products prove themselves on small known inputs.

Code for an instruction that the authors' machine lacks, or from a compiler that errs, must not give
wrong answers quietly: each product runs once on the machine it was compiled for.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

import numpy as np

from sparkcode.model.blocks import BLOCK, F32, U8
from sparkcode.model.kernels.quantise import FACTORS_BYTES
from sparkcode.model.kernels.reference import product
from sparkcode.model.kernels.tiles import PART_FIELDS
from sparkcode.model.kernels.unpack import LAYOUTS, RecordKind

_GROUPS, _COLUMNS, _ROWS = 2, 512, 16
_TILES: Final = (1, 15)
"""Rows of activations: one alone, and one tile of each size."""


def random_records(kind: RecordKind, groups: int, columns: int, seed: int) -> U8:
    """Records [G, R, bytes] of random codes and scales."""
    layout, random = LAYOUTS[kind], np.random.default_rng(seed)
    count = columns // (layout.blocks * BLOCK)
    records = random.integers(0, 256, (groups, count, layout.nbytes), np.uint8)
    halves = 64 if kind == "q4k" or not layout.minima else 128
    scales = random.standard_normal((groups, count, halves // 2)).astype(np.float16)
    records[..., :halves] = scales.view(np.uint8)
    return records


def multiply(address: Callable[[str], int], kind: RecordKind, records: U8, x: F32) -> F32:
    """The compiled product: records [G, R, bytes], x [T, K] of all columns -> [T, 16 G].

    Up to 64 rows; the functions are taken by name from ``address``.
    """
    integer = ctypes.c_int64
    (rows, columns), blocks = x.shape, x.shape[1] // BLOCK
    codes = np.zeros((blocks, rows, BLOCK), np.int8)
    factors = np.zeros((blocks, rows, FACTORS_BYTES), np.uint8)
    span = LAYOUTS[kind].span
    out = np.zeros((rows, len(records) * _ROWS), np.float32)
    places = codes.ctypes.data, factors.ctypes.data
    quantise = ctypes.CFUNCTYPE(None, *[integer] * 7)(address("quantise"))
    quantise(x.ctypes.data, x.strides[0], rows, blocks, span, *places)
    job = np.array([*places, span, rows, blocks, out.strides[0], 0, 1], np.int64)
    whole = records.ctypes.data, len(records), columns // (2 * BLOCK), out.ctypes.data
    part = np.array([address(f"multiply_{kind}"), *whole, 1, 0, 0], np.int64)
    job[6] = part.ctypes.data
    ctypes.CFUNCTYPE(None, integer)(address("run"))(job.ctypes.data)
    done = part[PART_FIELDS.index("done")]
    if done != len(records):
        raise ArithmeticError(f"{done} of {len(records)} groups were multiplied")
    return out


def wrong_product(address: Callable[[str], int]) -> str | None:
    """Name of the first function whose results are not those of the reference; None if all are."""
    random = np.random.default_rng(1)
    for kind in LAYOUTS:
        records = random_records(kind, _GROUPS, _COLUMNS, seed=2)
        for rows in _TILES:
            x = random.standard_normal((rows, _COLUMNS)).astype(np.float32)
            found = multiply(address, kind, records, x)
            if not np.array_equal(found, product(kind, records, x)):
                return f"multiply_{kind}"
    return None
