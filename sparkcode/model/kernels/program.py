"""Programs for :mod:`sparkcode.model.kernels.flow`: records and lines in one array of integers.

A program is written once, as offsets, and then fixed at an address. Running it uses up its
counters, so a fresh copy is laid out before each run; what changes from run to run is patched.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sparkcode.model.kernels.flow import FIELD_BYTES, LINE_WORDS, PROGRAM_FIELDS, yield_address


class Place(int):
    """An offset into the program, in bytes."""

    def field(self, names: Sequence[str], name: str) -> Place:
        """Place of one of a record's fields."""
        return Place(self + FIELD_BYTES * names.index(name))


class ProgramWriter:
    """Collects records, and the lines that refer to them."""

    def __init__(self) -> None:
        self._words: list[int] = [0] * LINE_WORDS  # the program's own fields
        self._relative: list[int] = []
        self._lines: list[tuple[int, ...]] = []

    def record(self, names: Sequence[str], **values: int) -> Place:
        """Add a record; fields that are not named are zero."""
        return self._put([values.get(name, 0) for name in names])

    def line(
        self, function: int, record: Place, context: Place, *, ends: tuple[Place, Place]
    ) -> None:
        """Call ``function(record, context)`` and wait; ``ends``: finished units, units."""
        self._lines.append((function, record, context, *ends, 1))

    def lines_at_once(
        self, calls: Sequence[tuple[int, Place]], context: Place, *, ends: tuple[int, int]
    ) -> None:
        """Call each ``function(record, context)``, then wait for all of them.

        ``ends``: offsets of the finished units and of the units in each record.
        """
        for number, (function, record) in enumerate(calls, 1):
            places = (Place(record + offset) for offset in ends)
            waits = number if number == len(calls) else 0
            self._lines.append((function, record, context, *places, waits))

    @property
    def length(self) -> int:
        """Number of lines so far."""
        return len(self._lines)

    def finish(self) -> Program:
        first = Place(FIELD_BYTES * len(self._words))
        for line in self._lines:
            self._put([*line, *[0] * (LINE_WORDS - len(line))])
        own = {"lines": first, "count": len(self._lines), "yield": yield_address()}
        self._words[: len(own)] = [own[name] for name in PROGRAM_FIELDS]
        self._relative.append(PROGRAM_FIELDS.index("lines"))
        return Program(self._words, self._relative)

    def _put(self, values: Sequence[int]) -> Place:
        first = len(self._words)
        self._relative += [
            first + index for index, value in enumerate(values) if isinstance(value, Place)
        ]
        self._words += values
        self._words += [0] * (-len(values) % LINE_WORDS)
        return Place(first * FIELD_BYTES)


class Program:
    """A program at its address, and how it looks before a run."""

    def __init__(self, words: Sequence[int], relative: Sequence[int]) -> None:
        memory = np.zeros(len(words) + LINE_WORDS, np.int64)
        start = -memory.ctypes.data % (FIELD_BYTES * LINE_WORDS) // FIELD_BYTES
        self.words: npt.NDArray[np.int64] = memory[start : start + len(words)]
        self.address: int = self.words.ctypes.data
        self._fresh = np.array(words, np.int64)
        self._fresh[list(relative)] += self.address

    def renew(self) -> None:
        """Set every counter and field to how it was written."""
        self.words[:] = self._fresh

    def patch(self, place: Place, values: Sequence[int]) -> None:
        """Set fields from ``place`` on."""
        first = place // FIELD_BYTES
        self.words[first : first + len(values)] = values

    def shorten(self, lines: int) -> None:
        """Run only the first ``lines`` lines, this time."""
        self.words[PROGRAM_FIELDS.index("count")] = lines


def float_bits(value: float) -> int:
    """The bits of a float32."""
    return int(np.float32(value).view(np.uint32))


def address_of(array: npt.NDArray[np.generic]) -> int:
    """Where a contiguous array that may be written lies; quicker than ``array.ctypes.data``."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data.cast("B")))
