"""Causal grouped-query attention over cached blocks, in float32: each row as if it were alone.

Activations that are rounded to 8 bit afterwards make a difference of the last bit one of a whole
step. Here a row's result depends on its own query and the keys and values it sees, not on the rows
beside it: prefill, decoding and the verification of a draft give the same logits, bit for bit.

The positions that a row sees are cut into **splits** of 512, always at the same places. A unit is a
few neighbouring rows of one sequence, a key/value head and a split, so many rows share what they
read and a single row with a long context occupies several threads. 8 positions at a time::

    scores[r, m, j] = q[r, m] . k[j]          8 dot products, added up by lane at the end
    scores[r, m]    = exp(scores - largest)   behind the last position: no weight
    out[r, m]      += scores[r, m, j] v[j]

``merge`` then adds up each row's splits in order, scaled to a common largest score, as in
FlashAttention (Dao et al. 2022), divides by the sum of the weights, and rounds the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from sparkcode.model.kernels.elements import STEP_FIELDS, Rounded, exp
from sparkcode.model.kernels.flow import FIELD_BYTES, StepEmitter, each_unit
from sparkcode.model.kernels.quantise import block_values
from sparkcode.model.kernels.tiles import JOB_FIELDS
from sparkcode.model.kernels.vocabulary import FLOAT, I64, LANES, Value

CACHE_BLOCK = 32
"""Tokens of a cache block. Not imported: kept machine code is known by this package alone."""
SPLIT = 512
"""Positions of one unit; a multiple of a cache block."""
MOST_ROWS = 8
"""Rows of one unit."""
LINE_BYTES = 4 * (SPLIT + 16)
"""Scores of one row and query head, and room for the longest register behind the last."""
BEHIND = 16
"""Floats behind a head's partial result: its largest score, its weight, and up to a cache line."""

ATTEND_FIELDS = (
    "next", "done", "slot", "q", "q_stride", "layer", "groups", "shared", "vectors", "values",
    "group_stride", "units",
)  # fmt: skip
"""Threads so far; the rest as in ``ROPE_FIELDS``, but for the address of the number of units."""
UNIT_FIELDS = ("row", "count", "table", "position", "group", "split")
"""First row and number of rows; address of the addresses of their sequence's blocks; position of
the first row, which lies in the split or behind it."""
MERGE_FIELDS = ("next", "done", "out", "stride", "heads", "vectors", "rows", "job")
"""out [units, H S]; H; S / 8; address of the numbers of the rows that the units stand for; the
product that follows."""

