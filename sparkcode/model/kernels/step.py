"""A forward pass as one program, and the runner that patches and starts it.

The program is the same for any number of rows: buffers have room for the most rows so far, and the
counts and addresses that change from step to step lie in one record. A layer's lines::

    norm -> q, k, v -> rope -> attend -> merge -> output -> norm -> gate, up -> gate -> down

The sum with what ``down`` or ``output`` made is the next norm's business, so the last norm, of the
rows that are scored, ends the last layer. When no row is scored, the program ends as soon as the
last layer's keys and values are in the caches.
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

from sparkcode.model.blocks import BLOCK, F32
from sparkcode.model.cache import BLOCK_TOKENS
from sparkcode.model.kernels.attend import (
    ATTEND_FIELDS,
    LINE_BYTES,
    MERGE_FIELDS,
    MOST_ROWS,
    SPLIT,
    UNIT_FIELDS,
    emit_attend,
    emit_merge,
)
from sparkcode.model.kernels.buffers import ACTIVATION_BYTES, StepBuffers, StepLayer, StepWeights
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.elements import (
    GATE_FIELDS,
    NORM_FIELDS,
    ROPE_FIELDS,
    STEP_FIELDS,
    emit_gate,
    emit_norm,
    emit_rope,
)
from sparkcode.model.kernels.flow import FIELD_BYTES, emit_walk
from sparkcode.model.kernels.program import (
    Place,
    Program,
    ProgramWriter,
    address_of,
    float_bits,
)
from sparkcode.model.kernels.quantise import FACTORS_BYTES
from sparkcode.model.kernels.team import Team
from sparkcode.model.kernels.tiles import JOB_FIELDS, PART_FIELDS
from sparkcode.model.kernels.vocabulary import LANES
from sparkcode.model.layers import inverse_frequencies
from sparkcode.model.ops import rope_angles
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import COLUMNS, ROWS, PackedMatrix
from sparkcode.model.transformer import Segment

I64Array = npt.NDArray[np.int64]

CHUNK_BYTES: Final = 1 << 16
"""Weights a thread takes at once: enough for the hardware's prefetching, few enough to share out
evenly."""
HEAD_SIZE_UNIT: Final = 2 * LANES
"""Sizes of attention heads have to be a multiple: halves of a head are whole vectors."""
STEP_FUNCTIONS: Final = ("walk", "norm", "rope_neox", "rope_normal", "attend", "merge", "gate")

_PIECES_PER_THREAD = 2
"""Units of the gate that a row is divided into."""
_UNITS_PER_THREAD = 4
"""Units of attention at least, before rows are taken together."""
_ENDS = (
    FIELD_BYTES * PART_FIELDS.index("done"),
    FIELD_BYTES * PART_FIELDS.index("groups"),
)


@dataclass(frozen=True, slots=True)
class Functions:
    """Compiled functions, by name; the products by the kind of their records."""

    addresses: Mapping[str, int]
    module: CompiledModule
    """What keeps the machine code in memory."""


def emit_step(module: ir.Module) -> ir.Module:
    """Add the functions of ``STEP_FUNCTIONS`` to a module."""
    emit_walk(module)
    emit_norm(module)
    emit_rope(module, "neox")
    emit_rope(module, "normal")
    emit_gate(module)
    emit_attend(module)
    emit_merge(module)
    return module


class _Writer:
    """Writes the program of a model into buffers."""

    def __init__(
        self, model: StepWeights, functions: Mapping[str, int], buffers: StepBuffers, threads: int
    ) -> None:
        self._model, self._functions, self._b = model, functions, buffers
        self._config, self._threads = model.config, threads
        self._w = ProgramWriter()
        self.step = self._w.record(STEP_FIELDS)
        self.jobs = {name: self._job(name) for name in buffers.rounded}

    def write(self) -> Program:
        b = self._b
        before: tuple[F32, int] = b.nothing, 0
        for index, layer in enumerate(self._model.layers):
            self._norm("qkv", layer.attn_norm, before, b.order)
            self._attention(index, layer)
            self._norm("gate_up", layer.ffn_norm, (b.y, b.y.strides[0]), b.order)
            up = b.gate_up.strides[0] // 2
            self._product("gate_up", layer.gate_up, b.gate_up, (0, up))
            self._gate(up)
            self._product("down", layer.down, b.y, (0,))
            before = b.y, b.y.strides[0]
        self._norm("head", self._model.output_norm, before, b.picked)
        self.logits = self._product("head", self._model.head, None, (0,))
        return self._w.finish()

    def _attention(self, index: int, layer: StepLayer) -> None:
        config, b = self._config, self._b
        columns = [0, config.num_heads * config.head_size]
        columns.append(columns[1] + config.kv_size)
        self._product("qkv", layer.qkv, b.qkv, [4 * column for column in columns])
        group_bytes = 4 * BLOCK_TOKENS * config.head_size
        common = {
            "q": b.q.ctypes.data,
            "q_stride": b.q.strides[0],
            "layer": index * 2 * config.num_kv_heads * group_bytes,
            "groups": config.num_kv_heads,
            "shared": config.group_size,
            "vectors": config.head_size // LANES,
            "values": config.num_kv_heads * group_bytes,
            "group_stride": group_bytes,
        }
        rope = self._w.record(
            ROPE_FIELDS,
            **common,
            qkv=b.qkv.ctypes.data,
            stride=b.qkv.strides[0],
            bias=layer.bias.ctypes.data,
            scale=float_bits(config.head_size**-0.5),
        )
        self._line(f"rope_{config.rope_style}", rope, "row_groups")
        self.cached = self._w.length
        self._line("attend", self._w.record(ATTEND_FIELDS, **common), "attend_units")
        merge = self._w.record(
            MERGE_FIELDS,
            out=b.attended.ctypes.data,
            stride=b.attended.strides[0],
            heads=config.num_heads,
            vectors=config.head_size // LANES,
            job=self.jobs["output"],
        )
        self._line("merge", merge, "rows")
        self._product("output", layer.output, b.y, (0,))

    def _line(self, name: str, record: Place, units: str) -> None:
        ends = Place(record + FIELD_BYTES), self.step.field(STEP_FIELDS, units)
        self._w.line(self._functions[name], record, self.step, ends=ends)

    def _norm(self, job: str, weight: F32, y: tuple[F32, int], rows: I64Array) -> None:
        b, config = self._b, self._config
        record = self._w.record(
            NORM_FIELDS,
            x=b.x.ctypes.data,
            x_stride=b.x.strides[0],
            y=y[0].ctypes.data,
            y_stride=y[1],
            rows=rows.ctypes.data,
            weight=weight.ctypes.data,
            inverse_size=float_bits(1 / config.hidden_size),
            eps=float_bits(config.rms_eps),
            job=self.jobs[job],
        )
        self._line("norm", record, "picked" if job == "head" else "rows")

    def _gate(self, up: int) -> None:
        blocks = self._b.blocks["down"]
        chunk = -(-blocks // (_PIECES_PER_THREAD * self._threads))
        self.pieces = -(-blocks // chunk)
        record = self._w.record(
            GATE_FIELDS,
            source=self._b.gate_up.ctypes.data,
            stride=self._b.gate_up.strides[0],
            up=up,
            pieces=self.pieces,
            chunk=chunk,
            job=self.jobs["down"],
        )
        self._line("gate", record, "pieces")

    def _product(
        self, job: str, parts: Sequence[PackedMatrix], out: F32 | None, offsets: Sequence[int]
    ) -> Place:
        """Parts whose results begin ``offsets`` bytes behind ``out``; place of the first part."""
        start = 0 if out is None else out.ctypes.data
        calls = []
        for part, offset in zip(parts, offsets, strict=True):
            groups = len(part.records)
            record = self._w.record(
                PART_FIELDS,
                function=self._functions[part.kind],
                records=part.records.ctypes.data,
                groups=groups,
                pairs=-(-part.shape[1] // COLUMNS),
                out=start + offset,
                chunk=max(1, CHUNK_BYTES * groups // part.records.nbytes),
            )
            calls.append((self._functions[part.kind], record))
        self._w.lines_at_once(calls, self.jobs[job], ends=_ENDS)
        return calls[0][1]

    def _job(self, name: str) -> Place:
        memory, blocks = self._b.rounded[name], self._b.blocks[name]
        room = len(memory) // ACTIVATION_BYTES
        codes = memory.ctypes.data
        factors = codes + room * BLOCK
        return self._w.record(
            JOB_FIELDS,
            codes=codes,
            factors=factors,
            sums=factors + FACTORS_BYTES * room,
            blocks=blocks,
            out_stride=self._b.strides[name],
        )


class StepRunner:
    """Runs steps of a packed file; see :class:`sparkcode.model.transformer.Runner`.

    Steps of different threads take turns.
    """

    def __init__(self, packed: PackedFile, functions: Functions, team: Team) -> None:
        """``functions`` are those of ``STEP_FUNCTIONS`` and the products.

        Raises WeightsError where a tensor fails its checksum.
        """
        self._model, self._functions, self._team = StepWeights(packed), functions, team
        self._walk = ctypes.CFUNCTYPE(None, ctypes.c_int64)(functions.addresses["walk"])
        self._config = config = self._model.config
        self._frequencies = inverse_frequencies(config)
        self._padded_head = len(self._model.head[0].records) * ROWS
        self._scores = np.empty(team.size * config.group_size * MOST_ROWS * LINE_BYTES, np.uint8)
        self._partials = np.empty(0, np.float32)
        self._lock = Lock()
        self._prepare(1)

    def run(self, x: F32, segments: Sequence[Segment], picked: Sequence[int]) -> F32:
        with self._lock:
            return self._run(x, segments, picked)

    def _prepare(self, rows: int) -> None:
        self._capacity = rows
        self._buffers = StepBuffers(self._config, rows, self._padded_head)
        self._writer = _Writer(
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
        units = np.array(list(self._place(segments)), np.int64)
        splits = int(units[:, UNIT_FIELDS.index("split")].max()) + 1
        needed = rows * splits * config.num_heads * (config.head_size + LANES)
        if len(self._partials) < needed:
            self._partials = np.empty(needed, np.float32)
        logits = np.empty((len(picked), self._padded_head), np.float32)
        self._patch(rows, units, splits, logits)
        blocks = [list(segment.cache.blocks) for segment in segments]
        tables = [segment.cache.addresses for segment in segments]
        # Arguments, so that they live as long as a helper may use them.
        held = (self, b, self._program, units, self._partials, logits, blocks, tables)
        self._team.run(partial(_call, self._walk, self._program.address, held))
        return logits[:, : config.vocab_size]

    def _place(self, segments: Sequence[Segment]) -> Iterator[tuple[int, ...]]:
        """Fill in what depends on positions; yields attention's units."""
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
            yield from self._units(row, start, count, table.ctypes.data)
            row += count

    def _units(self, row: int, start: int, count: int, table: int) -> Iterator[tuple[int, ...]]:
        """Values of UNIT_FIELDS for rows of one sequence, the first at position ``start``."""
        groups, splits = self._config.num_kv_heads, (start + count - 1) // SPLIT + 1
        least = _UNITS_PER_THREAD * self._team.size
        size = min(MOST_ROWS, max(1, count * groups * splits // least))
        for tile in range(0, count, size):
            end = min(tile + size, count)
            for split in range((start + end - 1) // SPLIT + 1):
                first = max(tile, split * SPLIT - start)  # rows before see nothing of it
                for group in range(groups):
                    yield row + first, end - first, table, start + first, group, split

    def _patch(self, rows: int, units: I64Array, splits: int, logits: F32) -> None:
        b, writer, program = self._buffers, self._writer, self._program
        program.renew()
        values = {
            "rows": rows,
            "row_groups": rows * self._config.num_kv_heads,
            "pieces": rows * writer.pieces,
            "attend_units": len(units),
            "picked": len(logits),
            "cos": address_of(b.cos),
            "sin": address_of(b.sin),
            "places": address_of(b.places),
            "positions": address_of(b.positions),
            "units": address_of(units),
            "partials": address_of(self._partials),
            "splits": splits,
            "scores": address_of(self._scores),
        }
        program.patch(writer.step, [values[name] for name in STEP_FIELDS])
        for name, job in writer.jobs.items():
            program.patch(job.field(JOB_FIELDS, "rows"), [len(logits) if name == "head" else rows])
        if len(logits):
            program.patch(writer.logits.field(PART_FIELDS, "out"), [address_of(logits)])
        else:
            program.shorten(writer.cached)


def _call(function: Callable[[int], None], argument: int, held: object) -> None:
    function(argument)
