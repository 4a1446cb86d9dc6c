"""Cutting and replacing pieces of Python source at the places that its syntax tree names."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

from sparkcode.mend.window import lines_of


class Cut(NamedTuple):
    """From one place up to another: lines from 1, columns from 0 in bytes of UTF-8."""

    line: int
    column: int
    end_line: int
    end_column: int


class Swap(NamedTuple):
    """A piece, and what takes its place."""

    cut: Cut
    text: str

    @classmethod
    def of(cls, node: ast.expr, text: str) -> Swap:
        """``text`` in the place of ``node``."""
        end_line, end_column = node.end_lineno, node.end_col_offset
        assert end_line is not None
        assert end_column is not None
        return cls(Cut(node.lineno, node.col_offset, end_line, end_column), text)


def without(text: str, cuts: Iterable[Cut]) -> str:
    """``text`` without the pieces, which do not overlap."""
    return swapped(text, [Swap(cut, "") for cut in cuts])


def swapped(text: str, swaps: Iterable[Swap]) -> str:
    """``text`` with other words for some pieces, which do not overlap."""
    lines = [line.encode() for line in lines_of(text)]
    for cut, words in sorted(set(swaps), reverse=True):
        head = lines[cut.line - 1][: cut.column]
        tail = lines[cut.end_line - 1][cut.end_column :]
        lines[cut.line - 1 : cut.end_line] = [head + words.encode() + tail]
    return b"".join(lines).decode()
