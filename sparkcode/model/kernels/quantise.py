"""Activations rounded to 8 bit, 32 at a time.

``x = a * i`` with ``a`` the largest magnitude / 127 of a block, or of a **span** of 8 blocks, which
is what weights with whole-number scales are multiplied by. Besides its codes a block has a record
of four **factors**:

======  =================================================================================
offset  what it holds
======  =================================================================================
0       ``a``, a float
4       ``a * sum(i)``, a float
8       pair sums, two 16-bit integers: the sums of the codes whose number is 0 or 1, and 2
        or 3, modulo 4. A code vector's 16-bit sums of neighbours lie in that order, so the
        word in every lane is what a whole block's activations add to them.
12      block sums, two 16-bit integers: ``sum(i)`` of this block, whose number is even,
        and of the next
======  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from llvmlite import ir

from sparkcode.model.blocks import BLOCK
from sparkcode.model.kernels.vocabulary import I16, LANES, Emitter, Value

FACTORS_BYTES = 16
"""Of a block."""
PAIR_SUMS, BLOCK_SUMS = 8, 12
"""Offsets in the factors."""
MOST_SPAN = 8
"""Blocks."""
_SMALLEST = 1e-30
"""A span whose largest magnitude is below counts as zeros: 127 / magnitude could overflow."""
_VALUES_BYTES = 4 * BLOCK

BlockValues: TypeAlias = Callable[[Value], Sequence[Value]]
"""A block's number to its activations, 32 in registers."""
Places: TypeAlias = Callable[[Value], tuple[Value, Value]]
"""A block's number to the addresses of its codes and factors."""


def emit_quantise(module: ir.Module, *, lanes: int = LANES) -> ir.Function:
    """``quantise(x, stride, rows, blocks, span, codes, factors)``: one tile of activations.

    x float32 [rows, blocks * 32], ``stride`` bytes between rows -> int8 [blocks, rows, 32] and
    factors [blocks, rows]; ``blocks`` is a multiple of ``span``, 1 or 8.
    """
    e = Emitter(module, "quantise", 7, lanes=lanes)
    x, stride, rows, blocks, span, codes, factors = e.arguments

    def row(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        first = e.add(x, e.mul(t, stride))

        def values(block: Value) -> Sequence[Value]:
            return block_values(e, first, block)

        def place(block: Value) -> tuple[Value, Value]:
            number = e.add(e.mul(block, rows), t)
            return e.add(codes, e.mul(number, BLOCK)), e.add(factors, e.mul(number, FACTORS_BYTES))

        round_blocks(e, values, place, (e.whole(0), blocks), span)
        return ()

    e.repeat(rows, (), row)
    return e.finish()


def round_blocks(
    e: Emitter, values: BlockValues, place: Places, blocks: tuple[Value, Value], span: Value
) -> None:
    """Round ``blocks``, the first one's number and how many, into place."""
    first, count = blocks
    room = e.scratch(MOST_SPAN * _VALUES_BYTES)

    def each(index: Value, _: Sequence[Value]) -> Sequence[Value]:
        start = e.add(first, e.mul(index, span))
        largest = _largest(e, lambda n: values(e.add(start, n)), room, span)
        inverse = e.over(e.number(127.0), largest)
        inverse_scale = e.splat(e.where_above(largest, _SMALLEST, inverse, e.number(0.0)))
        scale = e.over(largest, e.number(127.0))

        def write(n: Value, _: Sequence[Value]) -> Sequence[Value]:
            block = e.add(start, n)
            codes, factors = place(block)
            _, even = place(e.bits(block, -2))
            pairs = _write_codes(e, block_values(e, room, n), inverse_scale, codes)
            total = e.halves_sum(pairs)
            e.store(scale, factors)
            e.store(e.times(e.to_float(total), scale), factors, 4)
            e.store(pairs, factors, PAIR_SUMS)
            own_half = e.add(even, e.mul(e.bits(block, 1), 2))
            e.store(e.narrow(total, I16), own_half, BLOCK_SUMS)
            return ()

        e.repeat(span, (), write)
        return ()

    spans, _ = e.divide(count, span)
    e.repeat(spans, (), each)


def _largest(e: Emitter, values: BlockValues, room: Value, span: Value) -> Value:
    """The largest magnitude of a span, whose values are kept in ``room``."""

    def measure(n: Value, found: Sequence[Value]) -> Sequence[Value]:
        own = values(n)
        at = e.add(room, e.mul(n, _VALUES_BYTES))
        for part, value in enumerate(own):
            e.store(value, at, e.register_bytes * part)
        sizes = [e.magnitude(value) for value in own]
        return (e.greater(found[0], combined(e.greater, sizes)),)

    (found,) = e.repeat(span, (e.constant(e.floats, 0.0),), measure)
    return e.largest(found)


def block_values(e: Emitter, row: Value, block: Value) -> list[Value]:
    """A block of a row of floats, in registers."""
    at = e.add(row, e.mul(block, _VALUES_BYTES))
    return [e.load(e.floats, at, 4 * first) for first in range(0, BLOCK, e.lanes)]


def combined(operation: Callable[[Value, Value], Value], values: Sequence[Value]) -> Value:
    """Values joined in pairs, and those in pairs again."""
    while len(values) > 1:
        values = [operation(*pair) for pair in zip(values[0::2], values[1::2], strict=True)]
    return values[0]


def _write_codes(e: Emitter, values: Sequence[Value], inverse_scale: Value, codes: Value) -> Value:
    """Store a block's codes; returns their pair sums."""
    ints = []
    for part, value in enumerate(values):
        rounded, whole = e.to_int8(e.times(value, inverse_scale))
        e.store(rounded, codes, e.lanes * part)
        ints.append(whole)
    return e.pair_totals(combined(e.plus, ints))
