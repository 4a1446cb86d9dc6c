"""Cutting pieces out of Python source at the places that its syntax tree names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sparkcode.mend.window import lines_of


class Cut(NamedTuple):
    """From one place up to another: lines from 1, columns from 0 in bytes of UTF-8."""

    line: int
    column: int
    end_line: int
    end_column: int


def without(text: str, cuts: Iterable[Cut]) -> str:
    """``text`` without the pieces, which do not overlap."""
    lines = [line.encode() for line in lines_of(text)]
    for cut in sorted(set(cuts), reverse=True):
        head = lines[cut.line - 1][: cut.column]
        tail = lines[cut.end_line - 1][cut.end_column :]
        lines[cut.line - 1 : cut.end_line] = [head + tail]
    return b"".join(lines).decode()
