"""From a record's bits to registers: the records of :mod:`sparkcode.model.records`, seen from here.

=====  =====  ======  ==================================================================
kind   bytes  blocks  offsets of its parts
=====  =====  ======  ==================================================================
q4     640    2       scales 0, minima 64, nibbles 128
q4k    2368   8       d 0, dmin 32, scales 64, minima 192 (one byte each), nibbles 320
q5     704    2       scales 0, upper nibbles 64, lowest bits 576
q6     832    2       scales 0, lower nibbles 64, upper bits 576 (two a weight)
q8     1088   2       scales 0, bytes 64
=====  =====  ======  ==================================================================

Where several rows of activations follow, a record is written out once into **scratch** blocks:
codes [8][64], scales and negative minima as 16 floats each. Those of q4k hold 16 whole scales
instead; behind the last one lie four vectors of 16 pairs of minima, of two blocks each, and ``d``
and ``-dmin`` as floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from sparkcode.model.kernels.vocabulary import Value
from sparkcode.model.kernels.wide import ROWS, Wide, bit_type

RecordKind = Literal["q4", "q4k", "q5", "q6", "q8"]

_PAIR_SCALES = 32
_VECTOR = 64
VECTORS: Final = 8
"""Vectors in a block."""
SCRATCH_BYTES: Final = 8 * _VECTOR + 2 * _VECTOR
"""Of one block."""
RECORD_BYTES: Final = 6 * _VECTOR
"""Of what lies behind a record's blocks."""
_SCALES_AT, _MINIMA_AT = 8 * _VECTOR, 9 * _VECTOR


@dataclass(frozen=True, slots=True)
class Layout:
    """A record's size and what its codes mean."""

    nbytes: int
    blocks: int
    codes: int
    """Offset of the codes."""
    zero: int
    """What is taken off a code before it is scaled."""
    minima: bool = False
    whole: bool = False
    """Whether a block's scale and minimum are whole numbers, times a factor of the record."""

    @property
    def span(self) -> int:
        """Blocks of activations that have to share one ``a``."""
        return self.blocks if self.whole else 1


LAYOUTS: Final[Mapping[RecordKind, Layout]] = {
    "q4": Layout(640, 2, 128, 0, minima=True),
    "q4k": Layout(2368, 8, 320, 0, minima=True, whole=True),
    "q5": Layout(704, 2, 64, 16),
    "q6": Layout(832, 2, 64, 32),
    "q8": Layout(1088, 2, 64, 128),
}


def span_of(kinds: Iterable[RecordKind]) -> int:
    """Blocks that share one ``a`` in activations which all ``kinds`` are multiplied by."""
    return max(LAYOUTS[kind].span for kind in kinds)


