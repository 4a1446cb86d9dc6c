"""Causal grouped-query attention in float32: each row as if it were alone.

BLAS rounds a row of a large product otherwise than a small one, and activations that are rounded to
8 bit afterwards make a difference of the last bit one of a whole step. Here a row's result depends
on its own query and the keys and values it sees, not on the rows beside it: prefill, decoding and
the verification of a draft give the same logits, bit for bit.

A thread takes one row and key/value head at a time. Keys and values are read once for all query
heads that share them, 8 positions at a time::

    scores[m, j] = q[m] . k[j]           8 dot products, added up by lane at the end
    scores[m]    = softmax(scores[m])    behind the last position: no weight
    out[m]      += scores[m, j] v[j]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from sparkcode.model.kernels.vocabulary import FLOAT, FLOATS, I64, LANES, Emitter, Value

ATTEND_FIELDS = (
    "q", "keys", "values", "out", "scores", "score_stride", "units", "position",
    "groups", "shared", "vectors", "group_stride", "next", "slot",
)  # fmt: skip
"""Addresses of q [T, H, S] (scaled by the root of S), keys and values [G, N, S], the result
[T, H * S] and room for scores, [threads, H/G] lines of ``score_stride`` bytes; T * G; the position
of row 0; G; H/G; S / 8; bytes between groups; counters of units and threads, zero at first."""

_VECTOR_BYTES = 4 * LANES
_NEVER = -1e30
_SMALLEST_EXPONENT = -87.0
"""exp of less is no normal float32, and counts as zero."""
_LN2 = (0.693359375, -2.12194440e-4)
"""ln 2 in two parts, the first short enough that its multiples are exact."""
_EXP = (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)
"""Taylor's coefficients: within 2e-7 up to ln 2 / 2."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """One row's queries of one key/value head: addresses and counts."""

    q: Value  # [shared, S]
    out: Value  # [shared, S]
    keys: Value  # [N, S]
    values: Value  # [N, S]
    scores: Value  # [shared] lines
    score_stride: Value
    seen: Value  # positions
    shared: Value
    vectors: Value

    def places(self, e: Emitter, start: Value, block: Value) -> list[Value]:
        """Addresses of 8 positions' vectors; the last one's instead of those that do not exist."""
        last = e.sub(self.seen, e.whole(1))
        first = e.mul(block, LANES)
        stride = e.mul(self.vectors, _VECTOR_BYTES)
        indices = [e.smaller(e.add(first, lane), last) for lane in range(LANES)]
        return [e.add(start, e.mul(index, stride)) for index in indices]

    def head(self, e: Emitter, start: Value, m: Value) -> Value:
        """Address of query head m's vector."""
        return e.add(start, e.mul(e.mul(m, self.vectors), _VECTOR_BYTES))

    def line(self, e: Emitter, m: Value) -> Value:
        """Address of query head m's scores."""
        return e.add(self.scores, e.mul(m, self.score_stride))


def emit_attend(module: ir.Module) -> ir.Function:
    """``attend(job)``: take units until none is left."""
    e = Emitter(module, "attend", 1)
    (job,) = e.arguments
    j = {name: e.load(I64, job, 8 * index) for index, name in enumerate(ATTEND_FIELDS)}
    counters = [e.add(job, 8 * ATTEND_FIELDS.index(name)) for name in ("next", "slot")]
    slot = e.claim(counters[1], e.whole(1))
    scores = e.add(j["scores"], e.mul(slot, e.mul(j["shared"], j["score_stride"])))
    unit_bytes = e.mul(e.mul(j["shared"], j["vectors"]), _VECTOR_BYTES)

    def take() -> None:
        index = e.claim(counters[0], e.whole(1))
        e.return_unless(index, j["units"])
        row, group = e.divide(index, j["groups"])
        own, lent = e.mul(index, unit_bytes), e.mul(group, j["group_stride"])
        unit = _Unit(
            q=e.add(j["q"], own),
            out=e.add(j["out"], own),
            keys=e.add(j["keys"], lent),
            values=e.add(j["values"], lent),
            scores=scores,
            score_stride=j["score_stride"],
            seen=e.add(e.add(j["position"], row), 1),
            shared=j["shared"],
            vectors=j["vectors"],
        )
        blocks = e.tiles_of(unit.seen, LANES)
        _score(e, unit, blocks)
        _softmax(e, unit, blocks)
        _mix(e, unit, blocks)

    e.forever(take)
    return e.function


