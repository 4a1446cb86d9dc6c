"""What lies between the products of a step: norms, rotation, gating, and rounding to 8 bit.

Each operation is a function of the two arguments of a line (:mod:`sparkcode.model.kernels.flow`): a
**record** of its own, which begins with the counters ``next`` and ``done``, and the **step**, which
all share. Its units are rows, or parts of rows. A row goes through the same operations in the same
order whatever stands beside it.

Rows are padded with zeros to whole pairs of blocks, 64 floats, so loops need no remainders. Rounded
activations lie as the products want them, in tiles: ``job`` is the product's own description.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llvmlite import ir

from sparkcode.model.blocks import BLOCK
from sparkcode.model.kernels.flow import FIELD_BYTES, StepEmitter, each_unit
from sparkcode.model.kernels.quantise import (
    FACTORS_BYTES,
    BlockValues,
    block_values,
    combined,
    round_blocks,
)
from sparkcode.model.kernels.tiles import JOB_FIELDS, TILE_ROWS
from sparkcode.model.kernels.vocabulary import FLOATS, I64, Value

NORM_FIELDS = (
    "next", "done", "x", "x_stride", "y", "y_stride", "rows", "weight", "inverse_size", "eps",
    "job",
)  # fmt: skip
"""x [., K] to which y [units, K] is added and then kept; ``rows``: address of the numbers of the
rows of x that the units stand for; weight [K]; 1 / D and eps as bits of floats."""
ROPE_FIELDS = (
    "next", "done", "qkv", "stride", "bias", "q", "q_stride", "layer", "groups", "shared",
    "vectors", "values", "group_stride", "scale",
)  # fmt: skip
"""qkv [R, (H + 2 G) S] and its bias; scaled queries q [R, H S]; bytes from a block's start to this
layer's keys; G; H/G; S / 8; bytes from keys to values and between groups in a block; S^-0.5."""
GATE_FIELDS = ("next", "done", "source", "stride", "up", "pieces", "chunk", "job")
"""source [R, .] holds the gate at column 0 and the other factor ``up`` bytes further; a row is
divided into ``pieces`` of ``chunk`` blocks, whole spans."""
STEP_FIELDS = (
    "rows", "row_groups", "pieces", "attend_units", "picked", "picked_pieces", "picked_units",
    "cos", "sin", "places", "positions", "units", "partials", "splits", "scores",
)  # fmt: skip
"""Units of the operations: R, R * G, R * pieces of the gate, those of attention; of the scored rows
alone, rows, pieces, and attention's, which come first. Addresses of cos and sin [R, S], of the
places [R] of each row's first key in its cache block, of positions [R], of attention's units, and
of its partial results [R, splits, H, S + 16], and its scratch memory."""

_SMALLEST_EXPONENT = -87.0
"""exp of less is no normal float32, and counts as zero."""
_LN2 = (0.693359375, -2.12194440e-4)
"""ln 2 in two parts, the first short enough that its multiples are exact."""
_EXP = (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)
"""Taylor's coefficients: within 2e-7 up to ln 2 / 2."""


class Rounded:
    """Where one row's rounded activations go in the tiles of a job."""

    def __init__(self, e: StepEmitter, job: Value, row: Value) -> None:
        j = e.fields(job, JOB_FIELDS)
        tile, own = e.divide(row, e.whole(TILE_ROWS))
        first = e.mul(tile, TILE_ROWS)
        before = e.mul(first, j["blocks"])
        self._e, self.blocks, self._span = e, j["blocks"], j["span"]
        self._count = e.smaller(e.sub(j["rows"], first), TILE_ROWS)
        start = e.add(before, own)
        self._codes = e.add(j["codes"], e.mul(start, BLOCK))
        self._factors = e.add(j["factors"], e.mul(start, FACTORS_BYTES))

    def put(self, values: BlockValues, first: Value, count: Value) -> None:
        """Round whole spans of blocks into place."""
        round_blocks(self._e, values, self._place, (first, count), self._span)

    def _place(self, block: Value) -> tuple[Value, Value]:
        e = self._e
        number = e.mul(block, self._count)
        factors = e.add(self._factors, e.mul(number, FACTORS_BYTES))
        return e.add(self._codes, e.mul(number, BLOCK)), factors


