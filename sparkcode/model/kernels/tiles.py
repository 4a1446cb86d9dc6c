"""The products themselves: 16 rows of packed weights times a few rows of activations.

Activations are rounded to 8 bit, 32 at a time, like the weights: ``x = a * i``, with ``a`` the
block's largest magnitude / 127. A block then contributes ``(s a) * dot(c - zero, i)`` to its row's
sum (``s``, ``c`` and ``zero`` as in :mod:`sparkcode.model.blocks`), for ``q4`` less
``(m a) * sum(i)``. The dot product is exact: ``vpmaddubsw`` adds two products of an unsigned and a
signed byte in 16 bits, and those sums are added while they cannot overflow:

====  ==================================  ======================================================
kind  operands                            greatest sum in 16 bits
====  ==================================  ======================================================
q4    ``c`` (0 to 15) and ``i``           8 vectors: 8 * 2 * 15 * 127 = 30,480
q5    ``c`` (0 to 31) and ``i``           4 vectors: 4 * 2 * 31 * 127 = 31,496; less 16 sum(i)
q8    ``|c - 128|``, ``i sign(c - 128)``  1 vector: 2 * 128 * 127 = 32,512
====  ==================================  ======================================================

Contributions are added in the order of the blocks, each product and sum rounded to float32. One
row of activations and many go through the same operations in the same order, so a batch's rows
equal single ones bit for bit.

Arguments are 64-bit integers. A **job** describes the activations, a **part** one matrix; both are
arrays of such integers, with the fields named below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llvmlite import ir

from sparkcode.model.blocks import BLOCK, Kind
from sparkcode.model.kernels.attend import emit_attend
from sparkcode.model.kernels.vocabulary import (
    BYTES,
    FLOAT,
    FLOATS,
    HALVES,
    I32,
    I64,
    INTS,
    LANES,
    Emitter,
    Value,
)
from sparkcode.model.records import RECORD_BYTES

TILE_ROWS = 64
"""Rows of activations that share one unpacking of a block: their sums stay in the L1 cache."""

JOB_FIELDS = ("codes", "scales", "sums", "rows", "blocks", "out_stride", "parts", "count")
"""Addresses of the activations (see ``quantise``), T, blocks padded to pairs, bytes between rows
of the result, address and number of the parts."""
PART_FIELDS = ("function", "records", "groups", "pairs", "out", "chunk", "next", "unused")
"""Address of ``multiply_<kind>``, of the records [groups, pairs], of the result's first column,
groups a thread takes at once, and the counter that threads take them from."""

_FIELD_BYTES = 8
_GROUP_BYTES = 64  # 16 float32 results, also 16 rows x 4 codes
_CACHE_LINE_BYTES = 64
_PREFETCH_BYTES = 4096
"""How far ahead weights are asked for: the hardware's own prefetching ends with each page."""
_SMALLEST = 1e-30
"""A block whose largest magnitude is below counts as zeros: 127 / magnitude could overflow."""


@dataclass(frozen=True, slots=True)
class _Activations:
    """Where one tile's rows lie: codes [blocks, T, 32], scales and sums [blocks, T]."""

    codes: Value
    scales: Value
    sums: Value
    rows: Value


def emit_module() -> ir.Module:
    """``quantise``, ``multiply_q4``, ``multiply_q5``, ``multiply_q8``, ``run`` and ``attend``."""
    module = ir.Module("sparkcode")
    emit_quantise(module)
    for kind in RECORD_BYTES:
        emit_multiply(module, kind)
    emit_run(module)
    emit_attend(module)
    return module


