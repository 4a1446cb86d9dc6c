"""What a record of weights adds to the sums of its 16 rows.

A block of 32 weights of a row contributes ``(s a) * dot(c - zero, i)`` to its row's sum (``s``,
``c`` and ``zero`` as in :mod:`sparkcode.model.blocks`, ``a`` and ``i`` the activations of
:mod:`~sparkcode.model.kernels.quantise`), kinds with minima less ``m * (a sum(i))``. The dot
product is an exact integer (:mod:`~sparkcode.model.kernels.dots`). In float32, in the order of the
blocks::

    total = fma(dot, s * a, total)
    total = fma(-m, a * sum(i), total)

Scales and minima of q4k are whole numbers ``n`` and ``k`` times ``d`` and ``dmin`` of the record,
and its 8 blocks of activations share one ``a``. So integers are added up over the record, exactly,
and float32 comes once::

    total = fma(sum(n * dot), d * a, total)
    total = fma(sum(k * sum(i)), -dmin * a, total)

One row of activations and many go through the same operations in the same order, so a batch's rows
equal single ones bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkcode.model.blocks import BLOCK
from sparkcode.model.kernels.dots import Dot
from sparkcode.model.kernels.quantise import BLOCK_SUMS, FACTORS_BYTES, PAIR_SUMS
from sparkcode.model.kernels.unpack import (
    LAYOUTS,
    SCRATCH_BYTES,
    VECTORS,
    Layout,
    PackedBlock,
    PackedRecord,
    RecordKind,
    ScratchBlock,
    ScratchRecord,
    Source,
)
from sparkcode.model.kernels.vocabulary import FLOAT, I32, Value
from sparkcode.model.kernels.wide import Wide

FEW = (1, 2)
"""Rows of activations whose sums stay in registers."""
GROUP_BYTES = 64
"""16 float32 results, or sums of integers; also 16 rows x 4 codes."""

_CACHE_LINE_BYTES = 64
_UNROLLED = 2  # blocks
_SPARE_REGISTERS = 4
"""For weights and factors, beside a tile's integers and sums."""
_PREFETCH_BYTES = 4096
"""How far ahead weights are asked for: the hardware's own prefetching ends with each page."""


@dataclass(frozen=True, slots=True)
class Activations:
    """Where rows lie: codes [blocks, T, 32], factors [blocks, T]; T."""

    codes: Value
    factors: Value
    rows: Value

    def row(self, e: Wide, t: int) -> Activations:
        """From row t on."""
        factors = e.add(self.factors, FACTORS_BYTES * t)
        return Activations(e.add(self.codes, BLOCK * t), factors, self.rows)

    def opaque(self, e: Wide) -> Activations:
        """The same, as addresses of unknown origin."""
        return Activations(e.opaque(self.codes), e.opaque(self.factors), self.rows)

    def after(self, e: Wide, places: Value) -> Activations:
        """``places`` further on; there are T to a block."""
        return Activations(
            codes=e.add(self.codes, e.mul(places, BLOCK)),
            factors=e.add(self.factors, e.mul(places, FACTORS_BYTES)),
            rows=self.rows,
        )


def add_in_registers(
    e: Wide, kind: RecordKind, record: Value, x: Activations, totals: Sequence[Value]
) -> Sequence[Value]:
    """``totals`` [rows][halves] and a packed record's contribution to one or two rows."""
    layout, size = LAYOUTS[kind], len(totals) // len(e.halves)
    if layout.whole:
        return _add_whole(e, kind, record, x, totals)

    def add(block: Value | int, totals: Sequence[Value]) -> Sequence[Value]:
        ask_ahead(e, layout, record, block)
        source = PackedBlock(e, kind, record, block)
        rows = x.after(e, _times(e, block, size))
        dots = _dots(e, kind, source, rows, size)
        factors = [_factors(e, kind, rows.row(e, t)) for t in range(size)]
        return [
            _add(e, source, factors[t], half, dots[t][half], total)
            for (t, half), total in zip(_sums(e, size), totals, strict=True)
        ]

    if layout.blocks == _UNROLLED:
        for block in range(_UNROLLED):
            totals = add(block, totals)
        return totals
    return e.repeat(e.whole(layout.blocks), totals, add)


