"""The products themselves: 16 rows of packed weights times rows of activations.

What a record of weights adds to a sum is in :mod:`~sparkcode.model.kernels.sums`; here is how often
it is unpacked.

Threads take groups of 16 rows of weights, in long stretches first and then in shorter ones: where
one thread's stretch ends, what was asked for ahead is lost to it.

**One or two rows** wait for memory: weights are unpacked into registers, used and forgotten, and
the sums stay in registers as well. **More rows** share the unpacking: a record's codes and scales
go into a scratch of a few kilobytes in the L1 cache, and tiles of activations pass over it. A tile
of 4 rows (of 12 with 32 registers) holds its integer sums in registers, so a loaded weight is used
4 times and a broadcast activation for all 16 rows. Its other sums lie in the L1 cache, where they
are touched once a block, or with 32 registers once a record. Up to the number of rows where
arithmetic takes as long as the weights take to arrive, further rows cost nothing.

Arguments are 64-bit integers. A **job** describes the activations, a **part** one matrix; both are
arrays of such integers, with the fields named below. A line of a program passes its record and
context as part and job (:mod:`~sparkcode.model.kernels.flow`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from llvmlite import ir

from sparkcode.model.kernels.instructions import AVX2, InstructionSet
from sparkcode.model.kernels.quantise import emit_quantise
from sparkcode.model.kernels.sums import (
    FEW,
    GROUP_BYTES,
    Activations,
    add_in_memory,
    add_in_registers,
    ask_ahead,
)
from sparkcode.model.kernels.unpack import (
    LAYOUTS,
    RECORD_BYTES,
    SCRATCH_BYTES,
    PackedBlock,
    PackedRecord,
    RecordKind,
    write_record,
    write_scratch,
)
from sparkcode.model.kernels.vocabulary import I64, Emitter, Value
from sparkcode.model.kernels.wide import Wide

TILE_ROWS = 72
"""Rows of activations that share one unpacking of a record: their sums stay in the L1 cache. A
multiple of the largest tiles."""

JOB_FIELDS = ("codes", "factors", "span", "rows", "blocks", "out_stride", "parts", "count")
"""Addresses of the activations and their span (see ``quantise``), T, blocks padded to pairs, bytes
between rows of the result, address and number of the parts."""
PART_FIELDS = ("function", "records", "groups", "pairs", "out", "share", "next", "done")
"""Address of ``multiply_<kind>``, of the records [groups, pairs], of the result's first column,
which share of what is left a thread takes at once (a quarter: 4), the counter that threads take
groups from, and the count of those that are finished: who reads there that all are may read every
result."""
LEAST_BYTES = 1 << 16
"""Weights a thread takes at least: enough for the hardware's prefetching."""

