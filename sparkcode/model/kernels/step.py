"""The runner of whole steps: it patches the program of a forward pass, and starts it.

The program (:mod:`sparkcode.model.kernels.forward`) is the same for any number of rows: buffers
have room for the most rows so far, and the counts and addresses that change from step to step lie
in one record.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from sparkcode.model import aligned
from sparkcode.model.blocks import F32
from sparkcode.model.cache import BLOCK_TOKENS
from sparkcode.model.kernels.attend import (
    BEHIND,
    LINE_BYTES,
    MOST_ROWS,
    SPLIT,
    UNIT_FIELDS,
    emit_attend,
    emit_merge,
)
from sparkcode.model.kernels.buffers import StepBuffers, StepWeights
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.elements import (
    STEP_FIELDS,
    emit_gate,
    emit_norm,
    emit_rope,
)
from sparkcode.model.kernels.flow import emit_walk
from sparkcode.model.kernels.forward import ForwardWriter
from sparkcode.model.kernels.program import (
    address_of,
)
from sparkcode.model.kernels.team import Team
from sparkcode.model.kernels.tiles import JOB_FIELDS, PART_FIELDS
from sparkcode.model.kernels.vocabulary import LANES
from sparkcode.model.layers import inverse_frequencies
from sparkcode.model.ops import rope_angles
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import ROWS
from sparkcode.model.transformer import Segment

I64Array = npt.NDArray[np.int64]

HEAD_SIZE_UNIT: Final = 2 * LANES
"""Sizes of attention heads have to be a multiple: halves of a head are whole vectors."""
STEP_FUNCTIONS: Final = ("walk", "norm", "rope_neox", "rope_normal", "attend", "merge", "gate")

_UNITS_PER_THREAD = 4
"""Units of attention at least, before rows are taken together."""


@dataclass(frozen=True, slots=True)
class Functions:
    """Compiled functions, by name; the products by the kind of their records."""

    addresses: Mapping[str, int]
    module: CompiledModule
    """What keeps the machine code in memory."""


def emit_step(module: ir.Module, *, lanes: int = LANES) -> ir.Module:
    """Add the functions of ``STEP_FUNCTIONS`` to a module, for registers of 8 or 16 lanes."""
    emit_walk(module)
    emit_norm(module, lanes)
    emit_rope(module, "neox")
    emit_rope(module, "normal")
    emit_gate(module, lanes)
    emit_attend(module, lanes)
    emit_merge(module, lanes)
    return module


class StepRunner:
    """Runs steps of a packed file; see :class:`sparkcode.model.transformer.Runner`.

    Steps of different threads take turns.
    """

    exact = True

    def __init__(self, packed: PackedFile, functions: Functions, team: Team) -> None:
        """``functions`` are those of ``STEP_FUNCTIONS`` and the products.

        Raises WeightsError where a tensor fails its checksum.
        """
        self._model, self._functions, self._team = StepWeights(packed), functions, team
        self._walk = ctypes.CFUNCTYPE(None, ctypes.c_int64)(functions.addresses["walk"])
        self._config = config = self._model.config
        self._frequencies = inverse_frequencies(config)
        self._padded_head = len(self._model.head[0].records) * ROWS
        lines = team.size * config.group_size * MOST_ROWS
        self._scores = aligned.empty((lines * LINE_BYTES,), np.uint8)
        self._partials = aligned.empty((0,), np.float32)
        self._lock = Lock()
        self._prepare(1)

    def run(self, x: F32, segments: Sequence[Segment], picked: Sequence[int]) -> F32:
        with self._lock:
            return self._run(x, segments, picked)

    def _prepare(self, rows: int) -> None:
        self._capacity = rows
        self._buffers = StepBuffers(self._config, rows, self._padded_head)
        self._writer = ForwardWriter(
            self._model, self._functions.addresses, self._buffers, self._team.size
        )
        self._program = self._writer.write()

    def _run(self, x: F32, segments: Sequence[Segment], picked: Sequence[int]) -> F32:
        rows, config = len(x), self._config
        if rows > self._capacity:
            self._prepare(max(rows, min(2 * self._capacity, 64)))
        b = self._buffers
        b.x[:rows, : config.hidden_size] = x
        b.x[:rows, config.hidden_size :] = 0
        b.picked[: len(picked)] = picked
        self._place(segments)
        units, scored = self._units(segments, picked)
        splits = int(units[:, UNIT_FIELDS.index("split")].max()) + 1
        needed = rows * splits * config.num_heads * (config.head_size + BEHIND)
        if len(self._partials) < needed:
            self._partials = aligned.empty((needed,), np.float32)
        logits = aligned.empty((len(picked), self._padded_head), np.float32)
        self._patch(rows, (units, scored), splits, logits)
        blocks = [list(segment.cache.blocks) for segment in segments]
        tables = [segment.cache.addresses for segment in segments]
        # Arguments, so that they live as long as a helper may use them.
        held = (self, b, self._program, units, self._partials, logits, blocks, tables)
        self._team.run(partial(_call, self._walk, self._program.address, held))
        return logits[:, : config.vocab_size]

    def _place(self, segments: Sequence[Segment]) -> None:
        """Fill in what depends on positions."""
        b, config = self._buffers, self._config
        half = config.head_size // 2
        first, second = (
            (slice(None, half), slice(half, None))
            if config.rope_style == "neox"
            else (slice(0, None, 2), slice(1, None, 2))
        )
        row = 0
        for segment in segments:
            start, count, table = len(segment.cache), len(segment.tokens), segment.cache.addresses
            own = slice(row, row + count)
            cos, sin = rope_angles(start, count, self._frequencies, config.rope_scale)
            b.cos[own, first], b.cos[own, second] = cos, cos
            b.sin[own, first], b.sin[own, second] = -sin, sin
            b.positions[own] = np.arange(start, start + count)
            block, place = np.divmod(b.positions[own], BLOCK_TOKENS)
            b.places[own] = table[block] + place * (4 * config.head_size)
            row += count

    def _units(self, segments: Sequence[Segment], picked: Sequence[int]) -> tuple[I64Array, int]:
        """Values of UNIT_FIELDS for every row, and how many units hold the scored rows: the first.

        Rows behind a scored one of their sequence count as scored.
        """
        scored: list[tuple[int, ...]] = []
        others: list[tuple[int, ...]] = []
        row = 0
        for segment in segments:
            start, count = len(segment.cache), len(segment.tokens)
            table = segment.cache.addresses.ctypes.data
            own = [number - row for number in picked if row <= number < row + count]
            first = min(own, default=count)
            others += self._tiles(row, start, first, table)
            scored += self._tiles(row + first, start + first, count - first, table)
            row += count
        return np.array(scored + others, np.int64), len(scored)

    def _tiles(self, row: int, start: int, count: int, table: int) -> Iterator[tuple[int, ...]]:
        """Units of rows of one sequence, the first at position ``start``."""
        groups, splits = self._config.num_kv_heads, (start + count - 1) // SPLIT + 1
        least = _UNITS_PER_THREAD * self._team.size
        size = min(MOST_ROWS, max(1, count * groups * splits // least))
        for tile in range(0, count, size):
            end = min(tile + size, count)
            for split in range((start + end - 1) // SPLIT + 1):
                first = max(tile, split * SPLIT - start)  # rows before see nothing of it
                for group in range(groups):
                    yield row + first, end - first, table, start + first, group, split

    def _patch(self, rows: int, units: tuple[I64Array, int], splits: int, logits: F32) -> None:
        b, writer, program = self._buffers, self._writer, self._program
        listed, scored = units
        program.renew()
        values = {
            "rows": rows,
            "row_groups": rows * self._config.num_kv_heads,
            "pieces": rows * writer.pieces,
            "attend_units": len(listed),
            "picked": len(logits),
            "picked_pieces": len(logits) * writer.pieces,
            "picked_units": scored,
            "cos": address_of(b.cos),
            "sin": address_of(b.sin),
            "places": address_of(b.places),
            "positions": address_of(b.positions),
            "units": address_of(listed),
            "partials": address_of(self._partials),
            "splits": splits,
            "scores": address_of(self._scores),
        }
        program.patch(writer.step, [values[name] for name in STEP_FIELDS])
        for jobs, count in ((writer.jobs, rows), (writer.scored_jobs, len(logits))):
            for job in jobs.values():
                program.patch(job.field(JOB_FIELDS, "rows"), [count])
        if len(logits):
            program.patch(writer.logits.field(PART_FIELDS, "out"), [address_of(logits)])
        else:
            program.shorten(writer.cached)


def _call(function: Callable[[int], None], argument: int, held: object) -> None:
    function(argument)
