"""The products themselves: 16 rows of packed weights times rows of activations.

A block of 32 weights of a row contributes ``(s a) * dot(c - zero, i)`` to its row's sum (``s``,
``c`` and ``zero`` as in :mod:`sparkcode.model.blocks`, ``a`` and ``i`` the activations of
:mod:`~sparkcode.model.kernels.quantise`), kinds with minima less ``m * (a sum(i))``. The dot
product is an exact integer (:mod:`~sparkcode.model.kernels.dots`). In float32, in the order of the
blocks::

    total = fma(dot, s * a, total)
    total = fma(-m, a * sum(i), total)

One row of activations and many go through the same operations in the same order, so a batch's rows
equal single ones bit for bit.

**One or two rows** wait for memory: weights are unpacked into registers, used and forgotten, and
the sums stay in registers as well. **More rows** share the unpacking: a record's codes and scales
go into a scratch of a few kilobytes in the L1 cache, and tiles of activations pass over it. A tile
of 4 rows (of 8 with 32 registers) holds its integer sums in registers, so a loaded weight is used 4
times and a broadcast activation for all 16 rows. Its float sums lie in the L1 cache: they are
touched once a block. Up to the number of rows where arithmetic takes as long as the weights take
to arrive, further rows cost nothing.

Arguments are 64-bit integers. A **job** describes the activations, a **part** one matrix; both are
arrays of such integers, with the fields named below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from llvmlite import ir

from sparkcode.model.blocks import BLOCK
from sparkcode.model.kernels.dots import Dot
from sparkcode.model.kernels.instructions import AVX2, InstructionSet
from sparkcode.model.kernels.quantise import FACTORS_BYTES, emit_quantise
from sparkcode.model.kernels.unpack import (
    LAYOUTS,
    SCRATCH_BYTES,
    VECTORS,
    Layout,
    PackedBlock,
    RecordKind,
    ScratchBlock,
    Source,
    write_scratch,
)
from sparkcode.model.kernels.vocabulary import FLOAT, I32, I64, Emitter, Value
from sparkcode.model.kernels.wide import Wide

TILE_ROWS = 64
"""Rows of activations that share one unpacking of a block: their sums stay in the L1 cache."""

JOB_FIELDS = ("codes", "factors", "sums", "rows", "blocks", "out_stride", "parts", "count")
"""Addresses of the activations (see ``quantise``), T, blocks padded to pairs, bytes between rows
of the result, address and number of the parts."""
PART_FIELDS = ("function", "records", "groups", "pairs", "out", "chunk", "next", "done")
"""Address of ``multiply_<kind>``, of the records [groups, pairs], of the result's first column,
groups a thread takes at once, the counter that threads take them from, and the count of those
that are finished: who reads there that all are may read every result."""

_FIELD_BYTES = 8
_GROUP_BYTES = 64  # 16 float32 results, also 16 rows x 4 codes
_CACHE_LINE_BYTES = 64
_UNROLLED = 2  # blocks
_FEW = (1, 2)  # rows
_PREFETCH_BYTES = 4096
"""How far ahead weights are asked for: the hardware's own prefetching ends with each page."""


