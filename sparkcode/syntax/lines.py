"""Lines of a text: only LF ends one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """Lines ``first`` to ``last``, 1-based and inclusive; ``(1, 0)`` is an empty file's."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def line_count(text: str) -> int:
    """Lines of ``text``; only LF ends one, and the last may lack it."""
    return text.count("\n") + int(bool(text) and not text.endswith("\n"))


def whole(text: str) -> Region:
    """The region of all lines."""
    return Region(1, line_count(text))
