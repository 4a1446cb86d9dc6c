"""Exact integer dot products of a block's rows with a block of activations.

A **half** is a register's share of the 16 rows (:mod:`~sparkcode.model.kernels.wide`); **pair
sums** are those of :mod:`~sparkcode.model.kernels.quantise`.

With ``vpdpbusd`` a 32-bit sum takes the eight vectors one after another; it begins as
``-zero * sum(i)``. ``vpmaddubsw`` adds two products in 16 bits, and those sums are added while they
cannot overflow:

=======  ===================================  ===========================================
kind     operands                             greatest sum in 16 bits
=======  ===================================  ===========================================
q4, q4k  ``c`` (0 to 15) and ``i``            8 vectors: 8 * 2 * 15 * 127 = 30,480
q5       ``c`` (0 to 31) and ``i``, less      8 vectors: 8 * 2 * 16 * 127 = 32,512; what
         16 times the activations' pair sums  overflows on the way comes back
q6       ``c`` (0 to 63) and ``i``            2 vectors: 2 * 2 * 63 * 127 = 32,004
q8       ``|c - 128|``, ``i sign(c - 128)``   1 vector: 2 * 128 * 127 = 32,512
=======  ===================================  ===========================================
"""

from __future__ import annotations

from sparkcode.model.kernels.unpack import LAYOUTS, RecordKind
from sparkcode.model.kernels.vocabulary import I32, Value
from sparkcode.model.kernels.wide import Wide


class Dot:
    """The integer sums of one register of rows with one row of activations, vector by vector."""

    def __init__(self, e: Wide, kind: RecordKind, sums: Value, *, ordered: bool) -> None:
        """``sums``: address of the activations' pair sums.

        Many sums at once fill the registers: they have to be made ``ordered`` as they are taken.
        """
        self._e, self._kind, self._sums, self._ordered = e, kind, sums, ordered
        self._short: Value | None = None
        self._total: Value | None = None
        if e.isa.dot != "maddubs":
            zero = LAYOUTS[kind].zero
            self._total = e.constant(e.ints, 0)
            if zero:
                pairs = e.broadcast(I32, sums)
                self._total = e.add_short_dots(self._total, e.constant(e.shorts, -zero), pairs)

    def take(self, number: int, weights: Value, activations: Value) -> None:
        """Add the products of vector ``number``."""
        e = self._e
        if e.isa.dot != "maddubs":
            self._total = e.dot4(self._total, weights, activations)
            return
        if self._kind == "q8":
            signed = e.with_sign(activations, weights)
            self._add(e.pair_sums(e.pair_products(e.magnitude(weights), signed)))
            return
        products = e.pair_products(weights, activations)
        if self._kind == "q5" and number == 0:
            word = e.cast(e.broadcast(I32, self._sums), e.shorts)
            products = e.minus(products, e.times_power(word, 4))
        self._short = self._plus(self._short, products)
        if self._kind == "q6" and number % 2:
            self._add(e.pair_sums(self._short))
            self._short = None

    def _add(self, ints: Value) -> None:
        self._total = self._plus(self._total, ints)

    def _plus(self, total: Value | None, more: Value) -> Value:
        if total is None:
            return more
        return self._e.plus(self._e.pinned(total, ordered=self._ordered), more)

    def scaled(self, scales: Value) -> Value:
        """The products with ``c`` times whole scales, as integers; instead of :meth:`result`."""
        e = self._e
        if self._short is not None:
            return e.short_dots(self._short, scales)
        return e.times(self._total, scales)

    def result(self) -> Value:
        """The products with ``c - zero``, as floats."""
        e = self._e
        if self._short is not None:
            self._add(e.pair_sums(self._short))
        if self._kind == "q6" and e.isa.dot == "maddubs":
            offset = e.times_power(e.both_sums(self._sums), 5)
            return e.to_floats(e.minus(self._total, offset))
        return e.to_floats(self._total)