def _score(e: Emitter, unit: _Unit, blocks: Value) -> None:
    zeros = [e.constant(FLOATS, 0.0)] * LANES

    def block(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        keys = unit.places(e, unit.keys, index)

        def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
            query = unit.head(e, unit.q, m)

            def vector(c: Value, sums: Sequence[Value]) -> Sequence[Value]:
                at = e.mul(c, _VECTOR_BYTES)
                q = e.load(FLOATS, e.add(query, at))
                return [
                    e.plus(total, e.times(q, e.load(FLOATS, e.add(key, at))))
                    for total, key in zip(sums, keys, strict=True)
                ]

            sums = e.repeat(unit.vectors, zeros, vector)
            e.store(e.lane_sums(sums), e.add(unit.line(e, m), e.mul(index, _VECTOR_BYTES)))
            return ()

        e.repeat(unit.shared, (), head)
        return ()

    e.repeat(blocks, (), block)


def _softmax(e: Emitter, unit: _Unit, blocks: Value) -> None:
    """Scores to weights, and the result to zero."""

    def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
        line, out = unit.line(e, m), unit.head(e, unit.out, m)
        e.store(e.constant(FLOATS, _NEVER), e.add(line, e.mul(unit.seen, 4)))

        def largest(index: Value, values: Sequence[Value]) -> Sequence[Value]:
            score = e.load(FLOATS, e.add(line, e.mul(index, _VECTOR_BYTES)))
            return (e.greater(score, values[0]),)

        def power(index: Value, values: Sequence[Value]) -> Sequence[Value]:
            at = e.add(line, e.mul(index, _VECTOR_BYTES))
            weight = exp(e, e.minus(e.load(FLOATS, at), top))
            e.store(weight, at)
            return (e.plus(values[0], weight),)

        def share(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.add(line, e.mul(index, _VECTOR_BYTES))
            e.store(e.times(e.load(FLOATS, at), inverse), at)
            return ()

        def clear(c: Value, _: Sequence[Value]) -> Sequence[Value]:
            e.store(e.constant(FLOATS, 0.0), e.add(out, e.mul(c, _VECTOR_BYTES)))
            return ()

        (found,) = e.repeat(blocks, (e.constant(FLOATS, _NEVER),), largest)
        top = e.splat(e.largest(found))
        (sums,) = e.repeat(blocks, (e.constant(FLOATS, 0.0),), power)
        total = e.lane_sums([sums] * LANES)
        inverse = e.over(e.constant(FLOATS, 1.0), total)
        e.repeat(blocks, (), share)
        e.repeat(unit.vectors, (), clear)
        return ()

    e.repeat(unit.shared, (), head)


def _mix(e: Emitter, unit: _Unit, blocks: Value) -> None:
    def block(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        values = unit.places(e, unit.values, index)

        def head(m: Value, _: Sequence[Value]) -> Sequence[Value]:
            line = e.add(unit.line(e, m), e.mul(index, _VECTOR_BYTES))
            out = unit.head(e, unit.out, m)
            weights = [e.splat(e.load(FLOAT, line, 4 * lane)) for lane in range(LANES)]

            def vector(c: Value, _: Sequence[Value]) -> Sequence[Value]:
                at = e.mul(c, _VECTOR_BYTES)
                total = e.load(FLOATS, e.add(out, at))
                for weight, value in zip(weights, values, strict=True):
                    total = e.plus(total, e.times(weight, e.load(FLOATS, e.add(value, at))))
                e.store(total, e.add(out, at))
                return ()

            e.repeat(unit.vectors, (), vector)
            return ()

        e.repeat(unit.shared, (), head)
        return ()

    e.repeat(blocks, (), block)


def exp(e: Emitter, x: Value) -> Value:
    """exp of FLOATS that are not positive: 2^n times a polynomial of the rest."""
    n = e.rounded(e.times(x, e.constant(FLOATS, 1 / math.log(2))))
    rest = x
    for part in _LN2:
        rest = e.minus(rest, e.times(n, e.constant(FLOATS, part)))
    result = e.constant(FLOATS, _EXP[0])
    for coefficient in _EXP[1:]:
        result = e.plus(e.times(result, rest), e.constant(FLOATS, coefficient))
    result = e.times(result, e.power_of_two(n))
    return e.where_above(x, _SMALLEST_EXPONENT, result, e.constant(FLOATS, 0.0))