def emit_norm(module: ir.Module, lanes: int) -> ir.Function:
    """``norm(record, step)``: x += y, then RMSNorm, then rounding."""
    e = StepEmitter(module, "norm", 2, lanes=lanes)
    record, _ = e.arguments
    r = e.fields(record, NORM_FIELDS)
    rows = e.load(I64, r["job"], FIELD_BYTES * JOB_FIELDS.index("rows"))
    inverse_size = e.float_at(record, NORM_FIELDS, "inverse_size")
    eps = e.float_at(record, NORM_FIELDS, "eps")

    def unit(index: Value) -> None:
        row = e.load(I64, e.add(r["rows"], e.mul(index, FIELD_BYTES)))
        x = e.add(r["x"], e.mul(row, r["x_stride"]))
        y = e.add(r["y"], e.mul(index, r["y_stride"]))
        out = Rounded(e, r["job"], index)

        def add(block: Value, sums: Sequence[Value]) -> Sequence[Value]:
            place = e.add(x, e.mul(block, BLOCK * 4))
            results = []
            pairs = zip(block_values(e, x, block), block_values(e, y, block), strict=True)
            for part, (own, more) in enumerate(pairs):
                value = e.plus(own, more)
                e.store(value, place, e.register_bytes * part)
                results.append(e.plus(sums[part], e.times(value, value)))
            return results

        def scaled(block: Value) -> Sequence[Value]:
            rows = block_values(e, x, block), block_values(e, r["weight"], block)
            return [
                e.times(e.times(own, factor), weight) for own, weight in zip(*rows, strict=True)
            ]

        zeros = [e.constant(e.floats, 0.0)] * (BLOCK // e.lanes)
        square = e.total(combined(e.plus, e.repeat(out.blocks, zeros, add)))
        root = e.root(e.plus(e.times(square, inverse_size), eps))
        factor = e.splat(e.over(e.number(1.0), root))
        out.put(scaled, e.whole(0), out.blocks)

    each_unit(e, record, rows, unit)
    return e.function


def emit_rope(module: ir.Module, style: str) -> ir.Function:
    """``rope_<style>(record, step)``: bias and rotation; keys and values go to their cache.

    A unit is a row and a key/value head, with the query heads that share it.
    """
    e = StepEmitter(module, f"rope_{style}", 2)
    record, step = e.arguments
    r, s = e.fields(record, ROPE_FIELDS), e.fields(step, STEP_FIELDS)
    scale = e.splat(e.float_at(record, ROPE_FIELDS, "scale"))
    head_bytes = e.mul(r["vectors"], 32)
    heads = e.mul(r["groups"], r["shared"])

    def unit(index: Value) -> None:
        row, group = e.divide(index, r["groups"])
        source = e.add(r["qkv"], e.mul(row, r["stride"]))
        cos, sin = (e.add(s[name], e.mul(row, head_bytes)) for name in ("cos", "sin"))
        place = e.load(I64, e.add(s["places"], e.mul(row, FIELD_BYTES)))
        keys = e.add(e.add(place, r["layer"]), e.mul(group, r["group_stride"]))
        queries = e.add(r["q"], e.mul(row, r["q_stride"]))

        def biased(at: Value) -> Value:
            return e.plus(e.load(FLOATS, e.add(source, at)), e.load(FLOATS, e.add(r["bias"], at)))

        def turn(head: Value, out: Value, factor: Value) -> None:
            turned = _turned(e, style, biased, e.mul(head, head_bytes), head_bytes)

            def vector(c: Value, _: Sequence[Value]) -> Sequence[Value]:
                at = e.mul(c, 32)
                angles = [e.load(FLOATS, e.add(table, at)) for table in (cos, sin)]
                e.store(e.times(turned(at, *angles), factor), e.add(out, at))
                return ()

            e.repeat(r["vectors"], (), vector)

        def query(m: Value, _: Sequence[Value]) -> Sequence[Value]:
            head = e.add(e.mul(group, r["shared"]), m)
            turn(head, e.add(queries, e.mul(head, head_bytes)), scale)
            return ()

        def value(c: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.mul(c, 32)
            e.store(biased(e.add(first, at)), e.add(e.add(keys, r["values"]), at))
            return ()

        e.repeat(r["shared"], (), query)
        turn(e.add(heads, group), keys, e.constant(FLOATS, 1.0))
        first = e.mul(e.add(heads, e.add(r["groups"], group)), head_bytes)
        e.repeat(r["vectors"], (), value)

    each_unit(e, record, s["row_groups"], unit)
    return e.function


def _turned(
    e: StepEmitter, style: str, load: Callable[[Value], Value], first: Value, size: Value
) -> Callable[[Value, Value, Value], Value]:
    """Rotates a head of ``size`` bytes at ``first``: (offset, cos, sin) -> 8 components."""
    half, _ = e.divide(size, e.whole(2))

    def vector(at: Value, cos: Value, sin: Value) -> Value:
        own = load(e.add(first, at))
        if style == "neox":
            _, other = e.divide(e.add(at, half), size)
            partner = load(e.add(first, other))
        else:
            partner = e.neighbours(own)
        return e.plus(e.times(own, cos), e.times(partner, sin))

    return vector


def emit_gate(module: ir.Module, lanes: int) -> ir.Function:
    """``gate(record, step)``: silu(gate) * up, then rounding."""
    e = StepEmitter(module, "gate", 2, lanes=lanes)
    record, _ = e.arguments
    r = e.fields(record, GATE_FIELDS)
    rows = e.load(I64, r["job"], FIELD_BYTES * JOB_FIELDS.index("rows"))

    def unit(index: Value) -> None:
        row, piece = e.divide(index, r["pieces"])
        source = e.add(r["source"], e.mul(row, r["stride"]))
        out = Rounded(e, r["job"], row)
        first = e.mul(piece, r["chunk"])

        def gated(block: Value) -> Sequence[Value]:
            gates = block_values(e, source, block)
            ups = block_values(e, e.add(source, r["up"]), block)
            return [e.times(silu(e, gate), up) for gate, up in zip(gates, ups, strict=True)]

        out.put(gated, first, e.smaller(r["chunk"], e.sub(out.blocks, first)))

    each_unit(e, record, e.mul(rows, r["pieces"]), unit)
    return e.function


def silu(e: StepEmitter, x: Value) -> Value:
    """x / (1 + exp(-x)) of floats, by lane, without overflow."""
    power = exp(e, e.minus(e.constant(x.type, 0.0), e.magnitude(x)))
    one = e.constant(x.type, 1.0)
    above = e.select_positive(x, one, power)
    return e.times(x, e.over(above, e.plus(one, power)))


def exp(e: StepEmitter, x: Value) -> Value:
    """exp of floats that are not positive, by lane: 2^n times a polynomial of the rest."""
    n = e.rounded(e.times(x, e.constant(x.type, 1 / math.log(2))))
    rest = x
    for part in _LN2:
        rest = e.minus(rest, e.times(n, e.constant(x.type, part)))
    result = e.constant(x.type, _EXP[0])
    for coefficient in _EXP[1:]:
        result = e.plus(e.times(result, rest), e.constant(x.type, coefficient))
    result = e.times(result, e.power_of_two(n))
    return e.where_above(x, _SMALLEST_EXPONENT, result, e.constant(x.type, 0.0))