def emit_quantise(module: ir.Module) -> ir.Function:
    """``quantise(x, stride, rows, blocks, codes, scales, sums)``: one tile of activations.

    x float32 [rows, blocks * 32], ``stride`` bytes between rows -> int8 [blocks, rows, 32],
    float32 and int32 [blocks, rows].
    """
    e = Emitter(module, "quantise", 7)
    x, stride, rows, blocks, codes, scales, sums = e.arguments
    step = e.mul(rows, BLOCK)

    def row(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        first = e.add(x, e.mul(t, stride))
        own = e.add(codes, e.mul(t, BLOCK))

        def block(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.add(first, e.mul(index, BLOCK * 4))
            place = e.mul(e.add(e.mul(index, rows), t), 4)
            scale, total = _quantise_block(e, at, e.add(own, e.mul(index, step)))
            e.store(scale, e.add(scales, place))
            e.store(total, e.add(sums, place))
            return ()

        e.repeat(blocks, (), block)
        return ()

    e.repeat(rows, (), row)
    return e.finish()


def _quantise_block(e: Emitter, x: Value, codes: Value) -> tuple[Value, Value]:
    """Round 32 floats to bytes; returns their scale and the bytes' sum."""
    values = [e.load(FLOATS, x, 32 * part) for part in range(4)]
    sizes = [e.magnitude(value) for value in values]
    largest = e.largest(e.greater(e.greater(sizes[0], sizes[1]), e.greater(sizes[2], sizes[3])))
    inverse = e.over(e.number(127.0), largest)
    factor = e.splat(e.where_above(largest, _SMALLEST, inverse, e.number(0.0)))
    total = e.constant(INTS, 0)
    for part, value in enumerate(values):
        rounded, ints = e.to_int8(e.times(value, factor))
        e.store(rounded, codes, LANES * part)
        total = e.plus(total, ints)
    return e.over(largest, e.number(127.0)), e.total(total)


def emit_multiply(module: ir.Module, kind: Kind) -> ir.Function:
    """``multiply_<kind>(part, job)``: take groups of the part until none is left."""
    e = Emitter(module, f"multiply_{kind}", 2)
    part, job = e.arguments
    p = {name: e.load(I64, part, i * _FIELD_BYTES) for i, name in enumerate(PART_FIELDS)}
    j = {name: e.load(I64, job, i * _FIELD_BYTES) for i, name in enumerate(JOB_FIELDS)}
    totals = e.scratch(TILE_ROWS * _GROUP_BYTES)
    next_group = e.add(part, PART_FIELDS.index("next") * _FIELD_BYTES)
    group_bytes = e.mul(p["pairs"], RECORD_BYTES[kind])

    def take() -> None:
        first = e.claim(next_group, p["chunk"])
        e.return_unless(first, p["groups"])
        count = e.smaller(p["chunk"], e.sub(p["groups"], first))

        def tile(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            row = e.mul(index, TILE_ROWS)
            x = _activations(e, j, row)

            def group(index: Value, _: Sequence[Value]) -> Sequence[Value]:
                own = e.add(first, index)
                records = e.add(p["records"], e.mul(own, group_bytes))
                column = e.add(p["out"], e.mul(own, _GROUP_BYTES))
                out = e.add(column, e.mul(row, j["out_stride"]))
                place = out, j["out_stride"], totals
                e.choose(
                    x.rows,
                    1,
                    lambda: _one_row(e, kind, records, p["pairs"], x, out),
                    lambda: _rows(e, kind, records, p["pairs"], x, place),
                )
                return ()

            e.repeat(count, (), group)
            return ()

        e.repeat(e.tiles_of(j["rows"], TILE_ROWS), (), tile)

    e.forever(take)
    return e.function


def _activations(e: Emitter, job: Mapping[str, Value], row: Value) -> _Activations:
    """The tile that begins with ``row``."""
    before = e.mul(row, job["blocks"])
    return _Activations(
        codes=e.add(job["codes"], e.mul(before, BLOCK)),
        scales=e.add(job["scales"], e.mul(before, 4)),
        sums=e.add(job["sums"], e.mul(before, 4)),
        rows=e.smaller(e.sub(job["rows"], row), TILE_ROWS),
    )


def _one_row(
    e: Emitter, kind: Kind, records: Value, pairs: Value, x: _Activations, out: Value
) -> None:
    """One row of activations: the sums stay in registers."""

    def pair(index: Value, totals: Sequence[Value]) -> Sequence[Value]:
        record = e.add(records, e.mul(index, RECORD_BYTES[kind]))
        for line in range(0, RECORD_BYTES[kind], _CACHE_LINE_BYTES):
            e.prefetch(record, _PREFETCH_BYTES + line)
        results = list(totals)
        for block in (0, 1):
            number = e.add(e.mul(index, 2), block)
            codes = e.add(x.codes, e.mul(number, BLOCK))
            place = e.mul(number, 4)
            for half in (0, 1):
                weights = unpack(e, kind, record, block, half)
                results[half] = weights.accumulate(
                    e, results[half], codes, e.add(x.scales, place), e.add(x.sums, place)
                )
        return results

    zero = e.constant(FLOATS, 0.0)
    totals = e.repeat(pairs, (zero, zero), pair)
    for half in (0, 1):
        e.store(totals[half], out, 32 * half)


def _rows(
    e: Emitter,
    kind: Kind,
    records: Value,
    pairs: Value,
    x: _Activations,
    place: tuple[Value, Value, Value],
) -> None:
    """Several rows of activations: a block is unpacked once, the sums lie in ``totals``."""
    out, stride, totals = place

    def clear(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in (0, 1):
            e.store(e.constant(FLOATS, 0.0), e.add(totals, e.mul(t, _GROUP_BYTES)), 32 * half)
        return ()

    def pair(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        record = e.add(records, e.mul(index, RECORD_BYTES[kind]))
        for block in (0, 1):
            before = e.mul(e.add(e.mul(index, 2), block), x.rows)
            for half in (0, 1):
                weights = unpack(e, kind, record, block, half)
                _accumulate_rows(e, weights, x, before, e.add(totals, 32 * half))
        return ()

    def copy(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        for half in (0, 1):
            value = e.load(FLOATS, e.add(totals, e.mul(t, _GROUP_BYTES)), 32 * half)
            e.store(value, e.add(out, e.mul(t, stride)), 32 * half)
        return ()

    e.repeat(x.rows, (), clear)
    e.repeat(pairs, (), pair)
    e.repeat(x.rows, (), copy)


def _accumulate_rows(
    e: Emitter, weights: Weights, x: _Activations, before: Value, totals: Value
) -> None:
    """Add half a block's products to every row's sum; ``before`` blocks lie before row 0's."""
    place = e.mul(before, 4)
    start = (
        totals,
        e.add(x.codes, e.mul(before, BLOCK)),
        e.add(x.scales, place),
        e.add(x.sums, place),
    )
    steps = (_GROUP_BYTES, BLOCK, 4, 4)

    def row(_: Value, places: Sequence[Value]) -> Sequence[Value]:
        total, codes, scale, sum_ = places
        result = weights.accumulate(e, e.load(FLOATS, total), codes, scale, sum_)
        e.store(result, total)
        return [e.add(place, step) for place, step in zip(places, steps, strict=True)]

    e.repeat(x.rows, start, row)


@dataclass(frozen=True, slots=True)
class Weights:
    """Half a block, 8 rows x 32 weights, in registers."""

    kind: Kind
    vectors: tuple[Value, ...]
    """8 of BYTES: 8 rows x 4 weights each; for q8 less 128, otherwise the unsigned codes."""
    scales: Value
    minima: Value | None

    def accumulate(
        self, e: Emitter, total: Value, codes: Value, scale: Value, sum_: Value
    ) -> Value:
        """``total`` FLOATS and the half block's product with the activations at ``codes``."""
        a = e.splat(e.load(FLOAT, scale))
        dot = e.to_floats(self._dot(e, codes, sum_))
        total = e.plus(total, e.times(dot, e.times(self.scales, a)))
        if self.minima is None:
            return total
        sums = e.to_floats(e.splat(e.load(I32, sum_)))
        return e.minus(total, e.times(sums, e.times(self.minima, a)))

    def _dot(self, e: Emitter, codes: Value, sum_: Value) -> Value:
        """Integer dot products of 8 rows with 32 activations: INTS."""
        activations = [
            e.cast(e.splat(e.load(I32, codes, 4 * vector)), BYTES) for vector in range(8)
        ]
        pairs = list(zip(self.vectors, activations, strict=True))
        if self.kind == "q8":
            parts = [
                e.pair_sums(e.pair_products(e.magnitude(w), e.with_sign(x, w))) for w, x in pairs
            ]
            return _sum(e, parts)
        products = [e.pair_products(w, x) for w, x in pairs]
        if self.kind == "q4":
            return e.pair_sums(_sum(e, products))
        dot = e.plus(e.pair_sums(_sum(e, products[:4])), e.pair_sums(_sum(e, products[4:])))
        offset = e.times(e.splat(e.load(I32, sum_)), e.constant(INTS, 16))
        return e.minus(dot, offset)


def _sum(e: Emitter, values: Sequence[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = e.plus(total, value)
    return total


def unpack(e: Emitter, kind: Kind, record: Value, block: int, half: int) -> Weights:
    """Rows 8 * half to 8 * half + 7 of one block of a record."""
    scales = e.widen(e.load(HALVES, record, 32 * block + 16 * half))
    if kind == "q8":
        sign = e.constant(BYTES, -128)
        raw = [e.load(BYTES, record, 64 + 512 * block + 64 * j + 32 * half) for j in range(8)]
        return Weights(kind, tuple(e.flip(vector, sign) for vector in raw), scales, None)
    if kind == "q4":
        minima = e.widen(e.load(HALVES, record, 64 + 32 * block + 16 * half))
        return Weights(
            kind, tuple(_nibbles(e, record, 128 + 256 * block + 32 * half, 0)), scales, minima
        )
    doubled = _nibbles(e, record, 64 + 256 * block + 32 * half, 1)
    vectors = [
        e.minus(vector, _lowest_bits(e, record, 576 + 64 * block + 8 * j + 4 * half))
        for j, vector in enumerate(doubled)
    ]
    return Weights(kind, tuple(vectors), scales, None)


def _nibbles(e: Emitter, record: Value, offset: int, shift: int) -> list[Value]:
    """8 of BYTES from 4 loads: the nibbles, times two to the power of ``shift``."""
    mask = e.constant(BYTES, 15 << shift)
    vectors = []
    for j in range(4):
        raw = e.load(BYTES, record, offset + 64 * j)
        vectors += [e.both(e.up(raw, shift), mask), e.both(e.down(raw, 4 - shift), mask)]
    return vectors


def _lowest_bits(e: Emitter, record: Value, offset: int) -> Value:
    """32 bits to BYTES, -1 for each that is set."""
    word = e.cast(e.splat(e.load(I32, record, offset)), BYTES)
    spread = e.lookup(word, e.table([lane // 8 for lane in range(32)]))
    bit = e.table([1 << lane % 8 for lane in range(32)])
    return e.equal_bytes(e.both(spread, bit), bit)


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