def _add_whole(
    e: Wide, kind: RecordKind, record: Value, x: Activations, totals: Sequence[Value]
) -> Sequence[Value]:
    layout, sums = LAYOUTS[kind], _sums(e, len(totals) // len(e.halves))
    size = len(sums) // len(e.halves)

    def add(block: Value, before: Sequence[Value]) -> Sequence[Value]:
        ask_ahead(e, layout, record, block)
        source = PackedBlock(e, kind, record, block)
        rows = x.after(e, e.mul(block, size))
        dots = _dots(e, kind, source, rows, size)
        pairs = [e.broadcast(I32, rows.row(e, t).factors, PAIR_SUMS) for t in range(size)]
        products = [dots[t][half].scaled(source.scale(half)) for t, half in sums]
        offsets = zip(before[len(sums) :], sums, strict=True)
        return [
            *(e.plus(old, new) for old, new in zip(before, products, strict=False)),
            *(e.add_short_dots(old, source.count(half), pairs[t]) for old, (t, half) in offsets),
        ]

    ints = e.repeat(e.whole(layout.blocks), [e.constant(e.ints, 0)] * 2 * len(sums), add)
    factors = [PackedRecord(e, record).factors(half) for half in e.halves]
    steps = [e.broadcast(FLOAT, x.row(e, t).factors) for t in range(size)]
    pairs = zip(ints[: len(sums)], ints[len(sums) :], strict=True)
    return [
        _add_integers(e, both, factors[half], steps[t], total)
        for (t, half), both, total in zip(sums, pairs, totals, strict=True)
    ]


def add_in_memory(
    e: Wide, kind: RecordKind, x: Activations, room: tuple[Value, Value, Value], size: int
) -> None:
    """Add the record in the scratch to the sums of the first ``size`` rows of ``x``.

    ``room``: addresses of the scratch, of the sums, and of GROUP_BYTES for each row.
    """
    scratch, totals, ints = room
    layout, sums = LAYOUTS[kind], _sums(e, size)
    place, form = (ints, e.ints) if layout.whole else (totals, e.floats)
    offsets = [GROUP_BYTES * t + e.register_bytes * half for t, half in sums]
    held = 2 * len(sums) + _SPARE_REGISTERS <= e.isa.registers

    def block(n: Value, before: Sequence[Value]) -> Sequence[Value]:
        source = ScratchBlock(e, kind, e.at(scratch, n, SCRATCH_BYTES))
        row = x.after(e, e.mul(n, x.rows))
        dots = _dots(e, kind, source, row, size)
        after = []
        for i, (t, half) in enumerate(sums):
            old, dot = before[i] if held else e.load(form, place, offsets[i]), dots[t][half]
            if layout.whole:
                new = e.plus(old, dot.scaled(source.scale(half)))
            else:
                new = _add(e, source, _factors(e, kind, row.row(e, t)), half, dot, old)
            if held:
                after.append(new)
            else:
                e.store(new, place, offsets[i])
        return after

    if layout.whole and not held:
        for at in offsets:
            e.store(e.constant(e.ints, 0), ints, at)
    zero = e.constant(e.ints, 0)
    start = [zero if layout.whole else e.load(form, place, at) for at in offsets] if held else []
    results = e.repeat(e.whole(layout.blocks), start, block)
    if layout.whole:
        record = ScratchRecord(e, e.add(scratch, layout.blocks * SCRATCH_BYTES))
        found = results or [e.load(form, place, at) for at in offsets]
        _add_record(e, record, x, totals, found)
    else:
        for value, at in zip(results, offsets, strict=False):
            e.store(value, place, at)


def _add_record(
    e: Wide, record: ScratchRecord, x: Activations, totals: Value, ints: Sequence[Value]
) -> None:
    """Turn a record's integers to floats, and add its minima."""
    minima = [[record.minima(n, half) for n in range(4)] for half in e.halves]
    factors = [record.factors(half) for half in e.halves]
    for (t, half), found in zip(_sums(e, len(ints) // len(e.halves)), ints, strict=True):
        row, at = x.row(e, t), GROUP_BYTES * t + e.register_bytes * half
        offsets = e.constant(e.ints, 0)
        for n, own in enumerate(minima[half]):
            sums = row.after(e, e.mul(x.rows, 2 * n)).factors
            offsets = e.add_short_dots(offsets, own, e.broadcast(I32, sums, BLOCK_SUMS))
        step, old = e.broadcast(FLOAT, row.factors), e.load(e.floats, totals, at)
        e.store(_add_integers(e, (found, offsets), factors[half], step, old), totals, at)


def _add_integers(
    e: Wide, both: tuple[Value, Value], factors: tuple[Value, Value], a: Value, total: Value
) -> Value:
    """``total``, and sums of integers times the factors of their record."""
    for ints, factor in zip(both, factors, strict=True):
        total = e.fused(e.to_floats(ints), e.times(factor, a), total)
    return total


def _dots(e: Wide, kind: RecordKind, source: Source, x: Activations, size: int) -> list[list[Dot]]:
    """A block's integer products with ``size`` rows: [size][halves]."""
    ordered = size > max(FEW)
    sums = [e.add(x.row(e, t).factors, PAIR_SUMS) for t in range(size)]
    dots = [[Dot(e, kind, at, ordered=ordered) for _ in e.halves] for at in sums]
    for number in range(VECTORS):
        vectors = [source.vector(number, half) for half in e.halves]
        for t in range(size):
            word = e.broadcast(I32, x.codes, BLOCK * t + 4 * number)
            activations = e.cast(word, e.bytes)
            for half in e.halves:
                dots[t][half].take(number, vectors[half], activations)
    return dots


def _factors(e: Wide, kind: RecordKind, x: Activations) -> tuple[Value, Value | None]:
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


def ask_ahead(e: Wide, layout: Layout, record: Value, block: Value | int) -> None:
    """Ask for a block's share of the lines that come later."""
    share = -(-layout.nbytes // (layout.blocks * _CACHE_LINE_BYTES)) * _CACHE_LINE_BYTES
    start = e.at(record, block, share)
    for line in range(0, share, _CACHE_LINE_BYTES):
        e.prefetch(start, _PREFETCH_BYTES + line)


def _sums(e: Wide, size: int) -> list[tuple[int, int]]:
    """Row and half of each vector of sums."""
    return [(t, half) for t in range(size) for half in e.halves]


def _times(e: Wide, block: Value | int, size: int) -> Value:
    return e.whole(block * size) if isinstance(block, int) else e.mul(block, size)
