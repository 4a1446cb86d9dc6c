"""One line of a program at a time, with its records filled in by name."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from sparkcode.model.blocks import BLOCK, F32
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.elements import STEP_FIELDS
from sparkcode.model.kernels.flow import FIELD_BYTES
from sparkcode.model.kernels.instructions import AVX2
from sparkcode.model.kernels.program import Place, Program, ProgramWriter
from sparkcode.model.kernels.step import emit_step
from sparkcode.model.kernels.team import Team
from sparkcode.model.kernels.tiles import JOB_FIELDS, TILE_ROWS
from sparkcode.model.kernels.vocabulary import LANES

Array = npt.NDArray[np.generic]
Fields = dict[str, "int | Array"]


def numbers(fields: Fields) -> dict[str, int]:
    """Arrays become their addresses."""
    return {
        name: value if isinstance(value, int) else value.ctypes.data
        for name, value in fields.items()
    }


FACTORS = np.dtype([("a", "f4"), ("offset", "f4"), ("pairs", "i2", 2), ("sums", "i2", 2)])
"""A block's factors."""


def check_factors(codes: npt.NDArray[np.int8], factors: npt.NDArray[np.void]) -> None:
    """Codes [blocks, T, 32] and factors [blocks, T] say the same."""
    whole = codes.astype(np.int64)
    sums = whole.sum(axis=-1)
    np.testing.assert_array_equal(factors["offset"], sums.astype(np.float32) * factors["a"])
    pairs = whole.reshape(*sums.shape, 8, 2, 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(factors["pairs"], pairs)
    for place in (0, 1):
        own = sums[place::2]
        np.testing.assert_array_equal(factors["sums"][: 2 * len(own) : 2, :, place], own)


class Rounding:
    """A product's description: where rounded activations of [rows, blocks * 32] go."""

    def __init__(self, rows: int, blocks: int, span: int = 1) -> None:
        self.rows, self.blocks, self.span = rows, blocks, span
        self._codes = np.zeros(rows * blocks * BLOCK, np.int8)
        self._factors = np.zeros(rows * blocks, FACTORS)

    def place(self, writer: ProgramWriter) -> Place:
        arrays: Fields = {"codes": self._codes, "factors": self._factors}
        shape = {"span": self.span, "rows": self.rows, "blocks": self.blocks}
        return writer.record(JOB_FIELDS, **numbers(arrays), **shape)

    def result(self) -> tuple[npt.NDArray[np.int8], F32]:
        """Codes [rows, blocks, 32] and scales [rows, blocks]; the sums are checked."""
        tiles = []
        for first in range(0, self.rows, TILE_ROWS):
            count = min(TILE_ROWS, self.rows - first)
            part = slice(first * self.blocks, (first + count) * self.blocks)
            codes = self._codes.reshape(-1, BLOCK)[part].reshape(self.blocks, count, BLOCK)
            factors = self._factors[part].reshape(self.blocks, count)
            check_factors(codes, factors)
            tiles.append((codes.transpose(1, 0, 2), factors["a"].T))
        codes, scales = (np.concatenate(part) for part in zip(*tiles, strict=True))
        return codes, scales

    def values(self) -> F32:
        """What the codes stand for, [rows, blocks * 32]."""
        codes, scales = self.result()
        return (codes * scales[..., None]).astype(np.float32).reshape(self.rows, -1)


class Bench:
    """The compiled functions of a step, without the products, for registers of ``lanes``.

    LLVM splits those that this processor lacks.
    """

    def __init__(self, folder: Path, threads: int = 2, *, lanes: int = LANES) -> None:
        module = emit_step(ir.Module("test"), lanes=lanes)
        self._code = CompiledModule(
            str(module), cpu=AVX2.cpu, folder=folder, name="step", say=lambda _: None
        )
        self.team = Team(threads)
        self._walk = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self.address("walk"))

    def address(self, name: str) -> int:
        return self._code.address(name)

    def walk(self, program: Program, *, on: Team | None = None) -> None:
        program.renew()
        (on or self.team).run(partial(self._walk, program.address))

    def run(
        self,
        function: str,
        names: Sequence[str],
        fields: Fields,
        *,
        step: Fields,
        units: str,
        job: Rounding | None = None,
    ) -> None:
        """Run one operation; ``units`` is the field of ``step`` that says how many there are."""
        writer = ProgramWriter()
        shared = writer.record(STEP_FIELDS, **numbers(step))
        own = numbers(fields)
        if job is not None:
            own["job"] = job.place(writer)
        record = writer.record(names, **own)
        ends = Place(record + FIELD_BYTES), shared.field(STEP_FIELDS, units)
        writer.line(self.address(function), record, shared, ends=ends)
        self.walk(writer.finish())
