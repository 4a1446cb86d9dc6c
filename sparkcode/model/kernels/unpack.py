"""From a record's bits to registers: the layouts of :mod:`sparkcode.model.packed`, seen from here.

=====  =====  ======  ==================================================================
kind   bytes  blocks  offsets of its parts
=====  =====  ======  ==================================================================
q4     640    2       scales 0, minima 64, nibbles 128
q4k    2368   8       d 0, dmin 32, scales 64, minima 192 (one byte each), nibbles 320
q5     704    2       scales 0, upper nibbles 64, lowest bits 576
q6     832    2       scales 0, lower nibbles 64, upper bits 576 (two a weight)
q8     1088   2       scales 0, bytes 64
=====  =====  ======  ==================================================================

Where several rows of
activations follow, a record is written out once into a **scratch** block: codes [8][64], scales and
negative minima as 16 floats each.
"""

from __future__ import annotations

from collections.abc import Mapping
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
_SCALES_AT, _MINIMA_AT = 8 * _VECTOR, 9 * _VECTOR


@dataclass(frozen=True, slots=True)
class Layout:
    """A record's size and what its codes mean."""

    nbytes: int
    blocks: int
    codes: int
    """Offset of the codes."""
    zero: int
    """The code that stands for 0."""
    minima: bool = False


LAYOUTS: Final[Mapping[RecordKind, Layout]] = {
    "q4": Layout(640, 2, 128, 0, minima=True),
    "q4k": Layout(2368, 8, 320, 0, minima=True),
    "q5": Layout(704, 2, 64, 16),
    "q6": Layout(832, 2, 64, 32),
    "q8": Layout(1088, 2, 64, 128),
}


class Source(Protocol):
    """One block of 16 rows x 32 weights."""

    def vector(self, number: int, half: int) -> Value:
        """Vector ``number`` of a half: unsigned codes.

        For q8 signed values instead, where bytes are multiplied by ``maddubs``.
        """
        ...

    def scale(self, half: int) -> Value:
        """8 or 16 floats."""
        ...

    def minimum(self, half: int) -> Value | None:
        """-m of the same rows; None for kinds without minima."""
        ...


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """A block of a record."""

    e: Wide
    kind: RecordKind
    record: Value
    block: Value | int

    def vector(self, number: int, half: int) -> Value:
        e, at = self.e, LAYOUTS[self.kind].codes + self.e.half_bytes * half
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
        at = 576 + _VECTOR * line + e.half_bytes * half
        bits = e.load(e.bytes, e.at(self.record, self.block, 2 * _VECTOR, at))
        return e.either(low, e.both(e.moved(bits, 4 - 2 * place), e.constant(e.bytes, 0x30)))

    def scale(self, half: int) -> Value:
        e = self.e
        if self.kind != "q4k":
            return e.load_halves(e.at(self.record, self.block, _PAIR_SCALES), half)
        counts = e.load_counts(e.at(self.record, self.block, ROWS, 64), half)
        return e.times(e.load_halves(self.record, half), counts)

    def minimum(self, half: int) -> Value | None:
        e = self.e
        if not LAYOUTS[self.kind].minima:
            return None
        if self.kind == "q4":
            return e.negative(e.load_halves(e.at(self.record, self.block, _PAIR_SCALES, 64), half))
        counts = e.load_counts(e.at(self.record, self.block, ROWS, 192), half)
        return e.negative(e.times(e.load_halves(e.add(self.record, 32), half), counts))


@dataclass(frozen=True, slots=True)
class ScratchBlock:
    """A block that :func:`write_scratch` has unpacked at ``start``."""

    e: Wide
    kind: RecordKind
    start: Value

    def vector(self, number: int, half: int) -> Value:
        return self.e.load(self.e.bytes, self.start, _VECTOR * number + self.e.half_bytes * half)

    def scale(self, half: int) -> Value:
        return self.e.load(self.e.floats, self.start, _SCALES_AT + self.e.half_bytes * half)

    def minimum(self, half: int) -> Value | None:
        if not LAYOUTS[self.kind].minima:
            return None
        return self.e.load(self.e.floats, self.start, _MINIMA_AT + self.e.half_bytes * half)


def write_scratch(source: PackedBlock, start: Value) -> None:
    """Unpack a block to ``start``, SCRATCH_BYTES."""
    e = source.e
    for number in range(VECTORS):
        for half in e.halves:
            e.store(source.vector(number, half), start, _VECTOR * number + e.half_bytes * half)
    for half in e.halves:
        e.store(source.scale(half), start, _SCALES_AT + e.half_bytes * half)
        minimum = source.minimum(half)
        if minimum is not None:
            e.store(minimum, start, _MINIMA_AT + e.half_bytes * half)