_TOGETHER = 8
"""Positions: their scores are one of FLOATS."""
_SCORES_BYTES = 4 * _TOGETHER
_BEHIND_BYTES = 4 * BEHIND
_NEVER = -1e30
_CACHE_LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class _Unit:
    """Addresses and counts of what one unit works on."""

    e: StepEmitter
    q: Value  # [rows, q_stride]: queries of the first row and head
    q_stride: Value
    out: Value  # partial results of the first row and head
    out_stride: Value
    scores: Value  # [rows, shared] lines
    table: Value  # addresses of the split's blocks
    keys: Value  # bytes from a block's start to the keys
    values: Value  # bytes from keys to values
    seen: Value  # positions of the split that the first row sees; more than the split holds, too
    rows: Value
    shared: Value
    size: Value  # bytes of a head's vector

    @property
    def registers(self) -> Value:
        """What a head's vector fills."""
        return self.e.tiles_of(self.size, self.e.register_bytes)

    def seen_by(self, row: Value) -> Value:
        """Positions of the split that a row sees."""
        return self.e.smaller(self.e.add(self.seen, row), SPLIT)

    def place(self, eight: Value) -> Value:
        """Address of the keys of 8 positions, of which the last may not exist."""
        e = self.e
        position = e.mul(eight, _TOGETHER)
        block, own = e.divide(position, e.whole(CACHE_BLOCK))
        start = e.load(I64, e.add(self.table, e.mul(block, FIELD_BYTES)))
        return e.add(e.add(start, self.keys), e.mul(own, self.size))

    def ask_for(self, eight: Value) -> None:
        """Have the keys and values of 8 positions fetched."""
        e, keys = self.e, self.place(eight)
        values = e.add(keys, self.values)

        def line(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.mul(index, _CACHE_LINE_BYTES)
            e.prefetch(e.add(keys, at), keep=True)
            e.prefetch(e.add(values, at), keep=True)
            return ()

        lines = e.tiles_of(e.mul(self.size, _TOGETHER), _CACHE_LINE_BYTES)
        e.repeat(lines, (), line)

    def vectors_of(self, start: Value, row: Value, eight: Value) -> list[Value]:
        """Addresses of 8 positions' vectors; the last one's that the row sees for those behind."""
        e = self.e
        last = e.sub(e.sub(self.seen_by(row), e.mul(eight, _TOGETHER)), 1)
        return [e.add(start, e.mul(e.smaller(last, n), self.size)) for n in range(_TOGETHER)]

    def query(self, row: Value, m: Value) -> Value:
        e = self.e
        return e.add(e.add(self.q, e.mul(row, self.q_stride)), e.mul(m, self.size))

    def result(self, row: Value, m: Value) -> Value:
        e = self.e
        size = e.add(self.size, _BEHIND_BYTES)
        return e.add(e.add(self.out, e.mul(row, self.out_stride)), e.mul(m, size))

    def line(self, row: Value, m: Value) -> Value:
        e = self.e
        return e.add(self.scores, e.mul(e.add(e.mul(row, self.shared), m), LINE_BYTES))


def emit_attend(module: ir.Module, lanes: int) -> ir.Function:
    """``attend(record, step)``: partial results of the units."""
    e = StepEmitter(module, "attend", 2, lanes=lanes)
    record, step = e.arguments
    r, s = e.fields(record, ATTEND_FIELDS), e.fields(step, STEP_FIELDS)
    slot = e.claim(e.add(record, FIELD_BYTES * ATTEND_FIELDS.index("slot")), e.whole(1))
    room = e.mul(r["shared"], MOST_ROWS * LINE_BYTES)
    scores = e.add(s["scores"], e.mul(slot, room))
    heads = e.mul(r["groups"], r["shared"])
    size = e.mul(r["vectors"], 4 * LANES)
    head_bytes = e.add(size, _BEHIND_BYTES)
    split_bytes = e.mul(heads, head_bytes)
    row_bytes = e.mul(s["splits"], split_bytes)

    def unit(index: Value) -> None:
        place = e.add(s["units"], e.mul(index, FIELD_BYTES * len(UNIT_FIELDS)))
        u = e.fields(place, UNIT_FIELDS)
        head = e.mul(u["group"], r["shared"])
        start = e.mul(u["split"], SPLIT)
        query = e.add(e.mul(u["row"], r["q_stride"]), e.mul(head, size))
        result = e.add(e.mul(u["row"], row_bytes), e.mul(u["split"], split_bytes))
        work = _Unit(
            e=e,
            q=e.add(r["q"], query),
            q_stride=r["q_stride"],
            out=e.add(s["partials"], e.add(result, e.mul(head, head_bytes))),
            out_stride=row_bytes,
            scores=scores,
            table=e.add(u["table"], e.mul(u["split"], FIELD_BYTES * (SPLIT // CACHE_BLOCK))),
            keys=e.add(r["layer"], e.mul(u["group"], r["group_stride"])),
            values=r["values"],
            seen=e.add(e.sub(u["position"], start), 1),
            rows=u["count"],
            shared=r["shared"],
            size=size,
        )
        eights = e.tiles_of(work.seen_by(e.sub(u["count"], 1)), _TOGETHER)
        _score(work, eights)
        _softmax(work)
        _mix(work, eights)

    each_unit(e, record, e.load(I64, r["units"]), unit)
    return e.function


def _score(unit: _Unit, eights: Value) -> None:
    e = unit.e
    zeros = [e.constant(e.floats, 0.0)] * _TOGETHER

    def eight(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        start = unit.place(index)
        unit.ask_for(e.smaller(e.add(index, 1), e.sub(eights, 1)))

        def row(r: Value, _: Sequence[Value]) -> Sequence[Value]:
            keys = unit.vectors_of(start, r, index)

            def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
                query = unit.query(r, m)

                def vector(c: Value, sums: Sequence[Value]) -> Sequence[Value]:
                    at = e.mul(c, e.register_bytes)
                    q = e.load(e.floats, e.add(query, at))
                    return [
                        e.fused(q, e.load(e.floats, e.add(key, at)), total)
                        for total, key in zip(sums, keys, strict=True)
                    ]

                sums = e.repeat(unit.registers, zeros, vector)
                e.store(e.lane_sums(sums), e.add(unit.line(r, m), e.mul(index, _SCORES_BYTES)))
                return ()

            def heads() -> None:
                e.repeat(unit.shared, (), head)

            e.when_less(e.mul(index, LANES), unit.seen_by(r), heads)
            return ()

        e.repeat(unit.rows, (), row)
        return ()

    e.repeat(eights, (), eight)


def _softmax(unit: _Unit) -> None:
    """Scores to weights, the result to zero, and behind it the largest score and the sum."""
    e = unit.e

    def row(r: Value, _: Sequence[Value]) -> Sequence[Value]:
        seen = unit.seen_by(r)
        registers = e.tiles_of(seen, e.lanes)

        def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
            line, out = unit.line(r, m), unit.result(r, m)
            e.store(e.constant(e.floats, _NEVER), e.add(line, e.mul(seen, 4)))

            def largest(index: Value, values: Sequence[Value]) -> Sequence[Value]:
                score = e.load(e.floats, e.add(line, e.mul(index, e.register_bytes)))
                return (e.greater(score, values[0]),)

            def power(index: Value, values: Sequence[Value]) -> Sequence[Value]:
                at = e.add(line, e.mul(index, e.register_bytes))
                weight = exp(e, e.minus(e.load(e.floats, at), top))
                e.store(weight, at)
                return (e.plus(values[0], weight),)

            def clear(c: Value, _: Sequence[Value]) -> Sequence[Value]:
                e.store(e.constant(e.floats, 0.0), e.add(out, e.mul(c, e.register_bytes)))
                return ()

            (found,) = e.repeat(registers, (e.constant(e.floats, _NEVER),), largest)
            most = e.largest(found)
            top = e.splat(most)
            (sums,) = e.repeat(registers, (e.constant(e.floats, 0.0),), power)
            e.repeat(unit.registers, (), clear)
            behind = e.add(out, unit.size)
            e.store(most, behind)
            e.store(e.total(sums), behind, 4)
            return ()

        e.repeat(unit.shared, (), head)
        return ()

    e.repeat(unit.rows, (), row)


def _mix(unit: _Unit, eights: Value) -> None:
    e = unit.e

    def eight(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        start = e.add(unit.place(index), unit.values)

        def row(r: Value, _: Sequence[Value]) -> Sequence[Value]:
            values = unit.vectors_of(start, r, index)

            def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
                line = e.add(unit.line(r, m), e.mul(index, _SCORES_BYTES))
                out = unit.result(r, m)
                weights = [e.splat(e.load(FLOAT, line, 4 * n)) for n in range(_TOGETHER)]

                def vector(c: Value, _: Sequence[Value]) -> Sequence[Value]:
                    at = e.mul(c, e.register_bytes)
                    total = e.load(e.floats, e.add(out, at))
                    for weight, value in zip(weights, values, strict=True):
                        total = e.fused(weight, e.load(e.floats, e.add(value, at)), total)
                    e.store(total, e.add(out, at))
                    return ()

                e.repeat(unit.registers, (), vector)
                return ()

            def heads() -> None:
                e.repeat(unit.shared, (), head)

            e.when_less(e.mul(index, LANES), unit.seen_by(r), heads)
            return ()

        e.repeat(unit.rows, (), row)
        return ()

    e.repeat(eights, (), eight)


@dataclass(frozen=True, slots=True)
class _Splits:
    """One head's results over parts of the positions: a vector, its score and weight each."""

    first: Value
    count: Value
    stride: Value  # bytes from one to the next
    size: Value  # bytes of the vector

    def merge(self, e: StepEmitter, target: Value) -> None:
        """Weigh them by the exponentials of their scores, and store the mean at ``target``."""
        zero = e.constant(e.floats, 0.0)

        def largest(split: Value, values: Sequence[Value]) -> Sequence[Value]:
            behind = e.add(e.add(self.first, e.mul(split, self.stride)), self.size)
            return (e.greater(e.splat(e.load(FLOAT, behind)), values[0]),)

        (top,) = e.repeat(self.count, (e.constant(e.floats, _NEVER),), largest)

        def factor(split: Value) -> tuple[Value, Value]:
            own = e.add(self.first, e.mul(split, self.stride))
            score = e.splat(e.load(FLOAT, e.add(own, self.size)))
            return own, exp(e, e.minus(score, top))

        def total(split: Value, values: Sequence[Value]) -> Sequence[Value]:
            own, scale = factor(split)
            weight = e.splat(e.load(FLOAT, e.add(own, self.size), 4))
            return (e.fused(scale, weight, values[0]),)

        (sums,) = e.repeat(self.count, (zero,), total)

        def vector(c: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.mul(c, e.register_bytes)

            def add(split: Value, values: Sequence[Value]) -> Sequence[Value]:
                own, scale = factor(split)
                return (e.fused(scale, e.load(e.floats, e.add(own, at)), values[0]),)

            (result,) = e.repeat(self.count, (zero,), add)
            e.store(e.over(result, sums), e.add(target, at))
            return ()

        e.repeat(e.tiles_of(self.size, e.register_bytes), (), vector)


def emit_merge(module: ir.Module, lanes: int) -> ir.Function:
    """``merge(record, step)``: a row's splits to one result, rounded."""
    e = StepEmitter(module, "merge", 2, lanes=lanes)
    record, step = e.arguments
    r, s = e.fields(record, MERGE_FIELDS), e.fields(step, STEP_FIELDS)
    size = e.mul(r["vectors"], 4 * LANES)
    head_bytes = e.add(size, _BEHIND_BYTES)
    split_bytes = e.mul(r["heads"], head_bytes)
    row_bytes = e.mul(s["splits"], split_bytes)
    units = e.load(I64, r["job"], FIELD_BYTES * JOB_FIELDS.index("rows"))

    def unit(number: Value) -> None:
        row = e.load(I64, e.add(r["rows"], e.mul(number, FIELD_BYTES)))
        position = e.load(I64, e.add(s["positions"], e.mul(row, FIELD_BYTES)))
        splits = e.tiles_of(e.add(position, 1), SPLIT)
        source = e.add(s["partials"], e.mul(row, row_bytes))
        out = e.add(r["out"], e.mul(number, r["stride"]))

        def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
            parts = _Splits(e.add(source, e.mul(m, head_bytes)), splits, split_bytes, size)
            parts.merge(e, e.add(out, e.mul(m, size)))
            return ()

        e.repeat(r["heads"], (), head)
        rounded = Rounded(e, r["job"], number)

        def values(block: Value) -> Sequence[Value]:
            return block_values(e, out, block)

        rounded.put(values, e.whole(0), rounded.blocks)

    each_unit(e, record, units, unit)
    return e.function
