"""Products with packed matrices: the arrays and addresses that the compiled tiles work on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from sparkcode.model.blocks import BLOCK, F32
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.team import Team
from sparkcode.model.kernels.tiles import PART_FIELDS, TILE_ROWS, emit_module
from sparkcode.model.packed import RECORD_BYTES, ROWS, PackedMatrix

CPU: Final = "x86-64-v3"
"""LLVM's name for the least processor with AVX2 and half floats."""
_CHUNK_BYTES = 1 << 16
"""Weights a thread takes at once: enough for the hardware's prefetching, few enough to share out
evenly."""

_OUT, _NEXT = PART_FIELDS.index("out"), PART_FIELDS.index("next")


class Kernel:
    """The compiled functions and the threads that run them."""

    copies = False

    def __init__(self, folder: Path, *, threads: int, say: Callable[[str], None]) -> None:
        """Compile for AVX2, or take the machine code from ``folder``."""
        self._module = CompiledModule(
            str(emit_module()), cpu=CPU, folder=folder, name="avx2", say=say
        )
        address = self._module.address
        self.multiply = {kind: address(f"multiply_{kind}") for kind in RECORD_BYTES}
        integer = ctypes.c_int64
        self.quantise = ctypes.CFUNCTYPE(None, *[integer] * 7)(address("quantise"))
        self.run = ctypes.CFUNCTYPE(None, integer)(address("run"))
        self.team = Team(threads)

    def matrix(self, parts: Sequence[PackedMatrix]) -> PackedProduct:
        """Matrices [n, K] below one another as one [N, K]; their records stay where they are."""
        return PackedProduct(self, parts)


class PackedProduct:
    """Packed matrices below one another, [N, K] in all, multiplied as they are."""

    def __init__(self, kernel: Kernel, parts: Sequence[PackedMatrix]) -> None:
        self._kernel, self._parts = kernel, tuple(parts)
        self._columns = parts[0].shape[1]
        self._pairs = parts[0].records.shape[1]
        padded = [len(part.records) * ROWS for part in parts]
        starts = np.cumsum([0, *padded]).tolist()
        self._padded: int = starts.pop()
        self._table = np.array(
            [self._describe(part, start) for part, start in zip(parts, starts, strict=True)],
            np.int64,
        )
        rows = [part.shape[0] for part in parts]
        keep = [np.arange(first, first + n) for first, n in zip(starts, rows, strict=True)]
        self._keep = None if rows == padded else np.concatenate(keep)

    def _describe(self, part: PackedMatrix, first_row: int) -> tuple[int, ...]:
        """PART_FIELDS of a matrix whose results begin at column ``first_row``."""
        groups, pairs, record_bytes = part.records.shape
        chunk = max(1, _CHUNK_BYTES // (pairs * record_bytes))
        function = self._kernel.multiply[part.kind]
        return function, part.records.ctypes.data, groups, pairs, first_row * 4, chunk, 0, 0

    def times(self, x: F32) -> F32:
        """x [T, K] -> [T, N]."""
        rows, blocks = len(x), 2 * self._pairs
        codes, scales, sums = self._quantised(x)
        y = np.empty((rows, self._padded), np.float32)
        table = self._table.copy()
        table[:, _OUT] += y.ctypes.data
        addresses = codes.ctypes.data, scales.ctypes.data, sums.ctypes.data
        job = np.array(
            [*addresses, rows, blocks, y.strides[0], table.ctypes.data, len(table)], np.int64
        )
        # The arrays are arguments as well: a helper that outlives an interrupt keeps them alive.
        held = (self._kernel, job, table, y, codes, scales, sums)
        self._kernel.team.run(partial(_run, self._kernel.run, job.ctypes.data, held))
        return y if self._keep is None else y[:, self._keep]

    def _quantised(
        self, x: F32
    ) -> tuple[npt.NDArray[np.int8], F32, npt.NDArray[np.int32]]:
        """Activations as tiles of int8 codes, with scales and sums; see ``quantise``."""
        x = np.ascontiguousarray(x, np.float32)
        rows, blocks = len(x), 2 * self._pairs
        if x.shape[1] != blocks * BLOCK:
            x = np.pad(x, ((0, 0), (0, blocks * BLOCK - x.shape[1])))
        codes = np.empty((rows, blocks * BLOCK), np.int8)
        scales = np.empty((rows, blocks), np.float32)
        sums = np.empty((rows, blocks), np.int32)
        arrays = (codes, scales, sums)
        for first in range(0, rows, TILE_ROWS):
            places = [array.ctypes.data + first * array.strides[0] for array in arrays]
            count = min(TILE_ROWS, rows - first)
            self._kernel.quantise(
                x.ctypes.data + first * x.strides[0], x.strides[0], count, blocks, *places
            )
        return arrays


def _run(function: Callable[[int], None], job: int, held: object) -> None:
    function(job)
