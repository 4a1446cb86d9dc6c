"""Lines of a text: only LF ends one."""

from __future__ import annotations

from collections.abc import Iterable
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


def disjoint(regions: Iterable[Region]) -> tuple[Region, ...]:
    """``regions`` in order, those that share lines as one."""
    found: list[Region] = []
    for region in sorted(regions, key=lambda region: (region.first, region.last)):
        last = found[-1] if found else None
        if last is not None and region.first <= last.last:
            found[-1] = Region(last.first, max(last.last, region.last))
        elif region != last:
            found.append(region)
    return tuple(found)
