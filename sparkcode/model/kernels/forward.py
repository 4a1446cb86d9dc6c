"""A forward pass as the lines of one program. A layer's lines::

    norm -> q, k, v -> rope -> attend -> merge -> output -> norm -> gate, up -> gate -> down

The sum with what ``down`` or ``output`` made is the next norm's business, so the last norm ends the
last layer. Once that layer's keys and values are in the caches only the rows that are scored go on,
moved together; where there are none, a step ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkcode.model.blocks import BLOCK, F32
from sparkcode.model.cache import BLOCK_TOKENS
from sparkcode.model.kernels.attend import ATTEND_FIELDS, MERGE_FIELDS
from sparkcode.model.kernels.buffers import ACTIVATION_BYTES, StepBuffers, StepLayer, StepWeights
from sparkcode.model.kernels.elements import GATE_FIELDS, NORM_FIELDS, ROPE_FIELDS, STEP_FIELDS
from sparkcode.model.kernels.flow import FIELD_BYTES
from sparkcode.model.kernels.program import Place, Program, ProgramWriter, float_bits
from sparkcode.model.kernels.quantise import MOST_SPAN
from sparkcode.model.kernels.tiles import JOB_FIELDS, PART_FIELDS
from sparkcode.model.kernels.unpack import span_of
from sparkcode.model.kernels.vocabulary import LANES
from sparkcode.model.records import COLUMNS, PackedMatrix

SHARES_PER_THREAD: Final = 2
"""A thread takes half of its even share of a matrix first, then half of what is left of it."""

_PIECES_PER_THREAD = 2
"""Units of the gate that a row is divided into."""
_ENDS = (
    FIELD_BYTES * PART_FIELDS.index("done"),
    FIELD_BYTES * PART_FIELDS.index("groups"),
)


Job: TypeAlias = tuple[str, int]
"""Name of a product's input, and the span of its activations in blocks."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows a line works on: names of the step's counts, row numbers, their products."""

    rows: str
    pieces: str
    units: str
    numbers: npt.NDArray[np.int64]
    jobs: Mapping[Job, Place]


class ForwardWriter:
    """Writes the program of a model into buffers, for ``threads`` threads."""

    def __init__(
        self, model: StepWeights, functions: Mapping[str, int], buffers: StepBuffers, threads: int
    ) -> None:
        self._model, self._functions, self._b = model, functions, buffers
        self._config, self._threads = model.config, threads
        self._w = ProgramWriter()
        self.step = self._w.record(STEP_FIELDS)
        self.jobs = self._jobs(name for name in buffers.rounded if name != "head")
        """Products of all rows, by name and span of the activations."""
        self.scored_jobs = self._jobs(name for name in buffers.rounded if name != "qkv")
        """Products of the scored rows."""

    def write(self) -> Program:
        b = self._b
        rows = _Rows("rows", "pieces", "attend_units", b.order, self.jobs)
        made = b.y, b.y.strides[0]
        before: tuple[F32, int] = b.nothing, 0
        for index, layer in enumerate(self._model.layers):
            self._norm(_job("qkv", layer.qkv), layer.attn_norm, before, rows)
            self._keys_and_values(index, layer)
            if index == len(self._model.layers) - 1:
                names = "picked", "picked_pieces", "picked_units"
                rows = _Rows(*names, b.picked, self.scored_jobs)
                self.cached = self._w.length
                """Lines until the keys and values of all rows are in the caches."""
            output, gate_up = _job("output", layer.output), _job("gate_up", layer.gate_up)
            down = _job("down", layer.down)
            self._attend(index, output, rows)
            self._product(rows.jobs[output], layer.output, b.y, (0,))
            self._norm(gate_up, layer.ffn_norm, made, rows)
            up = b.gate_up.strides[0] // 2
            self._product(rows.jobs[gate_up], layer.gate_up, b.gate_up, (0, up))
            self._gate(down, up, rows)
            self._product(rows.jobs[down], layer.down, b.y, (0,))
            before = made
        head = _job("head", self._model.head)
        self._norm(head, self._model.output_norm, made, rows)
        self.logits = self._product(rows.jobs[head], self._model.head, None, (0,))
        """The head's part, whose results go elsewhere in each step."""
        return self._w.finish()

    def _keys_and_values(self, index: int, layer: StepLayer) -> None:
        config, b = self._config, self._b
        columns = [0, config.num_heads * config.head_size]
        columns.append(columns[1] + config.kv_size)
        offsets = [4 * column for column in columns]
        self._product(self.jobs[_job("qkv", layer.qkv)], layer.qkv, b.qkv, offsets)
        rope = self._w.record(
            ROPE_FIELDS,
            **self._heads(index),
            qkv=b.qkv.ctypes.data,
            stride=b.qkv.strides[0],
            bias=layer.bias.ctypes.data,
            scale=float_bits(config.head_size**-0.5),
        )
        self._line(f"rope_{config.rope_style}", rope, "row_groups")

    def _attend(self, index: int, job: Job, rows: _Rows) -> None:
        config, b = self._config, self._b
        units = self.step.field(STEP_FIELDS, rows.units)
        attend = self._w.record(ATTEND_FIELDS, **self._heads(index), units=units)
        self._line("attend", attend, rows.units)
        merge = self._w.record(
            MERGE_FIELDS,
            out=b.attended.ctypes.data,
            stride=b.attended.strides[0],
            heads=config.num_heads,
            vectors=config.head_size // LANES,
            rows=rows.numbers.ctypes.data,
            job=rows.jobs[job],
        )
        self._line("merge", merge, rows.rows)

    def _heads(self, index: int) -> dict[str, int]:
        """Queries, and where a layer's keys and values lie in a cache's block."""
        config, q = self._config, self._b.q
        group_bytes = 4 * BLOCK_TOKENS * config.head_size
        return {
            "q": q.ctypes.data,
            "q_stride": q.strides[0],
            "layer": index * 2 * config.num_kv_heads * group_bytes,
            "groups": config.num_kv_heads,
            "shared": config.group_size,
            "vectors": config.head_size // LANES,
            "values": config.num_kv_heads * group_bytes,
            "group_stride": group_bytes,
        }

    def _norm(self, job: Job, weight: F32, y: tuple[F32, int], rows: _Rows) -> None:
        b, config = self._b, self._config
        record = self._w.record(
            NORM_FIELDS,
            x=b.x.ctypes.data,
            x_stride=b.x.strides[0],
            y=y[0].ctypes.data,
            y_stride=y[1],
            rows=rows.numbers.ctypes.data,
            weight=weight.ctypes.data,
            inverse_size=float_bits(1 / config.hidden_size),
            eps=float_bits(config.rms_eps),
            job=rows.jobs[job],
        )
        self._line("norm", record, rows.rows)

    def _gate(self, job: Job, up: int, rows: _Rows) -> None:
        blocks = self._b.blocks["down"]
        span = self._span("down")
        chunk = -(-blocks // (_PIECES_PER_THREAD * self._threads * span)) * span
        self.pieces = -(-blocks // chunk)
        record = self._w.record(
            GATE_FIELDS,
            source=self._b.gate_up.ctypes.data,
            stride=self._b.gate_up.strides[0],
            up=up,
            pieces=self.pieces,
            chunk=chunk,
            job=rows.jobs[job],
        )
        self._line("gate", record, rows.pieces)

    def _line(self, name: str, record: Place, units: str) -> None:
        ends = Place(record + FIELD_BYTES), self.step.field(STEP_FIELDS, units)
        self._w.line(self._functions[name], record, self.step, ends=ends)

    def _product(
        self, job: Place, parts: Sequence[PackedMatrix], out: F32 | None, offsets: Sequence[int]
    ) -> Place:
        """Parts whose results begin ``offsets`` bytes behind ``out``; place of the first part."""
        start = 0 if out is None else out.ctypes.data
        calls = []
        for part, offset in zip(parts, offsets, strict=True):
            record = self._w.record(
                PART_FIELDS,
                function=self._functions[part.kind],
                records=part.records.ctypes.data,
                groups=len(part.records),
                pairs=-(-part.shape[1] // COLUMNS),
                out=start + offset,
                share=SHARES_PER_THREAD * self._threads,
            )
            calls.append((self._functions[part.kind], record))
        self._w.lines_at_once(calls, job, ends=_ENDS)
        return calls[0][1]

    def _jobs(self, names: Iterable[str]) -> dict[Job, Place]:
        """Of every span that the blocks of an input can be divided into."""
        spans = {name: {1, self._span(name)} for name in names}
        return {(name, span): self._memory(name, span) for name in spans for span in spans[name]}

    def _span(self, name: str) -> int:
        """The longest span of an input."""
        return MOST_SPAN if self._b.blocks[name] % MOST_SPAN == 0 else 1

    def _memory(self, name: str, span: int) -> Place:
        memory, blocks = self._b.rounded[name], self._b.blocks[name]
        room = len(memory) // ACTIVATION_BYTES
        codes = memory.ctypes.data
        return self._w.record(
            JOB_FIELDS,
            codes=codes,
            factors=codes + room * BLOCK,
            span=span,
            blocks=blocks,
            out_stride=self._b.strides[name],
        )


def _job(name: str, parts: Sequence[PackedMatrix]) -> Job:
    return name, span_of(part.kind for part in parts)
