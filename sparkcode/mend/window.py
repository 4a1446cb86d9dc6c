"""The lines between the first and the last difference of two texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from typing import Final

MAX_LINES: Final = 2000
"""Longest stretch of differing lines, on either side, that is compared line by line."""


@dataclass(frozen=True, slots=True)
class Window:
    """What differs of two texts, as lines with their endings."""

    old: Sequence[str]
    new: Sequence[str]
    head: str
    tail: str
    line: int
    """How many lines stand before the window."""

    def with_new(self, lines: Sequence[str]) -> str:
        """The whole new text, with ``lines`` in the window."""
        return self.head + "".join(lines) + self.tail


def lines_of(text: str) -> list[str]:
    """Lines with their endings; only LF ends one."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def differing(before: str, after: str) -> Window | None:
    """Where ``before`` and ``after`` differ; None when nowhere, or over too many lines."""
    if before == after:
        return None
    old, new = lines_of(before), lines_of(after)
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    first, last = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(first), len(last)) > MAX_LINES:
        return None
    tail = "".join(old[len(old) - end :])
    return Window(first, last, "".join(old[:start]), tail, start)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return sum(takewhile(bool, map(eq, one, other)))