@dataclass(frozen=True, slots=True)
class _Activations:
    """Where rows lie: codes [blocks, T, 32], factors [blocks, T, 2], pair sums [blocks, T]; T."""

    codes: Value
    factors: Value
    sums: Value
    rows: Value

    def row(self, e: Emitter, t: int) -> _Activations:
        """From row t on."""
        factors, sums = e.add(self.factors, FACTORS_BYTES * t), e.add(self.sums, 4 * t)
        return _Activations(e.add(self.codes, BLOCK * t), factors, sums, self.rows)

    def after(self, e: Emitter, places: Value) -> _Activations:
        """``places`` further on; there are T to a block."""
        return _Activations(
            codes=e.add(self.codes, e.mul(places, BLOCK)),
            factors=e.add(self.factors, e.mul(places, FACTORS_BYTES)),
            sums=e.add(self.sums, e.mul(places, 4)),
            rows=self.rows,
        )


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of 16 rows of weights."""

    kind: RecordKind
    start: Value
    count: Value


def emit_module(isa: InstructionSet = AVX2) -> ir.Module:
    """``quantise``, ``multiply_<kind>`` for each kind, and ``run``."""
    module = ir.Module("sparkcode")
    emit_quantise(module)
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
    room = e.scratch(TILE_ROWS * _GROUP_BYTES), e.scratch(layout.blocks * SCRATCH_BYTES)
    next_group, done = (
        e.add(part, PART_FIELDS.index(name) * _FIELD_BYTES) for name in ("next", "done")
    )
    count, _ = e.divide(p["pairs"], e.whole(layout.blocks // 2))
    group_bytes = e.mul(count, layout.nbytes)

    def take() -> None:
        first = e.claim(next_group, p["chunk"])
        e.return_unless(first, p["groups"])
        groups = e.smaller(p["chunk"], e.sub(p["groups"], first))

        def tile(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            row = e.mul(index, TILE_ROWS)
            x = _activations(e, j, row)

            def group(index: Value, _: Sequence[Value]) -> Sequence[Value]:
                own = e.add(first, index)
                column = e.add(p["out"], e.mul(own, _GROUP_BYTES))
                out = e.add(column, e.mul(row, j["out_stride"]))
                records = _Records(kind, e.add(p["records"], e.mul(own, group_bytes)), count)
                place = out, j["out_stride"]
                e.choose(
                    x.rows,
                    {size: partial(_few_rows, e, records, x, size, place) for size in _FEW},
                    partial(_rows, e, records, x, room, place),
                )
                return ()

            e.repeat(groups, (), group)
            return ()

        e.repeat(e.tiles_of(j["rows"], TILE_ROWS), (), tile)
        e.publish(done, groups)

    e.forever(take)
    return e.function


def _activations(e: Wide, job: Mapping[str, Value], row: Value) -> _Activations:
    """The tile that begins with ``row``."""
    rows = e.smaller(e.sub(job["rows"], row), TILE_ROWS)
    first = _Activations(job["codes"], job["factors"], job["sums"], rows)
    return first.after(e, e.mul(row, job["blocks"]))


def _few_rows(
    e: Wide, records: _Records, x: _Activations, size: int, place: tuple[Value, Value]
) -> None:
    """One or two rows of activations: weights and sums stay in registers."""
    kind, layout = records.kind, LAYOUTS[records.kind]
    out, stride = place
    sums = [(t, half) for t in range(size) for half in e.halves]

    def add(
        record: Value, first: Value, block: Value | int, totals: Sequence[Value]
    ) -> Sequence[Value]:
        _ask_ahead(e, layout, record, block)
        source = PackedBlock(e, kind, record, block)
        rows = x.after(e, e.mul(e.add(first, block), size))
        dots = _dots(e, kind, source, rows, size)
        factors = [_factors(e, kind, rows.row(e, t)) for t in range(size)]
        return [
            _add(e, source, factors[t], half, dots[t][half], total)
            for (t, half), total in zip(sums, totals, strict=True)
        ]

    def each(index: Value, totals: Sequence[Value]) -> Sequence[Value]:
        record = _record(e, records, index)
        first = e.mul(index, layout.blocks)
        if layout.blocks == _UNROLLED:
            for block in range(_UNROLLED):
                totals = add(record, first, block, totals)
            return totals
        return e.repeat(e.whole(layout.blocks), totals, lambda n, old: add(record, first, n, old))

    totals = e.repeat(records.count, [e.constant(e.floats, 0.0) for _ in sums], each)
    for (t, half), total in zip(sums, totals, strict=True):
        e.store(total, e.add(out, e.mul(stride, t)), e.half_bytes * half)


def _rows(
    e: Wide,
    records: _Records,
    x: _Activations,
    room: tuple[Value, Value],
    place: tuple[Value, Value],
) -> None:
    """Several rows of activations: a record is unpacked once; the sums lie in memory as well."""
    (totals, scratch), (out, stride) = room, place
    layout = LAYOUTS[records.kind]

    def clear(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in e.halves:
            e.store(e.constant(e.floats, 0.0), e.at(totals, t, _GROUP_BYTES, e.half_bytes * half))
        return ()

    def each(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        record = _record(e, records, index)

        def unpack(n: Value, _: Sequence[Value]) -> Sequence[Value]:
            _ask_ahead(e, layout, record, n)
            write_scratch(PackedBlock(e, records.kind, record, n), e.at(scratch, n, SCRATCH_BYTES))
            return ()

        e.repeat(e.whole(layout.blocks), (), unpack)
        own = x.after(e, e.mul(e.mul(index, layout.blocks), x.rows))
        _tiles(e, records.kind, own, scratch, totals)
        return ()

    def copy(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in e.halves:
            value = e.load(e.floats, e.at(totals, t, _GROUP_BYTES, e.half_bytes * half))
            e.store(value, e.add(out, e.mul(t, stride)), e.half_bytes * half)
        return ()

    e.repeat(x.rows, (), clear)
    e.repeat(records.count, (), each)
    e.repeat(x.rows, (), copy)


def _tiles(e: Wide, kind: RecordKind, x: _Activations, scratch: Value, totals: Value) -> None:
    """All rows of activations with the record in ``scratch``: the largest tiles first."""
    largest = e.isa.tiles[0]

    def whole(n: Value, _: Sequence[Value]) -> Sequence[Value]:
        tile(e.mul(n, largest), largest)
        return ()

    def tile(first: Value, size: int) -> None:
        _tile(e, kind, x.after(e, first), (scratch, e.at(totals, first, _GROUP_BYTES)), size)

    count, _ = e.divide(x.rows, e.whole(largest))
    e.when_any(count, lambda: e.repeat(count, (), whole))
    for size in e.isa.tiles[1:]:
        e.when_any(e.bits(x.rows, size), partial(tile, e.bits(x.rows, -2 * size), size))


def _tile(e: Wide, kind: RecordKind, x: _Activations, room: tuple[Value, Value], size: int) -> None:
    """Add a record's products to the sums of ``size`` rows, with which ``x`` and the sums begin."""
    scratch, totals = room
    layout = LAYOUTS[kind]

    def block(n: Value, _: Sequence[Value]) -> Sequence[Value]:
        source = ScratchBlock(e, kind, e.at(scratch, n, SCRATCH_BYTES))
        row = x.after(e, e.mul(n, x.rows))
        dots = _dots(e, kind, source, row, size)
        for t in range(size):
            factors = _factors(e, kind, row.row(e, t))
            for half in e.halves:
                at = e.add(totals, _GROUP_BYTES * t + e.half_bytes * half)
                total = e.load(e.floats, at)
                e.store(_add(e, source, factors, half, dots[t][half], total), at)
        return ()

    e.repeat(e.whole(layout.blocks), (), block)


