"""What only products need of the vocabulary, for registers of 8 or 16 lanes.

A record's 64-byte vector of 16 rows x 4 weights is one register of 16 lanes, or two **halves** of 8
lanes, 8 rows each.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from sparkcode.model.kernels.instructions import InstructionSet
from sparkcode.model.kernels.vocabulary import (
    BYTES,
    I8,
    I16,
    I32,
    I64,
    INTS,
    SHORTS,
    Emitter,
    Value,
)

ROWS = 16


class Wide(Emitter):
    """An emitter for registers of ``isa``: ``bytes``, ``shorts``, ``ints`` and ``floats`` fill one.

    What takes BYTES, SHORTS or INTS still has 8 lanes.
    """

    def __init__(
        self, module: ir.Module, name: str, arguments: int, *, isa: InstructionSet
    ) -> None:
        super().__init__(module, name, arguments, lanes=isa.lanes)
        self.isa = isa
        lanes = isa.lanes
        self.halves = range(ROWS // lanes)
        self.bytes = ir.VectorType(I8, 4 * lanes)
        self.shorts = ir.VectorType(I16, 2 * lanes)
        self.ints = ir.VectorType(I32, lanes)
        self.scales = self.shorts if isa.dot == "maddubs" else self.ints
        """What whole scales are held in; see :meth:`as_scales`."""

    def at(self, start: Value, index: Value | int, stride: int, offset: int = 0) -> Value:
        """start + index * stride + offset."""
        if isinstance(index, int):
            return self.add(start, index * stride + offset)
        return self.add(self.add(start, self.mul(index, stride)), offset)

    def load_float16(self, address: Value, half: int) -> Value:
        """The half's share of 16 16-bit floats as floats."""
        kind = ir.VectorType(ir.HalfType(), self.isa.lanes)
        return self.widen(self.load(kind, address, 2 * self.isa.lanes * half))

    def load_words(self, address: Value, half: int) -> Value:
        """The half's share of 16 unsigned bytes as integers."""
        kind = ir.VectorType(I8, self.isa.lanes)
        return self._b.zext(self.load(kind, address, self.isa.lanes * half), self.ints)

    def as_scales(self, words: Value) -> Value:
        """Integers below 2^15 as :meth:`Dot.scaled` takes them.

        ``maddubs`` leaves two sums of 16 bits in a lane: each meets the scale in ``vpmaddwd``.
        """
        if self.isa.dot != "maddubs":
            return words
        return self.cast(self.either(words, self.times_power(words, 16)), self.shorts)

    def short_dots(self, a: Value, b: Value) -> Value:
        """``vpmaddwd``: two products of 16-bit integers, added, in every lane of INTS."""
        if self.isa.dot != "plain":
            name = "avx512.pmaddw.d.512" if self.isa.lanes == ROWS else "avx2.pmadd.wd"
            halves = [self.cast(value, self.shorts) for value in (a, b)]
            return self.intrinsic(f"llvm.x86.{name}", self.ints, halves)
        a, b = self.cast(a, self.ints), self.cast(b, self.ints)
        bits = self.constant(self.ints, 16)
        low, high = (
            [self._b.ashr(value, bits) for value in values]
            for values in ([self._b.shl(a, bits), self._b.shl(b, bits)], [a, b])
        )
        return self._b.add(self._b.mul(*low), self._b.mul(*high))

    def add_short_dots(self, total: Value, a: Value, b: Value) -> Value:
        """``total``, and ``short_dots(a, b)``: ``vpdpwssd``, where bytes are multiplied so too."""
        if self.isa.dot != "vnni":
            return self.plus(total, self.short_dots(a, b))
        name = f"llvm.x86.avx512.vpdpwssd.{32 * self.isa.lanes}"
        words = [self.cast(value, self.ints) for value in (a, b)]
        return self.intrinsic(name, self.ints, [total, *words])

    def broadcast(self, kind: ir.Type, address: Value, offset: int = 0) -> Value:
        """The number at an address in every lane."""
        return self.splat(self.load(kind, address, offset))

    def moved(self, value: Value, bits: int) -> Value:
        """Bytes shifted up, or down where ``bits`` is negative: as by ``up`` and ``down``."""
        if bits == 0:
            return value
        return self.up(value, bits) if bits > 0 else self.down(value, -bits)

    def negative(self, value: Value) -> Value:
        """-value, of floats."""
        return self._b.fneg(value)

    def pinned(self, value: Value, *, ordered: bool) -> Value:
        """The same value, that LLVM may not look behind.

        It would add up products in pairs first, to save time that is not short, and run out of
        registers. ``ordered`` values are also made in the order of these calls.
        """
        signature = ir.FunctionType(value.type, [value.type])
        return self._b.call(ir.InlineAsm(signature, "", "=x,0", side_effect=ordered), [value])

    def opaque(self, address: Value) -> Value:
        """The same address, of whose origin LLVM knows nothing.

        Where it knows the sum that an address is, it makes a pointer of its own for every offset in
        a loop, and moves them through memory.
        """
        signature = ir.FunctionType(I64, [I64])
        return self._b.call(ir.InlineAsm(signature, "", "=r,0"), [address])

    def times_power(self, value: Value, power: int) -> Value:
        """Integers times 2^power, by lane."""
        return self._b.shl(value, self.constant(value.type, power))

    def marked(self, value: Value, word: Value) -> Value:
        """Bytes, plus one for each bit of an integer that is set."""
        mask = self._b.bitcast(word, ir.VectorType(ir.IntType(1), value.type.count))
        return self._b.add(value, self._b.zext(mask, value.type))

    def both_sums(self, address: Value) -> Value:
        """Two 16-bit integers at an address, added: in every lane."""
        return self.short_dots(self.broadcast(I32, address), self.constant(self.shorts, 1))

    def table(self, values: Sequence[int]) -> Value:
        """32 constant bytes."""
        return ir.Constant(BYTES, [ir.Constant(I8, value) for value in values])

    def equal_bytes(self, a: Value, b: Value) -> Value:
        """-1 in each byte that is equal, else 0."""
        return self._b.sext(self._b.icmp_signed("==", a, b), BYTES)

    def lookup(self, table: Value, indices: Value) -> Value:
        """``vpshufb``: in each half of the register, bytes of ``table`` by the low index bits."""
        return self.intrinsic("llvm.x86.avx2.pshuf.b", BYTES, [table, indices])

    def pair_products(self, unsigned: Value, signed: Value) -> Value:
        """``vpmaddubsw``: u0 s0 + u1 s1 of neighbouring bytes as SHORTS, 32,767 at most."""
        return self.intrinsic("llvm.x86.avx2.pmadd.ub.sw", SHORTS, [unsigned, signed])

    def pair_sums(self, shorts: Value) -> Value:
        """``vpmaddwd`` with ones: sums of neighbouring SHORTS as INTS."""
        ones = self.constant(SHORTS, 1)
        return self.intrinsic("llvm.x86.avx2.pmadd.wd", INTS, [shorts, ones])

    def with_sign(self, value: Value, sign: Value) -> Value:
        """``vpsignb``: value times the sign (-1, 0, 1) of each byte of ``sign``."""
        return self.intrinsic("llvm.x86.avx2.psign.b", BYTES, [value, sign])

    def dot4(self, total: Value, unsigned: Value, signed: Value) -> Value:
        """``vpdpbusd``: to each 32-bit sum, four products of neighbouring bytes."""
        if self.isa.dot == "plain":
            return self._b.add(total, self._plain_dot(unsigned, signed))
        name = f"llvm.x86.avx512.vpdpbusd.{32 * self.isa.lanes}"
        words = [self.cast(value, self.ints) for value in (unsigned, signed)]
        return self.intrinsic(name, self.ints, [total, *words])

    def _plain_dot(self, unsigned: Value, signed: Value) -> Value:
        """Four products of neighbouring bytes added up, for any processor."""
        b = self._b
        left, right = (self.cast(value, self.ints) for value in (unsigned, signed))
        total = self.constant(self.ints, 0)
        for place in range(4):
            down, up, top = (self.constant(self.ints, n) for n in (8 * place, 24 - 8 * place, 24))
            byte = b.and_(b.lshr(left, down), self.constant(self.ints, 255))
            total = b.add(total, b.mul(byte, b.ashr(b.shl(right, up), top)))
        return total


def bit_type(lanes: int) -> ir.Type:
    """An integer with one bit for each byte of a register."""
    return I64 if lanes == ROWS else I32
