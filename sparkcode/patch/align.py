"""Align a rewritten region with the original, line by line, while the rewrite streams in.

An ordinary diff sees both texts; here the second one is still being written. The alignment is
greedy: a cursor stands in the original, and each rewritten line is

- **kept** when it equals the line at the cursor;
- **held** for one line when it equals a line further down: then it is either the far end of a
  deletion or a copy, and the next line tells. Blank and other trivial lines (``}``, ``else:``)
  equal too much to be trusted, so they bridge only short gaps;
- otherwise new: a **replacement** of the line at the cursor if it resembles it, else an insertion.

A new line need not be complete to be known as new: it is certain as soon as no original line from
the cursor on starts with it. Whether it replaces the line at the cursor is judged once eight of its
printable characters have come. All judgements depend on the text only, never on how it was cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

EVIDENCE: Final = 8
"""Printable characters of a new line that are looked at to judge what it replaces."""

SIMILAR: Final = 0.6
"""Least similarity (0 to 1) of a replacement to the line it replaces."""

DISSIMILAR: Final = 0.4
"""A line whose beginning is less similar is an insertion; between the two, all of it counts."""

CLEARER: Final = 0.1
"""How much more similar a replacement is to the old line than the old line's neighbour is."""

FAR: Final = 40
"""Longest deletion, in lines, that two trivial lines in a row are taken as the end of."""

MIDDLE: Final = 8
"""The same for one line that is not trivial."""

NEAR: Final = 2
"""The same for one trivial line."""

_CANDIDATES: Final = 8
_COMPARED: Final = 200
_WORD: Final = re.compile(r"\w+")

Key = tuple[str, str]
"""A line's text and what is to be told apart of its ending."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The original line ``index`` (0-based in the region) stays."""

    index: int


@dataclass(frozen=True, slots=True)
class Delete:
    """The original line ``index`` goes."""

    index: int


@dataclass(frozen=True, slots=True)
class Insert:
    """A new line stands before the next original line."""

    key: Key


Step = Keep | Delete | Insert


