"""Text as terminal cells: made safe to paint, wrapped, and cut to a width.

A terminal obeys what it is sent. So every string from a file, a model or a socket passes through
:func:`visible` before it becomes a segment: control characters turn into their Unicode pictures
(``ESC`` reads ``␛``), and characters that reorder text, and lone surrogates, become ``�``. A
reviewer sees that they are there; the terminal does not.

Wrapping is greedy, and a greedy row depends only on what came before it. All rows but the last are
therefore final, and :class:`Wrapper` takes a stream piece by piece at a cost that does not grow
with what it already holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

TAB_CELLS = 4
"""Cells between tab stops."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def visible(text: str) -> str:
    """One line of ``text`` with tabs as spaces and everything that could steer a terminal shown."""
    if text.isascii() and text.isprintable():
        return text
    if "\t" in text:
        text = text.expandtabs(TAB_CELLS)
    return _UNSAFE.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "�"


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells: padded with spaces, or cut and ended with ``…``."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def clip(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, ended with ``…`` if something was cut."""
    return text if cell_len(text) <= width else fit(text, width)


class Wrapper:
    """Greedy word wrap of a growing text at ``width`` cells.

    ``rows`` is always the wrapping of everything fed so far; only its last row may still change.
    Words wider than a row are cut. Blanks at a break are dropped.
    """

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._done: list[str] = []
        self._tail = ""

    def __len__(self) -> int:
        """Rows so far; a text that ends in a newline has no empty last row."""
        return len(self._done) + bool(self._tail)

    def __getitem__(self, index: int) -> str:
        return self._done[index] if index < len(self._done) else visible(self._tail)

    @property
    def rows(self) -> Sequence[str]:
        return [self[index] for index in range(len(self))]

    def feed(self, text: str) -> None:
        """Append ``text``."""
        *finished, tail = text.split("\n")
        for line in finished:
            self._tail += line
            self._settle()
            self._done.append(visible(self._tail))
            self._tail = ""
        self._tail += tail
        self._settle()

    def _settle(self) -> None:
        """Move every full row out of the tail."""
        while (cut := _break_at(self._tail, self._width)) is not None:
            row, self._tail = self._tail[:cut], self._tail[cut:]
            self._done.append(visible(row.rstrip(" ")))


def wrap(text: str, width: int) -> Sequence[str]:
    """``text`` as rows of at most ``width`` cells."""
    wrapper = Wrapper(width)
    wrapper.feed(text)
    return wrapper.rows


def _break_at(text: str, width: int) -> int | None:
    """Index after the first full row of ``text``; None while it still fits into one."""
    cells = 0
    blank = 0
    for index, char in enumerate(text):
        if char == " ":
            blank = index + 1
        cells += _cells(char)
        if cells > width and char != " ":
            # A row is never empty: a word that starts it is cut, a wide character alone stays.
            return blank if 0 < blank <= index and text[:blank].strip(" ") else max(1, index)
    return None


def _cells(char: str) -> int:
    return TAB_CELLS if char == "\t" else cell_len(visible(char))
