"""The compiled functions, ready to run whole steps.

And single products of packed matrices, for models whose head size whole steps do not take.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparkcode.model import ops
from sparkcode.model.blocks import BLOCK, F32, U8
from sparkcode.model.kernels.buffers import ACTIVATION_BYTES
from sparkcode.model.kernels.forward import SHARES_PER_THREAD
from sparkcode.model.kernels.instructions import AVX2, InstructionSet
from sparkcode.model.kernels.loading import load_kernels
from sparkcode.model.kernels.quantise import FACTORS_BYTES
from sparkcode.model.kernels.step import (
    HEAD_SIZE_UNIT,
    STEP_FUNCTIONS,
    Functions,
    StepRunner,
)
from sparkcode.model.kernels.team import Team
from sparkcode.model.kernels.tiles import PART_FIELDS, TILE_ROWS
from sparkcode.model.kernels.unpack import LAYOUTS, span_of
from sparkcode.model.layers import LayerRunner
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import COLUMNS, ROWS, PackedMatrix
from sparkcode.model.transformer import Runner

_OUT = PART_FIELDS.index("out")


class Kernel:
    """The compiled functions and the threads that run them."""

    def __init__(
        self,
        folder: Path,
        *,
        threads: int,
        say: Callable[[str], None],
        isa: InstructionSet = AVX2,
    ) -> None:
        """Compile for ``isa``, or take the machine code from ``folder``; KernelError if it errs."""
        self._module = load_kernels(isa, folder=folder, say=say)
        address = self._module.address
        self.multiply: dict[str, int] = {kind: address(f"multiply_{kind}") for kind in LAYOUTS}
        integer = ctypes.c_int64
        # Microseconds: letting go of the interpreter would cost more.
        self.quantise = ctypes.PYFUNCTYPE(None, *[integer] * 7)(address("quantise"))
        self.run = ctypes.CFUNCTYPE(None, integer)(address("run"))
        addresses = {name: address(name) for name in STEP_FUNCTIONS}
        addresses.update((kind, place) for kind, place in self.multiply.items())
        self._functions = Functions(addresses, self._module)
        self.team = Team(threads)

    def runner(self, packed: PackedFile) -> Runner:
        """Whole steps in native code; with other head sizes, only the products."""
        if packed.header.config.head_size % HEAD_SIZE_UNIT:
            return LayerRunner(packed, self.matrix, attention=ops.attention)
        return StepRunner(packed, self._functions, self.team)

    def matrix(self, parts: Sequence[PackedMatrix]) -> PackedProduct:
        """Matrices [n, K] below one another as one [N, K]; their records stay where they are."""
        return PackedProduct(self, parts)


class PackedProduct:
    """Packed matrices below one another, [N, K] in all, multiplied as they are."""

    def __init__(self, kernel: Kernel, parts: Sequence[PackedMatrix]) -> None:
        self._kernel, self._parts = kernel, tuple(parts)
        self._blocks = 2 * -(-parts[0].shape[1] // COLUMNS)
        self._span = span_of(part.kind for part in parts)
        rows = [part.shape[0] for part in parts]
        padded = [len(part.records) * ROWS for part in parts]
        starts = np.cumsum([0, *padded]).tolist()
        self._padded: int = starts.pop()
        self._plan = np.zeros((1 + len(parts), len(PART_FIELDS)), np.int64)
        for line, part, first in zip(self._plan[1:], parts, starts, strict=True):
            line[:] = self._describe(part, first)
        self._keep: npt.NDArray[np.int64] | None = None
        if rows != padded:
            pairs = zip(starts, rows, strict=True)
            self._keep = np.concatenate([np.arange(first, first + n) for first, n in pairs])

    def _describe(self, part: PackedMatrix, first_row: int) -> tuple[int, ...]:
        """PART_FIELDS of a matrix whose results begin at column ``first_row``."""
        groups, out = len(part.records), first_row * 4
        function, share = (
            self._kernel.multiply[part.kind],
            SHARES_PER_THREAD * self._kernel.team.size,
        )
        return function, part.records.ctypes.data, groups, self._blocks // 2, out, share, 0, 0

    def times(self, x: F32) -> F32:
        """x [T, K] -> [T, N]."""
        rows = len(x)
        activations, addresses = self._quantised(x)
        y = np.empty((rows, self._padded), np.float32)
        plan = self._plan.copy()  # the job, then its parts
        plan[1:, _OUT] += _address(y)
        start = _address(plan)
        parts = start + plan.strides[0], len(self._parts)
        plan[0] = (*addresses, rows, self._blocks, y.strides[0], *parts)
        # The arrays are arguments as well: a helper that outlives an interrupt keeps them alive.
        held = (self, activations, y, plan)
        self._kernel.team.run(partial(_run, self._kernel.run, start, held))
        return y if self._keep is None else y[:, self._keep]

    def _quantised(self, x: F32) -> tuple[U8, tuple[int, int, int]]:
        """Activations as tiles: memory, in it the addresses of codes and factors; their span."""
        x = np.ascontiguousarray(x, np.float32)
        (rows, columns), blocks = x.shape, self._blocks
        if columns != blocks * BLOCK:
            x = np.pad(x, ((0, 0), (0, blocks * BLOCK - columns)))
        memory = np.empty(rows * blocks * ACTIVATION_BYTES, np.uint8)
        codes = _address(memory)
        factors = codes + rows * blocks * BLOCK
        source, stride = x.ctypes.data, x.strides[0]
        for first in range(0, rows, TILE_ROWS):
            before, count = first * blocks, min(TILE_ROWS, rows - first)
            places = codes + before * BLOCK, factors + before * FACTORS_BYTES
            start = source + first * stride
            self._kernel.quantise(start, stride, count, blocks, self._span, *places)
        return memory, (codes, factors, self._span)


def _address(array: npt.NDArray[np.generic]) -> int:
    """Where a fresh array lies; ``array.ctypes.data`` takes six times as long."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data))


def _run(function: Callable[[int], None], job: int, held: object) -> None:
    function(job)
