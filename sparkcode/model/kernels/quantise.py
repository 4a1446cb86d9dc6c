"""Activations rounded to 8 bit, 32 at a time.

``x = a * i`` with ``a`` the block's largest magnitude / 127. Besides its codes a block has two
**factors**, ``a`` and ``a * sum(i)``, and its **pair sums**: two 16-bit integers in one word, the
sums of the codes whose number is 0 or 1, and 2 or 3, modulo 4. A code vector's 16-bit sums of
neighbours lie in that order, so the word in every lane is what a whole block's activations add to
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from sparkcode.model.blocks import BLOCK
from sparkcode.model.kernels.vocabulary import FLOATS, INTS, LANES, Emitter, Value

FACTORS_BYTES = 8
"""Of a block."""
_SMALLEST = 1e-30
"""A block whose largest magnitude is below counts as zeros: 127 / magnitude could overflow."""


def emit_quantise(module: ir.Module) -> ir.Function:
    """``quantise(x, stride, rows, blocks, codes, factors, sums)``: one tile of activations.

    x float32 [rows, blocks * 32], ``stride`` bytes between rows -> int8 [blocks, rows, 32], factors
    float32 [blocks, rows, 2] and pair sums int16 [blocks, rows, 2].
    """
    e = Emitter(module, "quantise", 7)
    x, stride, rows, blocks, codes, factors, sums = e.arguments
    step = e.mul(rows, BLOCK)

    def row(t: Value, _: Sequence[Value]) -> Sequence[Value]:
        first = e.add(x, e.mul(t, stride))
        own = e.add(codes, e.mul(t, BLOCK))

        def block(index: Value, _: Sequence[Value]) -> Sequence[Value]:
            at = e.add(first, e.mul(index, BLOCK * 4))
            place = e.add(e.mul(index, rows), t)
            values = [e.load(FLOATS, at, 32 * part) for part in range(4)]
            places = e.add(own, e.mul(index, step)), e.add(factors, e.mul(place, FACTORS_BYTES))
            quantise_block(e, values, *places, e.add(sums, e.mul(place, 4)))
            return ()

        e.repeat(blocks, (), block)
        return ()

    e.repeat(rows, (), row)
    return e.finish()


def quantise_block(
    e: Emitter, values: Sequence[Value], codes: Value, factors: Value, sums: Value
) -> None:
    """Round 4 of FLOATS to bytes at ``codes``, and store their factors and pair sums."""
    sizes = [e.magnitude(value) for value in values]
    largest = e.largest(e.greater(e.greater(sizes[0], sizes[1]), e.greater(sizes[2], sizes[3])))
    inverse = e.over(e.number(127.0), largest)
    factor = e.splat(e.where_above(largest, _SMALLEST, inverse, e.number(0.0)))
    total = e.constant(INTS, 0)
    for part, value in enumerate(values):
        rounded, ints = e.to_int8(e.times(value, factor))
        e.store(rounded, codes, LANES * part)
        total = e.plus(total, ints)
    scale, pairs = e.over(largest, e.number(127.0)), e.pair_totals(total)
    e.store(scale, factors)
    e.store(e.times(e.both_halves(pairs), scale), factors, 4)
    e.store(pairs, sums)