_FIELD_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of 16 rows of weights."""

    kind: RecordKind
    start: Value
    count: Value


def emit_module(isa: InstructionSet = AVX2) -> ir.Module:
    """``quantise``, ``multiply_<kind>`` for each kind, and ``run``."""
    module = ir.Module("sparkcode")
    emit_quantise(module, lanes=isa.lanes)
    for kind in LAYOUTS:
        emit_multiply(module, kind, isa)
    emit_run(module)
    return module


def emit_multiply(module: ir.Module, kind: RecordKind, isa: InstructionSet) -> ir.Function:
    """``multiply_<kind>(part, job)``: take groups of the part until none is left."""
    e = Wide(module, f"multiply_{kind}", 2, isa=isa)
    part, job = e.arguments
    p = {name: e.load(I64, part, i * _FIELD_BYTES) for i, name in enumerate(PART_FIELDS)}
    j = {name: e.load(I64, job, i * _FIELD_BYTES) for i, name in enumerate(JOB_FIELDS)}
    layout = LAYOUTS[kind]
    room = (
        e.scratch(TILE_ROWS * GROUP_BYTES),
        e.scratch(layout.blocks * SCRATCH_BYTES + RECORD_BYTES),
        e.scratch(isa.tiles[0] * GROUP_BYTES),
    )
    next_group, done = (
        e.add(part, PART_FIELDS.index(name) * _FIELD_BYTES) for name in ("next", "done")
    )
    count, _ = e.divide(p["pairs"], e.whole(layout.blocks // 2))
    group_bytes = e.mul(count, layout.nbytes)

    least = e.larger(e.divide(e.whole(LEAST_BYTES), group_bytes)[0], e.whole(1))
    # Tiles of rows read what is taken again and again: it has to stay in the L2 cache.
    share = e.where_less(j["rows"], TILE_ROWS + 1, p["share"], p["groups"])

    def take() -> None:
        taken = e.smaller(e.load(I64, next_group), p["groups"])
        left, _ = e.divide(e.sub(p["groups"], taken), share)
        size = e.larger(left, least)  # whatever others take meanwhile
        first = e.claim(next_group, size)
        e.return_unless(first, p["groups"])
        groups = e.smaller(size, e.sub(p["groups"], first))

        def tile(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            row = e.mul(index, TILE_ROWS)
            x = _activations(e, j, row)

            def group(index: Value, _: Sequence[Value]) -> Sequence[Value]:
                own = e.add(first, index)
                column = e.add(p["out"], e.mul(own, GROUP_BYTES))
                out = e.add(column, e.mul(row, j["out_stride"]))
                records = _Records(kind, e.add(p["records"], e.mul(own, group_bytes)), count)
                place = out, j["out_stride"]
                e.choose(
                    x.rows,
                    {size: partial(_few_rows, e, records, x, size, place) for size in FEW},
                    partial(_rows, e, records, x, room, place),
                )
                return ()

            e.repeat(groups, (), group)
            return ()

        e.repeat(e.tiles_of(j["rows"], TILE_ROWS), (), tile)
        e.publish(done, groups)

    e.forever(take)
    return e.function


def _activations(e: Wide, job: Mapping[str, Value], row: Value) -> Activations:
    """The tile that begins with ``row``."""
    rows = e.smaller(e.sub(job["rows"], row), TILE_ROWS)
    first = Activations(job["codes"], job["factors"], rows)
    return first.after(e, e.mul(row, job["blocks"]))


def _few_rows(
    e: Wide, records: _Records, x: Activations, size: int, place: tuple[Value, Value]
) -> None:
    """One or two rows of activations: weights and sums stay in registers."""
    kind, layout = records.kind, LAYOUTS[records.kind]
    out, stride = place
    sums = [(t, half) for t in range(size) for half in e.halves]

    def each(index: Value, totals: Sequence[Value]) -> Sequence[Value]:
        own = x.after(e, e.mul(index, layout.blocks * size))
        return add_in_registers(e, kind, _record(e, records, index), own, totals)

    totals = e.repeat(records.count, [e.constant(e.floats, 0.0) for _ in sums], each)
    for (t, half), total in zip(sums, totals, strict=True):
        e.store(total, e.add(out, e.mul(stride, t)), e.register_bytes * half)


def _rows(
    e: Wide,
    records: _Records,
    x: Activations,
    room: tuple[Value, Value, Value],
    place: tuple[Value, Value],
) -> None:
    """Several rows of activations: a record is unpacked once; the sums lie in memory as well."""
    (totals, scratch, _), (out, stride) = room, place
    layout = LAYOUTS[records.kind]

    def clear(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in e.halves:
            e.store(
                e.constant(e.floats, 0.0), e.at(totals, t, GROUP_BYTES, e.register_bytes * half)
            )
        return ()

    def each(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        record = _record(e, records, index)

        def unpack(n: Value, _: Sequence[Value]) -> Sequence[Value]:
            ask_ahead(e, layout, record, n)
            write_scratch(PackedBlock(e, records.kind, record, n), e.at(scratch, n, SCRATCH_BYTES))
            return ()

        e.repeat(e.whole(layout.blocks), (), unpack)
        if layout.whole:
            write_record(PackedRecord(e, record), e.add(scratch, layout.blocks * SCRATCH_BYTES))
        own = x.after(e, e.mul(e.mul(index, layout.blocks), x.rows))
        _tiles(e, records.kind, own, room)
        return ()

    def copy(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in e.halves:
            value = e.load(e.floats, e.at(totals, t, GROUP_BYTES, e.register_bytes * half))
            e.store(value, e.add(out, e.mul(t, stride)), e.register_bytes * half)
        return ()

    e.repeat(x.rows, (), clear)
    e.repeat(records.count, (), each)
    e.repeat(x.rows, (), copy)


def _tiles(e: Wide, kind: RecordKind, x: Activations, room: tuple[Value, Value, Value]) -> None:
    """All rows of activations with the record in the scratch: the largest tiles first."""
    totals, scratch, ints = room
    largest = e.isa.tiles[0]

    def whole(n: Value, _: Sequence[Value]) -> Sequence[Value]:
        tile(e.mul(n, largest), largest)
        return ()

    def tile(first: Value, size: int) -> None:
        own = scratch, e.opaque(e.at(totals, first, GROUP_BYTES)), ints
        add_in_memory(e, kind, x.after(e, first).opaque(e), own, size)

    count, rest = e.divide(x.rows, e.whole(largest))
    e.when_any(count, lambda: e.repeat(count, (), whole))
    done = e.mul(count, largest)
    for size in e.isa.tiles[1:]:
        first = e.add(done, e.bits(rest, -2 * size))
        e.when_any(e.bits(rest, size), partial(tile, first, size))


def _record(e: Wide, records: _Records, index: Value) -> Value:
    """Address of a record."""
    return e.add(records.start, e.mul(index, LAYOUTS[records.kind].nbytes))


def emit_run(module: ir.Module) -> ir.Function:
    """``run(job)``: a thread's share of every part."""
    e = Emitter(module, "run", 1)
    (job,) = e.arguments
    parts = e.load(I64, job, JOB_FIELDS.index("parts") * _FIELD_BYTES)
    count = e.load(I64, job, JOB_FIELDS.index("count") * _FIELD_BYTES)

    def each(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        part = e.add(parts, e.mul(index, len(PART_FIELDS) * _FIELD_BYTES))
        e.call(e.load(I64, part), (part, job))
        return ()

    e.repeat(count, (), each)
    return e.finish()
