"""Slips of copying: lines that came out a little different though nobody asked for it.

- White space, quotation marks or a trailing comment of a line that is otherwise the same.
- A line of a comment or a docstring in which a word or a number changed that neither the
  instruction nor the edited code speaks of.
- Comments that are gone between lines that stay.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

from sparkcode.mend.window import Window, differing
from sparkcode.syntax.grammars import parse

if TYPE_CHECKING:
    from tree_sitter import Node

ALIKE: Final = 0.85
"""Least similarity (0 to 1) of a line of prose to the one that it is a bad copy of."""

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
_QUOTES_ALIKE: Final = frozenset({"python", "javascript", "typescript", "tsx"})
_LITERAL: Final = re.compile(r"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')")
_GAP: Final = re.compile(r"(?<=\w)\s+(?=\w)|\s+")
_TOKEN: Final = re.compile(r"\w+(?:\.\w+)*")


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with the slips of copying put right."""
    window = differing(before, after)
    if window is None:
        return after, ""
    slips = _Slips(before, window, language, instruction)
    lines = slips.mended()
    count = slips.count
    return window.with_new(lines), f"put back {count} line{'s' * (count != 1)}"


class _Slips:
    def __init__(self, before: str, window: Window, language: str, instruction: str) -> None:
        self.count = 0
        self._window = window
        self._language = language
        self._layout = _LAYOUT.search(instruction) is None
        self._prose = _PROSE.search(instruction) is None
        comments = dict(_comments(before, language))
        shift = window.line
        self._trailing = {
            row - shift: column
            for row, column in comments.items()
            if 0 <= row - shift < len(window.old) and window.old[row - shift][:column].strip()
        }
        whole = {row for row in comments if row - shift not in self._trailing}
        self._remarks = {row - shift for row in whole}
        self._told = {row - shift for row in whole | _docstring_rows(before, language)}
        self._instruction = set(_TOKEN.findall(instruction.lower()))

    def mended(self) -> list[str]:
        old, new = self._window.old, self._window.new
        keys = [self._key(line, self._trailing.get(at)) for at, line in enumerate(old)]
        codes = SequenceMatcher(
            None, keys, [self._key(line) for line in new], autojunk=False
        ).get_opcodes()
        about = self._instruction | self._changed(codes)
        lines: list[str] = []
        for kind, a, b, c, d in codes:
            if kind == "equal":
                lines += self._back(old[a:b], new[c:d])
            elif kind == "delete" and self._lost_remarks(a, b):
                lines += self._back(old[a:b], [""] * (b - a))
            elif kind == "replace" and b - a == d - c:
                told = [self._is_bad_copy(a + at, new[c + at], about) for at in range(b - a)]
                kept = [old[a + at] if told[at] else new[c + at] for at in range(b - a)]
                self.count += sum(told)
                lines += kept
            else:
                lines += new[c:d]
        return lines

    def _back(self, old: Sequence[str], new: Sequence[str]) -> Sequence[str]:
        self.count += sum(one != other for one, other in zip(old, new, strict=True))
        return old

    def _key(self, line: str, comment: int | None = None) -> str:
        """What two lines have in common that differ by a slip only."""
        if not self._layout:
            return line
        if comment is not None and self._prose:
            line = line[:comment]
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
        if (words[0] ^ words[1]) & about:
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


def _comments(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Row and column (in characters, both from 0) of every line with a comment."""
    tree = parse(text, language)
    if tree is None:
        return
    rows = text.encode().split(b"\n")
    nodes: list[Node] = [tree.root_node]
    while nodes:
        node = nodes.pop()
        if "comment" not in node.type:
            nodes += node.children
            continue
        row, column = node.start_point
        yield row, len(rows[row][:column].decode(errors="replace"))
        for inner in range(row + 1, node.end_point.row + 1):
            yield inner, 0


def _docstring_rows(text: str, language: str) -> set[int]:
    """Rows of Python's docstrings, from 0."""
    if language != "python":
        return set()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    rows: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            said = node.body[0]
            rows |= set(range(said.lineno - 1, said.end_lineno or said.lineno))
    return rows