class Aligner:
    """Aligns one rewritten region with the original lines ``keys``."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = list(keys)
        self._cursor = 0
        self._held: Key | None = None
        self._last: Literal["keep", "replace", "insert", "none"] = "none"
        self._likeness_at: dict[int, float] = {}
        self._places: dict[Key, list[int]] = {}
        for index, key in enumerate(self._keys):
            self._places.setdefault(key, []).append(index)
        self._prefixes = _Prefixes([text for text, _ in self._keys])

    def judge(self, partial: str) -> list[Delete] | None:
        """What goes before a line that starts with ``partial``, or None while that is open.

        A list (of at most one deletion) means that the line is new: it can be shown at once, and is
        not to be given to :meth:`add` any more.
        """
        if self._held is not None:
            return None
        evidence = self._evidence(partial)
        return None if evidence is None else self._judge(partial[:evidence], whole=False)

    def add(self, key: Key) -> list[Step]:
        """The steps that the complete line ``key`` makes certain."""
        steps: list[Step] = []
        if self._held is not None:
            held, self._held = self._held, None
            steps += self._settle(held, key)
        if self._at_cursor(key):
            return [*steps, self._keep()]
        if self._next_place(key) is not None:
            self._held = key
            return steps
        return [*steps, *self._new(key)]

    def close(self) -> list[Step]:
        """The steps for a held line and for the rest of the original, which goes."""
        steps: list[Step] = []
        if self._held is not None:
            held, self._held = self._held, None
            steps += self._settle(held, None)
        return [*steps, *self._delete_to(len(self._keys))]

    def _at_cursor(self, key: Key) -> bool:
        return self._cursor < len(self._keys) and self._keys[self._cursor] == key

    def _next_place(self, key: Key) -> int | None:
        places = self._places.get(key, [])
        at = bisect_right(places, self._cursor)
        return places[at] if at < len(places) else None

    def _keep(self) -> Keep:
        self._cursor += 1
        self._last = "keep"
        return Keep(self._cursor - 1)

    def _delete_to(self, index: int) -> list[Step]:
        steps: list[Step] = [Delete(each) for each in range(self._cursor, index)]
        self._cursor = max(self._cursor, index)
        return steps

    def _settle(self, held: Key, following: Key | None) -> list[Step]:
        """Decide whether the ``held`` line ends a deletion, now that the next one is known."""
        target = self._target(held, following)
        if target is None:
            return self._new(held)
        return [*self._delete_to(target), self._keep()]

    def _target(self, held: Key, following: Key | None) -> int | None:
        """The original line that ``held`` is, or None when it is a copy."""
        if following is not None and self._at_cursor(following):
            return None
        if following is None and self._keys[-1] == held:
            return len(self._keys) - 1
        places = self._places[held]
        first = bisect_right(places, self._cursor)
        trivial = is_trivial(held[0])
        weak = trivial and (following is None or is_trivial(following[0]))
        reach = self._cursor + FAR if weak else len(self._keys)
        for place in places[first : first + _CANDIDATES]:
            if place <= reach and self._keys[place + 1 : place + 2] == [following]:
                return place
        reach = self._cursor + (NEAR if trivial else MIDDLE)
        return places[first] if places[first] <= reach else None

    def _new(self, key: Key) -> list[Step]:
        evidence = self._evidence(key[0])
        whole = evidence is None
        return [*self._judge(key[0][:evidence], whole=whole), Insert(key)]

    def _evidence(self, text: str) -> int | None:
        """How many characters of ``text`` are looked at, or None when all of them have to be."""
        new_at = self._prefixes.divergence(text, self._cursor)
        if new_at is None or self._likeness >= SIMILAR:
            return None
        seen = 0
        for index, character in enumerate(text):
            seen += not character.isspace()
            if seen == EVIDENCE:
                size = max(new_at, index + 1)
                return None if self._is_unclear(text[:size]) else size
        return None

    def _is_unclear(self, start: str) -> bool:
        """Whether the rest of the line may change what its ``start`` suggests."""
        if self._cursor == len(self._keys):
            return False
        old = self._keys[self._cursor][0]
        if opens_another_block(start, old):
            return False
        return DISSIMILAR <= similarity(start, old, whole=False) < SIMILAR

    @property
    def _likeness(self) -> float:
        """How alike the line at the cursor and its neighbour are.

        Among lines that all look alike (imports, table rows) likeness is no sign of a replacement,
        unless the neighbour was itself replaced.
        """
        neighbour = self._cursor - 1 if self._cursor else 1
        if self._last == "replace" or max(neighbour, self._cursor) >= len(self._keys):
            return 0.0
        if self._cursor not in self._likeness_at:
            texts = self._keys[neighbour][0], self._keys[self._cursor][0]
            self._likeness_at = {self._cursor: similarity(*texts, whole=True)}
        return self._likeness_at[self._cursor]

    def _judge(self, start: str, *, whole: bool) -> list[Delete]:
        if self._cursor == len(self._keys) or not self._replaces(start, whole=whole):
            self._last = "insert"
            return []
        self._cursor += 1
        self._last = "replace"
        return [Delete(self._cursor - 1)]

    def _replaces(self, start: str, *, whole: bool) -> bool:
        old = self._keys[self._cursor][0]
        if opens_another_block(start, old):
            return False
        score = similarity(start, old, whole=whole)
        return score >= max(SIMILAR, self._likeness + CLEARER if whole else 0.0) or score == 1.0


def is_trivial(text: str) -> bool:
    """Whether a line says too little to be recognised by: blank, a bracket, one short word."""
    return sum(character.isalnum() for character in text) < 6


def opens_another_block(start: str, old: str) -> bool:
    """Whether ``start`` begins like the block opener ``old`` but names something else.

    ``def first():`` before ``def second():`` is far more often a new function than a renamed one.
    """
    if not old.rstrip().endswith((":", "{")):
        return False
    new_words, old_words = _WORD.findall(start)[:2], _WORD.findall(old)[:2]
    if len(new_words) < 2 or len(old_words) < 2 or new_words[0] != old_words[0]:
        return False
    return not (new_words[1].startswith(old_words[1]) or old_words[1].startswith(new_words[1]))


def similarity(start: str, old: str, *, whole: bool) -> float:
    """How alike (0 to 1) a line is to ``old``, white space around them aside.

    ``start`` is the line's beginning, or all of it when ``whole``.
    """
    new = start.strip()[:_COMPARED]
    old = old.strip()[: _COMPARED if whole else len(new) + 2]
    if not new or not old:
        return float(new == old)
    return SequenceMatcher(None, new, old, autojunk=False).ratio()


class _Prefixes:
    """Answers whether any line from an index on starts with a given text.

    The distinct lines are kept sorted. The index only grows, so a line that no longer occurs ahead
    is skipped for good: each skip is remembered (union-find with path halving).
    """

    def __init__(self, lines: Sequence[str]) -> None:
        last = {line: index for index, line in enumerate(lines)}
        self._lines = sorted(last)
        self._last = [last[line] for line in self._lines]
        self._skip = list(range(len(self._lines) + 1))

    def divergence(self, text: str, start: int) -> int | None:
        """Least length at which ``text`` is no prefix of any line from ``start`` on, or None."""
        if self._ahead(text, start):
            return None
        return bisect_left(
            range(len(text)), True, key=lambda size: not self._ahead(text[:size], start)
        )

    def _ahead(self, prefix: str, start: int) -> bool:
        at = self._alive(bisect_left(self._lines, prefix), start)
        return at < len(self._lines) and self._lines[at].startswith(prefix)

    def _alive(self, at: int, start: int) -> int:
        skip = self._skip
        while at < len(self._lines):
            if skip[at] != at:
                skip[at] = skip[skip[at]]
                at = skip[at]
            elif self._last[at] < start:
                skip[at] = at + 1
            else:
                break
        return at