def _dots(e: Wide, kind: RecordKind, source: Source, x: _Activations, size: int) -> list[list[Dot]]:
    """A block's integer products with ``size`` rows: [size][halves]."""
    ordered = size > max(_FEW)
    dots = [
        [Dot(e, kind, e.add(x.sums, 4 * t), ordered=ordered) for _ in e.halves] for t in range(size)
    ]
    for number in range(VECTORS):
        vectors = [source.vector(number, half) for half in e.halves]
        for t in range(size):
            word = e.broadcast(I32, x.codes, BLOCK * t + 4 * number)
            activations = e.cast(word, e.bytes)
            for half in e.halves:
                dots[t][half].take(number, vectors[half], activations)
    return dots


def _factors(e: Wide, kind: RecordKind, x: _Activations) -> tuple[Value, Value | None]:
    """``a`` of the first row of ``x`` and, for kinds with minima, ``a sum(i)``: in every lane."""
    a = e.broadcast(FLOAT, x.factors)
    return a, e.broadcast(FLOAT, x.factors, 4) if LAYOUTS[kind].minima else None


def _add(
    e: Wide,
    source: Source,
    factors: tuple[Value, Value | None],
    half: int,
    dot: Dot,
    total: Value,
) -> Value:
    """``total`` and the contribution of one half with a row of activations."""
    a, offset = factors
    total = e.fused(dot.result(), e.times(source.scale(half), a), total)
    minimum = source.minimum(half)
    if minimum is None or offset is None:
        return total
    return e.fused(minimum, offset, total)


def _record(e: Wide, records: _Records, index: Value) -> Value:
    """Address of a record."""
    return e.add(records.start, e.mul(index, LAYOUTS[records.kind].nbytes))


def _ask_ahead(e: Wide, layout: Layout, record: Value, block: Value | int) -> None:
    """Ask for a block's share of the lines that come later."""
    share = -(-layout.nbytes // (layout.blocks * _CACHE_LINE_BYTES)) * _CACHE_LINE_BYTES
    start = e.at(record, block, share)
    for line in range(0, share, _CACHE_LINE_BYTES):
        e.prefetch(start, _PREFETCH_BYTES + line)


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