class Source(Protocol):
    """One block of 16 rows x 32 weights."""

    def vector(self, number: int, half: int) -> Value:
        """Vector ``number`` of a half: unsigned codes.

        For q8 signed values instead, where bytes are multiplied by ``maddubs``.
        """
        ...

    def scale(self, half: int) -> Value:
        """8 or 16 floats; whole scales as :meth:`Wide.as_scales` makes them."""
        ...

    def minimum(self, half: int) -> Value | None:
        """-m of the same rows; None for kinds without minima, and for whole ones."""
        ...


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """A block of a record."""

    e: Wide
    kind: RecordKind
    record: Value
    block: Value | int

    def vector(self, number: int, half: int) -> Value:
        e, at = self.e, LAYOUTS[self.kind].codes + self.e.register_bytes * half
        if self.kind == "q8":
            raw = e.load(e.bytes, e.at(self.record, self.block, 8 * _VECTOR, at + _VECTOR * number))
            return e.flip(raw, e.constant(e.bytes, -128)) if e.isa.dot == "maddubs" else raw
        # The second load of the same bytes costs less than a register.
        at += _VECTOR * (number // 2)
        raw = e.load(e.bytes, e.at(self.record, self.block, 4 * _VECTOR, at))
        shift = (1 if self.kind == "q5" else 0) - 4 * (number % 2)
        code = e.both(e.moved(raw, shift), e.constant(e.bytes, 30 if self.kind == "q5" else 15))
        match self.kind:
            case "q5":
                return self._with_lowest(code, number, half)
            case "q6":
                return self._with_upper(code, number, half)
            case _:
                return code

    def _with_lowest(self, doubled: Value, vector: int, half: int) -> Value:
        """Codes of q5 from twice their upper bits."""
        e, lanes = self.e, self.e.isa.lanes
        start = e.at(self.record, self.block, _VECTOR, 576 + 8 * vector + lanes // 2 * half)
        if lanes == ROWS:
            return e.marked(doubled, e.load(bit_type(lanes), start))
        word = e.cast(e.broadcast(bit_type(lanes), start), e.bytes)
        spread = e.lookup(word, e.table([lane // 8 for lane in range(32)]))
        bit = e.table([1 << lane % 8 for lane in range(32)])
        return e.minus(doubled, e.equal_bytes(e.both(spread, bit), bit))

    def _with_upper(self, low: Value, vector: int, half: int) -> Value:
        """Codes of q6 from their lower nibbles."""
        e = self.e
        line, place = divmod(vector, 4)
        at = 576 + _VECTOR * line + e.register_bytes * half
        bits = e.load(e.bytes, e.at(self.record, self.block, 2 * _VECTOR, at))
        return e.either(low, e.both(e.moved(bits, 4 - 2 * place), e.constant(e.bytes, 0x30)))

    def scale(self, half: int) -> Value:
        e = self.e
        if self.kind != "q4k":
            return e.load_float16(e.at(self.record, self.block, _PAIR_SCALES), half)
        return e.as_scales(e.load_words(e.at(self.record, self.block, ROWS, 64), half))

    def count(self, half: int) -> Value:
        """A whole minimum, in both 16-bit halves of each lane."""
        e = self.e
        words = e.load_words(e.at(self.record, self.block, ROWS, 192), half)
        return e.either(words, e.times_power(words, 16))

    def minimum(self, half: int) -> Value | None:
        e = self.e
        if self.kind != "q4":
            return None
        return e.negative(e.load_float16(e.at(self.record, self.block, _PAIR_SCALES, 64), half))


@dataclass(frozen=True, slots=True)
class ScratchBlock:
    """A block that :func:`write_scratch` has unpacked at ``start``."""

    e: Wide
    kind: RecordKind
    start: Value

    def vector(self, number: int, half: int) -> Value:
        return self.e.load(
            self.e.bytes, self.start, _VECTOR * number + self.e.register_bytes * half
        )

    def scale(self, half: int) -> Value:
        kind = self.e.scales if LAYOUTS[self.kind].whole else self.e.floats
        return self.e.load(kind, self.start, _SCALES_AT + self.e.register_bytes * half)

    def minimum(self, half: int) -> Value | None:
        if self.kind != "q4":
            return None
        return self.e.load(self.e.floats, self.start, _MINIMA_AT + self.e.register_bytes * half)


def write_scratch(source: PackedBlock, start: Value) -> None:
    """Unpack a block to ``start``, SCRATCH_BYTES."""
    e = source.e
    for number in range(VECTORS):
        for half in e.halves:
            e.store(source.vector(number, half), start, _VECTOR * number + e.register_bytes * half)
    for half in e.halves:
        e.store(source.scale(half), start, _SCALES_AT + e.register_bytes * half)
        minimum = source.minimum(half)
        if minimum is not None:
            e.store(minimum, start, _MINIMA_AT + e.register_bytes * half)


@dataclass(frozen=True, slots=True)
class PackedRecord:
    """What a q4k record's blocks have in common."""

    e: Wide
    record: Value

    def minima(self, pair: Value | int, half: int) -> Value:
        """Of blocks 2 ``pair`` and the next: two 16-bit integers for each row."""
        e = self.e
        even, odd = (
            e.load_words(e.at(self.record, pair, 2 * ROWS, 192 + ROWS * n), half) for n in (0, 1)
        )
        return e.either(even, e.times_power(odd, 16))

    def factors(self, half: int) -> tuple[Value, Value]:
        """``d`` and ``-dmin``."""
        e = self.e
        return e.load_float16(self.record, half), e.negative(
            e.load_float16(e.add(self.record, 32), half)
        )


@dataclass(frozen=True, slots=True)
class ScratchRecord:
    """The same, where :func:`write_record` has put it: ``start`` is behind the blocks."""

    e: Wide
    start: Value

    def minima(self, pair: Value | int, half: int) -> Value:
        e = self.e
        return e.load(e.ints, e.at(self.start, pair, _VECTOR, e.register_bytes * half))

    def factors(self, half: int) -> tuple[Value, Value]:
        e, at = self.e, 4 * _VECTOR + self.e.register_bytes * half
        return e.load(e.floats, self.start, at), e.load(e.floats, self.start, at + _VECTOR)


def write_record(source: PackedRecord, start: Value) -> None:
    """Write RECORD_BYTES at ``start``."""
    e = source.e
    for half in e.halves:
        at = e.register_bytes * half
        for pair in range(4):
            e.store(source.minima(pair, half), start, _VECTOR * pair + at)
        for number, values in enumerate(source.factors(half)):
            e.store(values, start, _VECTOR * (4 + number) + at)
