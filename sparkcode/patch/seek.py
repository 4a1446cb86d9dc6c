"""Find lines in a file the way Codex does: exactly first, then ever more forgivingly.

Models copy context from memory: they lose trailing spaces, re-indent, and write ASCII quotes for
typographic ones. So a block of lines is searched in four passes over the whole rest of the file:
exact; trailing white space ignored; white space at both ends ignored; dashes, quotes and spaces
mapped to ASCII. An exact match far below wins over a forgiving one close by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sparkcode.patch.grammar import WHITESPACE

_ASCII: Final = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u202f\u205f\u3000", " "),
        **dict.fromkeys("\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
    }
)


def _exact(line: str) -> str:
    return line


def _without_trailing_space(line: str) -> str:
    return line.rstrip(WHITESPACE)


def _without_outer_space(line: str) -> str:
    return line.strip(WHITESPACE)


def _in_ascii(line: str) -> str:
    return line.strip(WHITESPACE).translate(_ASCII)


_PASSES: Final[tuple[Callable[[str], str], ...]] = (
    _exact,
    _without_trailing_space,
    _without_outer_space,
    _in_ascii,
)


class Haystack:
    """The lines of one file; each pass's form of them is computed once, when it is needed."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._forms: list[list[str]] = [list(lines)]

    def __len__(self) -> int:
        return len(self._forms[0])

    def seek(self, wanted: Sequence[str], start: int, *, end_of_file: bool = False) -> int | None:
        """The first place (0-based) of the ``wanted`` lines at or after ``start``, or None.

        With ``end_of_file`` only the last place they fit in is tried. No lines are found at once.
        """
        if not wanted:
            return start
        if end_of_file:
            start = max(start, len(self) - len(wanted))
        for number, form in enumerate(_PASSES):
            if number == len(self._forms):
                self._forms.append([form(line) for line in self._forms[0]])
            place = _find(self._forms[number], [form(line) for line in wanted], start)
            if place is not None:
                return place
        return None


def _find(lines: list[str], wanted: list[str], start: int) -> int | None:
    stop = len(lines) - len(wanted) + 1
    while start < stop:
        try:
            start = lines.index(wanted[0], start, stop)
        except ValueError:
            return None
        if lines[start : start + len(wanted)] == wanted:
            return start
        start += 1
    return None
