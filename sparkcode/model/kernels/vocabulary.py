"""A small vocabulary for vector code: what the tiles are written in.

An :class:`Emitter` appends instructions to a function of an LLVM module. Addresses are 64-bit
integers, so arithmetic on them is ordinary; a vector register of AVX2 holds 32 bytes: ``BYTES``
(32 x i8), ``SHORTS`` (16 x i16), ``INTS`` (8 x i32) or ``FLOATS`` (8 x f32). An emitter's own
``floats`` fill a register of as many ``lanes`` as it is made for. :class:`Wide` has what only
products need. Floating-point operations carry no
fast-math flag: LLVM may neither reorder nor fuse them, so a result depends on nothing but the order
written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from llvmlite import ir

I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
FLOAT = ir.FloatType()
LANES = 8
"""32-bit lanes of a vector."""
BYTES, SHORTS, INTS = ir.VectorType(I8, 32), ir.VectorType(I16, 16), ir.VectorType(I32, LANES)
FLOATS, HALVES = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.HalfType(), LANES)

Value: TypeAlias = ir.Value
Type: TypeAlias = ir.Type


class Emitter:
    """Appends to one function; ``arguments`` are its 64-bit integers."""

    def __init__(self, module: ir.Module, name: str, arguments: int, *, lanes: int = LANES) -> None:
        self.lanes = lanes
        self.floats = ir.VectorType(FLOAT, lanes)
        self.register_bytes = 4 * lanes
        signature = ir.FunctionType(ir.VoidType(), [I64] * arguments)
        self.function = ir.Function(module, signature, name)
        self.arguments: tuple[Value, ...] = tuple(self.function.args)
        self._module = module
        self._b = ir.IRBuilder(self.function.append_basic_block("entry"))

    # Integers and addresses

    def whole(self, value: int) -> Value:
        return ir.Constant(I64, value)

    def add(self, a: Value, b: Value | int) -> Value:
        """a + b, of 64-bit integers."""
        return self._b.add(a, self.whole(b) if isinstance(b, int) else b)

    def mul(self, a: Value, b: Value | int) -> Value:
        """a * b, of 64-bit integers."""
        return self._b.mul(a, self.whole(b) if isinstance(b, int) else b)

    def sub(self, a: Value, b: Value) -> Value:
        """a - b, of 64-bit integers."""
        return self._b.sub(a, b)

    def bits(self, a: Value, mask: int) -> Value:
        """a & mask, of 64-bit integers."""
        return self._b.and_(a, self.whole(mask))

    def smaller(self, a: Value, b: Value | int) -> Value:
        """The lesser of two unsigned 64-bit integers."""
        other = self.whole(b) if isinstance(b, int) else b
        return self._b.select(self._b.icmp_unsigned("<", a, other), a, other)

    def larger(self, a: Value, b: Value) -> Value:
        """The greater of two unsigned 64-bit integers."""
        return self._b.select(self._b.icmp_unsigned(">", a, b), a, b)

    def where_less(self, a: Value, b: Value | int, then: Value, other: Value) -> Value:
        """``then`` where a < b, unsigned, else ``other``."""
        bound = self.whole(b) if isinstance(b, int) else b
        return self._b.select(self._b.icmp_unsigned("<", a, bound), then, other)

    def tiles_of(self, total: Value, size: int) -> Value:
        """total / size, rounded up."""
        return self._b.udiv(self.add(total, size - 1), self.whole(size))

    def divide(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Quotient and rest."""
        return self._b.udiv(a, b), self._b.urem(a, b)

    def load(self, kind: Type, address: Value, offset: int = 0) -> Value:
        """Read ``kind`` at ``address`` + ``offset`` bytes, aligned or not."""
        pointer = self._b.inttoptr(self.add(address, offset), kind.as_pointer())
        return self._b.load(pointer, align=1)

    def store(self, value: Value, address: Value, offset: int = 0) -> None:
        """Write ``value`` at ``address`` + ``offset`` bytes, aligned or not."""
        pointer = self._b.inttoptr(self.add(address, offset), value.type.as_pointer())
        self._b.store(value, pointer, align=1)

    def prefetch(self, address: Value, offset: int = 0, *, keep: bool = False) -> None:
        """Ask for the cache line at ``address`` + ``offset`` bytes; any address will do.

        Lines to ``keep`` are read more than once, or not soon.
        """
        pointer = self._b.inttoptr(self.add(address, offset), I8.as_pointer())
        # For reading (0), how long it is needed (0 to 3), data (1).
        arguments = [pointer, *(ir.Constant(I32, n) for n in (0, 3 if keep else 0, 1))]
        self.intrinsic("llvm.prefetch.p0", ir.VoidType(), arguments)

    def claim(self, counter: Value, amount: Value) -> Value:
        """Add to the integer at address ``counter`` as one step; returns what it was."""
        pointer = self._b.inttoptr(counter, I64.as_pointer())
        return self._b.atomic_rmw("add", pointer, amount, "monotonic")

    def publish(self, counter: Value, amount: Value) -> None:
        """Add to the integer at address ``counter`` after everything written before: release."""
        pointer = self._b.inttoptr(counter, I64.as_pointer())
        self._b.atomic_rmw("add", pointer, amount, "release")

    def scratch(self, size: int) -> Value:
        """Address of ``size`` bytes on the stack, which live as long as the call."""
        with self._b.goto_entry_block():
            room = self._b.alloca(ir.ArrayType(I8, size))
            room.align = 64
            return self._b.ptrtoint(room, I64)

    # Control

    def repeat(
        self,
        count: Value,
        start: Sequence[Value],
        body: Callable[[Value, Sequence[Value]], Sequence[Value]],
    ) -> Sequence[Value]:
        """Run ``body(index, values)`` for index 0 to count - 1, at least once.

        ``values`` begin as ``start`` and are what the body returned before; returns the last ones.
        """
        before = self._b.block
        loop, after = self._b.append_basic_block("loop"), self._b.append_basic_block("after")
        self._b.branch(loop)
        self._b.position_at_end(loop)
        index = self._b.phi(I64)
        index.add_incoming(self.whole(0), before)
        values = [self._b.phi(value.type) for value in start]
        for phi, value in zip(values, start, strict=True):
            phi.add_incoming(value, before)
        results = list(body(index, values))
        following = self.add(index, 1)
        end = self._b.block
        index.add_incoming(following, end)
        for phi, value in zip(values, results, strict=True):
            phi.add_incoming(value, end)
        self._b.cbranch(self._b.icmp_unsigned("<", following, count), loop, after)
        self._b.position_at_end(after)
        return results

    def forever(self, body: Callable[[], None]) -> None:
        """Run ``body`` until it returns from the function."""
        loop = self._b.append_basic_block("forever")
        self._b.branch(loop)
        self._b.position_at_end(loop)
        body()
        self._b.branch(loop)
        # Whatever is written next is never reached.
        self._b.position_at_end(self._b.append_basic_block("unreachable"))
        self._b.unreachable()

    def return_unless(self, a: Value, b: Value) -> None:
        """Leave the function unless a < b, unsigned."""
        with self._b.if_then(self._b.icmp_unsigned(">=", a, b)):
            self._b.ret_void()

    def when_any(self, count: Value, then: Callable[[], object]) -> None:
        """Run ``then`` unless count is 0."""
        with self._b.if_then(self._b.icmp_unsigned("!=", count, self.whole(0))):
            then()

    def choose(
        self, a: Value, cases: Mapping[int, Callable[[], None]], other: Callable[[], None]
    ) -> None:
        """Run the case that a equals, else ``other``."""
        after = self._b.append_basic_block("after")
        otherwise = self._b.append_basic_block("other")
        switch = self._b.switch(a, otherwise)
        for number, case in cases.items():
            block = self._b.append_basic_block("case")
            switch.add_case(self.whole(number), block)
            self._b.position_at_end(block)
            case()
            self._b.branch(after)
        self._b.position_at_end(otherwise)
        other()
        self._b.branch(after)
        self._b.position_at_end(after)

    def call(self, address: Value, arguments: Sequence[Value]) -> None:
        """Call a function of this vocabulary by its address."""
        signature = ir.FunctionType(ir.VoidType(), [I64] * len(arguments))
        self._b.call(self._b.inttoptr(address, signature.as_pointer()), list(arguments))

    def finish(self) -> ir.Function:
        """End the function."""
        self._b.ret_void()
        return self.function

    # Vectors

    def constant(self, kind: ir.VectorType, value: float) -> Value:
        """The same number in every lane."""
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)

    def splat(self, value: Value) -> Value:
        """One number into every lane of a register."""
        lanes = self.lanes
        kind = ir.VectorType(value.type, lanes)
        single = self._b.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
        mask = ir.Constant(ir.VectorType(I32, lanes), [ir.Constant(I32, 0)] * lanes)
        return self._b.shuffle_vector(single, single, mask)

    def cast(self, value: Value, kind: Type) -> Value:
        """The same bits as another type."""
        return self._b.bitcast(value, kind)

    def widen(self, value: Value) -> Value:
        """Half floats to floats, by lane."""
        return self._b.fpext(value, ir.VectorType(FLOAT, value.type.count))

    def to_floats(self, value: Value) -> Value:
        """Integers to floats, by lane."""
        return self._b.sitofp(value, ir.VectorType(FLOAT, value.type.count))

    def bytes_to_floats(self, value: Value) -> Value:
        """Unsigned bytes to floats, by lane."""
        return self._b.uitofp(value, ir.VectorType(FLOAT, value.type.count))

    def to_int8(self, value: Value) -> tuple[Value, Value]:
        """Floats within -128 to 127, rounded half to even: as bytes and as 32-bit integers."""
        ints = self._b.fptosi(self.rounded(value), _like(value, I32))
        return self._b.trunc(ints, _like(value, I8)), ints

    def rounded(self, value: Value) -> Value:
        """Floats to the nearest whole numbers, halves to even ones, by lane."""
        return self.intrinsic(f"llvm.rint.v{value.type.count}f32", value.type, [value])

    def power_of_two(self, value: Value) -> Value:
        """2^n of floats that are whole numbers from -126 to 127, by lane."""
        kind = _like(value, I32)
        biased = self._b.add(self._b.fptosi(value, kind), self.constant(kind, 127))
        return self._b.bitcast(self._b.shl(biased, self.constant(kind, 23)), value.type)

    def fused(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c of floats, by lane, rounded once."""
        return self.intrinsic(f"llvm.fma.v{a.type.count}f32", a.type, [a, b, c])

    def plus(self, a: Value, b: Value) -> Value:
        return self._b.fadd(a, b) if _is_float(a) else self._b.add(a, b)

    def minus(self, a: Value, b: Value) -> Value:
        return self._b.fsub(a, b) if _is_float(a) else self._b.sub(a, b)

    def times(self, a: Value, b: Value) -> Value:
        return self._b.fmul(a, b) if _is_float(a) else self._b.mul(a, b)

    def over(self, a: Value, b: Value) -> Value:
        """Quotient of floats."""
        return self._b.fdiv(a, b)

    def both(self, a: Value, b: Value) -> Value:
        """Bitwise and."""
        return self._b.and_(a, b)

    def either(self, a: Value, b: Value) -> Value:
        """Bitwise or."""
        return self._b.or_(a, b)

    def flip(self, a: Value, b: Value) -> Value:
        """Bitwise exclusive or."""
        return self._b.xor(a, b)

    def down(self, value: Value, bits: int) -> Value:
        """Bytes shifted right as 16-bit lanes: upper bits of each byte come from its neighbour."""
        kind = ir.VectorType(I16, value.type.count // 2)
        shorts = self._b.bitcast(value, kind)
        return self._b.bitcast(self._b.lshr(shorts, self.constant(kind, bits)), value.type)

    def up(self, value: Value, bits: int) -> Value:
        """Bytes shifted left as 16-bit lanes: lower bits of each byte come from its neighbour."""
        kind = ir.VectorType(I16, value.type.count // 2)
        shorts = self._b.bitcast(value, kind)
        return self._b.bitcast(self._b.shl(shorts, self.constant(kind, bits)), value.type)

    def magnitude(self, value: Value) -> Value:
        """|value| of floats, by lane, or of BYTES, where |-128| is the unsigned byte 128."""
        if _is_float(value):
            return self.intrinsic(f"llvm.fabs.v{value.type.count}f32", value.type, [value])
        return self.intrinsic("llvm.abs.v32i8", BYTES, [value, ir.Constant(ir.IntType(1), 0)])

    def greater(self, a: Value, b: Value) -> Value:
        """The greater of floats, by lane; a lane that is not a number gives ``b``'s."""
        return self._b.select(self._b.fcmp_ordered(">", a, b), a, b)

    def where_above(self, a: Value, limit: float, then: Value, other: Value) -> Value:
        """``then`` where a > limit, else ``other``: of floats, or by lane."""
        bound = self.number(limit) if a.type == FLOAT else self.constant(a.type, limit)
        above = self._b.fcmp_ordered(">", a, bound)
        return self._b.select(above, then, other)

    def number(self, value: float) -> Value:
        """A float constant."""
        return ir.Constant(FLOAT, value)

    def largest(self, value: Value) -> Value:
        """The greatest lane of floats, as by :meth:`greater`."""
        count = value.type.count
        for distance in _distances(count):
            lanes = [(lane + distance) % count for lane in range(count)]
            value = self.greater(value, self._b.shuffle_vector(value, value, _order(lanes)))
        return self._b.extract_element(value, ir.Constant(I32, 0))

    def lane_sums(self, values: Sequence[Value]) -> Value:
        """The lanes of each of 8 vectors of floats added up: one sum a lane, FLOATS."""
        name = "llvm.x86.avx.hadd.ps.256"
        if values[0].type != FLOATS:
            values = [self._folded(value) for value in values]
        while len(values) > 2:
            pairs = zip(values[0::2], values[1::2], strict=True)
            values = [self.intrinsic(name, FLOATS, pair) for pair in pairs]
        low, high = _order((0, 1, 2, 3, 8, 9, 10, 11)), _order((4, 5, 6, 7, 12, 13, 14, 15))
        first, second = values
        shuffle = self._b.shuffle_vector
        return self._b.fadd(shuffle(first, second, low), shuffle(first, second, high))

    def total(self, value: Value) -> Value:
        """All lanes of floats added up: a float."""
        sums = self.lane_sums([value] * LANES)
        return self._b.extract_element(sums, ir.Constant(I32, 0))

    def _folded(self, value: Value) -> Value:
        """The halves of 16 floats added up by lane."""
        low, high = (
            self._b.shuffle_vector(value, value, _order(range(first, first + LANES)))
            for first in (0, LANES)
        )
        return self._b.fadd(low, high)

    def pair_totals(self, value: Value) -> Value:
        """Sums of integers as two of 16 bits, the upper one of lanes whose number has bit 1."""
        kind, count = value.type, value.type.count
        shorts = ir.VectorType(I16, 2 * count)
        shift, mask = (
            ir.Constant(kind, [ir.Constant(I32, n) for n in lanes * (count // 4)])
            for lanes in ((0, 0, 16, 16), (0xFFFF, 0xFFFF, -0x10000, -0x10000))
        )
        value = self._b.and_(self._b.shl(value, shift), mask)
        for distance in _distances(count):
            order = _order(lane ^ distance for lane in range(count))
            other = self._b.shuffle_vector(value, value, order)
            sums = self._b.add(self._b.bitcast(value, shorts), self._b.bitcast(other, shorts))
            value = self._b.bitcast(sums, kind)
        return self._b.extract_element(value, ir.Constant(I32, 0))

    def halves_sum(self, word: Value) -> Value:
        """The sum of a word's two 16-bit integers."""
        low = self._b.sext(self._b.trunc(word, I16), I32)
        return self._b.add(low, self._b.ashr(word, ir.Constant(I32, 16)))

    def to_float(self, value: Value) -> Value:
        """An integer as a float."""
        return self._b.sitofp(value, FLOAT)

    def narrow(self, value: Value, kind: Type) -> Value:
        """The lower bits of an integer."""
        return self._b.trunc(value, kind)

    def intrinsic(self, name: str, result: Type, arguments: Sequence[Value]) -> Value:
        known = self._module.globals.get(name)
        if known is None:
            signature = ir.FunctionType(result, [argument.type for argument in arguments])
            known = ir.Function(self._module, signature, name)
        return self._b.call(known, list(arguments))


def _is_float(value: Value) -> bool:
    kind = value.type
    return FLOAT in (kind, getattr(kind, "element", None))


def _like(value: Value, element: Type) -> Type:
    """As many lanes of another element."""
    return ir.VectorType(element, value.type.count)


def _order(lanes: Iterable[int]) -> Value:
    """A shuffle's mask."""
    numbers = [ir.Constant(I32, lane) for lane in lanes]
    return ir.Constant(ir.VectorType(I32, len(numbers)), numbers)


def _distances(lanes: int) -> Iterator[int]:
    """Half of the lanes, a quarter, and so on to 1."""
    while lanes > 1:
        lanes //= 2
        yield lanes
