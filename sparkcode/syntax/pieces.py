"""A region that is too long to be rewritten well, cut where a reader would cut it.

A small model copies a hundred lines faithfully and loses its place in three hundred; what it has to
change, it changes best in a few. A region of more than :data:`MAX_LINES` is cut into pieces that
end before or behind a definition, an outer one rather than an inner one, about
:data:`PIECE_LINES` long, or as long as one definition is. Where there is none within the limit, a
piece ends at a blank line, else at any line, and inside a string or brackets only as a last resort.
What begins inside a definition ends with it. Blank lines between two pieces belong to none: they
stay.
"""

from __future__ import annotations

from typing import Final

from sparkcode.syntax.definitions import Definition, definitions, solids
from sparkcode.syntax.lines import Region

MAX_LINES: Final = 120
"""Longest region that is rewritten in one pass: about 1,200 tokens."""
PIECE_LINES: Final = 40
"""Usual length of the pieces of a longer one: they are longer only where a definition is."""

_BLANK, _ANYWHERE, _BROKEN = 1_000, 1_000_000, 1_000_000_000
"""Ranks of cuts at no definition; to them comes the indentation."""


def pieces(
    text: str,
    language: str,
    region: Region,
    *,
    limit: int = MAX_LINES,
    usual: int = PIECE_LINES,
) -> tuple[Region, ...]:
    """``region`` in pieces of at most ``limit`` lines, in order; as it is when it is short enough.

    Together they hold every line of it that is not blank. Lines end with LF.
    """
    if region.last - region.first < limit:
        return (region,)
    lines = text.split("\n")
    ranks = _ranks(lines, definitions(text, language), region)
    for solid in solids(text, language):
        for line in range(max(solid.first + 1, region.first + 1), solid.last + 1):
            if line in ranks:
                ranks[line] = max(ranks[line], _BROKEN)
    found: list[Region] = []
    first = region.first
    while first <= region.last:
        last = _end(ranks, first, region.last, limit, usual)
        piece = _trimmed(lines, first, last)
        if piece is not None:
            found.append(piece)
        first = last + 1
    return tuple(found) or (region,)


def _end(ranks: dict[int, int], first: int, last: int, limit: int, usual: int) -> int:
    """The last line of the piece that begins at ``first``."""
    inside = min(ranks[first], _BLANK)
    # Where the definition ends that the piece begins in.
    stop = next((at for at in range(first + 1, last + 1) if ranks[at] < inside), last + 1)
    if stop - first <= usual:
        return stop - 1
    within = range(first + 1, min(first + limit, last) + 1)
    good = [at for at in within if ranks[at] < _BLANK and at <= stop]
    near = [at for at in good if at <= first + usual]
    if not near and (good or stop <= first + limit):
        return (good or [stop])[0] - 1
    return min(near or within, key=lambda at: (ranks[at], -at)) - 1


def _ranks(lines: list[str], found: tuple[Definition, ...], region: Region) -> dict[int, int]:
    """How good each line is as the first of a piece; less is better."""
    ranks: dict[int, int] = {}
    for line in range(region.first, region.last + 1):
        blank = line > 1 and not lines[line - 2].strip()
        indent = _indent(lines[line - 1]) if lines[line - 1].strip() else _BLANK // 2
        ranks[line] = (_BLANK if blank else _ANYWHERE) + min(indent, _BLANK // 2)
    ends = {each.region.last for each in found}
    for each in found:
        depth = len(each.around)
        for line in (_start(lines, each.region.first, ends), each.region.last + 1):
            if line in ranks:
                ranks[line] = min(ranks[line], depth)
    ranks[region.first] = 0
    return ranks


def _start(lines: list[str], line: int, ends: set[int]) -> int:
    """Where a definition's own comment begins: lines right above it, indented as it is."""
    indent = _indent(lines[line - 1])
    while line > 1 and line - 1 not in ends:
        above = lines[line - 2]
        if not above.strip() or _indent(above) != indent:
            break
        line -= 1
    return line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _trimmed(lines: list[str], first: int, last: int) -> Region | None:
    """Without blank lines around; None if there is nothing else."""
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    return Region(first, last) if first <= last else None
