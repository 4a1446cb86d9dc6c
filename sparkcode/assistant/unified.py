"""Unified diffs of texts of any size.

Lines that occur once in both texts and in the same order are anchors (the patience diff of Bram
Cohen); between two of them an ordinary diff is small. What stays large without an anchor is shown
as replaced, so that 50,000 lines take no longer than reading them a few times.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from operator import eq
from typing import Final

AROUND: Final = 3
"""Unchanged lines shown around a change."""
MAX_CELLS: Final = 1 << 22
"""Most pairs of lines, those of one text by those of the other, that are compared in earnest."""

Block = tuple[int, int, int]
"""Equal lines: where they start in the old and in the new text (from 0), and how many."""


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """The change of one file as ``diff -u`` writes it; None is no file."""
    old, new = _lines(before), _lines(after)
    names = ("/dev/null" if before is None else f"a/{path}", f"b/{path}")
    if after is None:
        names = (names[0], "/dev/null")
    hunks = list(_hunks(old, new))
    if not hunks:
        return ""
    text = [f"--- {names[0]}\n+++ {names[1]}\n"]
    text += [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for hunk in hunks
        for line in hunk
    ]
    return "".join(text)


def _lines(data: bytes | None) -> list[str]:
    parts = (data or b"").decode().split("\n")
    return [f"{part}\n" for part in parts[:-1]] + parts[-1:] * bool(parts[-1])


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[list[str]]:
    changes = list(_changes(equal_blocks(old, new), len(old), len(new)))
    group: list[tuple[int, int, int, int]] = []
    for change in changes:
        if group and change[0] - group[-1][1] > 2 * AROUND:
            yield _hunk(old, new, group)
            group = []
        group.append(change)
    if group:
        yield _hunk(old, new, group)


def _changes(
    blocks: Sequence[Block], old_size: int, new_size: int
) -> Iterator[tuple[int, int, int, int]]:
    """What lies between equal blocks: start and stop in the old, then in the new text."""
    a = b = 0
    for start, other, size in [*blocks, (old_size, new_size, 0)]:
        if (a, b) != (start, other):
            yield a, start, b, other
        a, b = start + size, other + size


def _hunk(
    old: Sequence[str], new: Sequence[str], group: Sequence[tuple[int, int, int, int]]
) -> list[str]:
    first, last = group[0], group[-1]
    lead = min(AROUND, first[0])
    tail = min(AROUND, len(old) - last[1])
    start, stop = first[0] - lead, last[1] + tail
    span = _span(start, stop), _span(first[2] - lead, last[3] + tail)
    lines = [f"@@ -{span[0]} +{span[1]} @@\n"]
    at = start
    for a, end, b, other in group:
        lines += [f" {line}" for line in old[at:a]]
        lines += [f"-{line}" for line in old[a:end]]
        lines += [f"+{line}" for line in new[b:other]]
        at = end
    return lines + [f" {line}" for line in old[at:stop]]


def _span(start: int, stop: int) -> str:
    """A range as ``diff -u`` counts it: an empty one names the line before it."""
    size = stop - start
    if size == 1:
        return str(start + 1)
    return f"{start + (size > 0)},{size}"


def equal_blocks(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """Equal lines in order; neighbouring blocks may touch."""
    blocks: list[Block] = []
    spans = [(0, len(old), 0, len(new))]
    while spans:
        a, b, c, d = spans.pop()
        head = _common(old[a:b], new[c:d])
        if head:
            blocks.append((a, c, head))
        a, c = a + head, c + head
        tail = _common(old[a:b][::-1], new[c:d][::-1])
        if tail:
            blocks.append((b - tail, d - tail, tail))
        b, d = b - tail, d - tail
        if a == b or c == d:
            continue
        anchors = _anchors(old, new, a, b, c, d)
        if anchors:
            edges = [(a, c), *((x + 1, y + 1) for x, y in anchors)]
            blocks += [(x, y, 1) for x, y in anchors]
            ends = [*anchors, (b, d)]
            spans += [(p, r, q, s) for (p, q), (r, s) in zip(edges, ends, strict=True)]
        elif (b - a) * (d - c) <= MAX_CELLS:
            matcher = SequenceMatcher(None, old[a:b], new[c:d], autojunk=False)
            found = matcher.get_matching_blocks()
            blocks += [(a + x, c + y, size) for x, y, size in found if size]
    return sorted(blocks)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return sum(takewhile(bool, map(eq, one, other)))


def _anchors(
    old: Sequence[str], new: Sequence[str], a: int, b: int, c: int, d: int
) -> list[tuple[int, int]]:
    """The longest chain of lines that are unique in both ranges."""
    count, others = Counter(old[a:b]), Counter(new[c:d])
    place = {new[at]: at for at in range(c, d)}
    pairs = [
        (at, place[old[at]]) for at in range(a, b) if count[old[at]] == 1 and others[old[at]] == 1
    ]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_, y) in enumerate(pairs):
        length = bisect_left(tails, y)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [y]
        ends[length : length + 1] = [number]
    chain: list[tuple[int, int]] = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]
