"""Slips of copying: lines that came out a little different though nobody asked for it.

- White space, quotation marks or a trailing comment of a line that is otherwise the same.
- A line of a comment or a docstring, between lines that stay, in which a word or a number changed
  that neither the instruction nor the edited code speaks of.
- Comments that are gone between lines that stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from sparkcode.mend.seeing import seen
from sparkcode.mend.window import Window, differing

ALIKE: Final = 0.85
"""Least similarity (0 to 1) of a line of prose to the one that it is a bad copy of."""

MAX_WORDS: Final = 2
"""Most words of such a line that are others."""

_LAYOUT: Final = re.compile(
    r"\b(?:spac|whitespac|blank|indent|align|format|reformat|style|pep ?-?8|lint|black|tid(?:y|ies)"
    r"|clean|quot|tabs?\b|trailing|trim|strip|prettier|gofmt|semicolon)",
    re.IGNORECASE,
)
_PROSE: Final = re.compile(
    r"\b(?:doc|comment|describ|explain|mention|note|readme|wording|typo|spell|translat|example"
    r"|usage|renam|todo|fixme|licen[cs]e|header|rewrite|rephrase|shorten|clean|simplif"
    r"|remov|delet|drop)",
    re.IGNORECASE,
)
_PLAIN: Final = frozenset({"", "text", "markdown", "html"})
"""Languages in which white space is content."""
_QUOTES_ALIKE: Final = frozenset({"python", "javascript", "typescript", "tsx"})
_LITERAL: Final = re.compile(r"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')")
_GAP: Final = re.compile(r"(?<=\w)\s+(?=\w)|\s+")
_TOKEN: Final = re.compile(r"\w+(?:\.\w+)*")


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with the slips of copying put right."""
    window = differing(before, after)
    if window is None:
        return after, ""
    slips = _Slips(before, after, window, language, instruction)
    lines = slips.mended()
    count = slips.count
    return window.with_new(lines), f"put back {count} line{'s' * (count != 1)}"


class _Slips:
    def __init__(
        self, before: str, after: str, window: Window, language: str, instruction: str
    ) -> None:
        self.count = 0
        self._window = window
        self._language = language
        self._layout = language not in _PLAIN and _LAYOUT.search(instruction) is None
        self._prose = _PROSE.search(instruction) is None
        self._instruction = set(_TOKEN.findall(instruction.lower()))
        old, new, shift = seen(before, language), seen(after, language), window.line
        self._strings = {row - shift for row in old.strings}
        self._new_strings = {row - shift for row in new.strings}
        self._trailing: dict[int, int] = {}
        self._remarks: set[int] = set()
        for row, column in old.comments.items():
            if 0 <= row - shift < len(window.old):
                if window.old[row - shift][:column].strip():
                    self._trailing[row - shift] = column
                else:
                    self._remarks.add(row - shift)
        self._told = self._remarks | {row - shift for row in old.docstrings}

    def mended(self) -> list[str]:
        old, new = self._window.old, self._window.new
        new_keys = [
            line if at in self._new_strings else self._key(line) for at, line in enumerate(new)
        ]
        keys = self._old_keys(set(new_keys))
        codes = SequenceMatcher(None, keys, new_keys, autojunk=False).get_opcodes()
        about = self._instruction | self._changed(codes)
        lines: list[str] = []
        for kind, a, b, c, d in codes:
            if kind == "equal":
                lines += self._back(old[a:b], new[c:d])
            elif kind == "delete" and self._lost_remarks(a, b):
                lines += self._back(old[a:b], [""] * (b - a))
            elif kind == "replace" and (b - a, d - c) == (1, 1):
                bad = self._is_bad_copy(a, new[c], about)
                lines += self._back(old[a:b], new[c:d]) if bad else new[c:d]
            else:
                lines += new[c:d]
        return lines

    def _old_keys(self, new: set[str]) -> list[str]:
        keys: list[str] = []
        for at, line in enumerate(self._window.old):
            key = line if at in self._strings else self._key(line)
            if key not in new and at in self._trailing and self._prose:
                key = self._key(line[: self._trailing[at]])
            keys.append(key)
        return keys

    def _back(self, old: Sequence[str], new: Sequence[str]) -> Sequence[str]:
        self.count += sum(one != other for one, other in zip(old, new, strict=True))
        return old

    def _key(self, line: str) -> str:
        """What two lines have in common that differ by a slip only."""
        if not self._layout:
            return line
        code = line.lstrip(" \t")
        parts = _LITERAL.split(code)
        plain = "".join(
            self._literal(part) if at % 2 else _GAP.sub(_squeezed, part)
            for at, part in enumerate(parts)
        ).strip()
        return line[: len(line) - len(code)] + plain if plain else ""

    def _literal(self, text: str) -> str:
        inner = text[1:-1]
        alike = self._language in _QUOTES_ALIKE and not set("\"'\\") & set(inner)
        return f'"{inner}"' if alike else text

    def _changed(self, codes: Iterable[tuple[str, int, int, int, int]]) -> set[str]:
        """Words of the code that is different now."""
        words: set[str] = set()
        for kind, a, b, c, d in codes:
            if kind != "equal":
                old = [
                    line
                    for at, line in enumerate(self._window.old[a:b], a)
                    if not self._is_told(at)
                ]
                gone = set(_TOKEN.findall("".join(old).lower()))
                words |= gone ^ set(_TOKEN.findall("".join(self._code(c, d, a, b)).lower()))
        return words

    def _code(self, c: int, d: int, a: int, b: int) -> list[str]:
        """New lines but those that stand where prose stood."""
        paired = b - a == d - c
        return [
            line
            for at, line in enumerate(self._window.new[c:d])
            if not (paired and self._is_told(a + at))
        ]

    def _is_told(self, at: int) -> bool:
        return at in self._told

    def _is_bad_copy(self, at: int, new: str, about: set[str]) -> bool:
        old = self._window.old[at]
        if not self._prose or not self._is_told(at) or _indent(old) != _indent(new):
            return False
        words = [set(_TOKEN.findall(line.lower())) for line in (old, new)]
        changed = words[0] ^ words[1]
        if changed & about or max(len(one & changed) for one in words) > MAX_WORDS:
            return False
        return SequenceMatcher(None, old, new, autojunk=False).ratio() >= ALIKE

    def _lost_remarks(self, a: int, b: int) -> bool:
        """Whether lines ``a`` to ``b`` of the old text are remarks and blank lines only."""
        rows = [at for at in range(a, b) if self._window.old[at].strip()]
        return self._prose and bool(rows) and all(at in self._remarks for at in rows)


def _squeezed(gap: re.Match[str]) -> str:
    before, after = gap.string[: gap.start()][-1:], gap.string[gap.end() :][:1]
    return " " if (before + after).isalnum() and len(before + after) == 2 else ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
