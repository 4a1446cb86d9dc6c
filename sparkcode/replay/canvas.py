"""The painted cells of a screen: what a person in front of it would read.

A screen is sent to its terminal in pieces, whole or only where something changed. The canvas takes
the same pieces and keeps the same cells. So it shows what was painted, not what widgets hold: a
change that nobody repaints stays invisible here as it does on a terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rich.cells import cell_len
from rich.segment import ControlType, Segment


class Canvas:
    """Rows of cells. A cell holds a character; one that a wide character covers holds nothing."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, _blank(columns, rows)
        self._painted = asyncio.Event()

    def resize(self, columns: int, rows: int) -> None:
        """Start over with empty cells, to be painted anew; the same size changes nothing."""
        if (columns, rows) != (self._columns, len(self._rows)):
            self._columns, self._rows = columns, _blank(columns, rows)

    @property
    def text(self) -> str:
        """The rows joined by newlines, without the blanks at their ends."""
        return "\n".join("".join(row).rstrip() for row in self._rows)

    def paint(self, segments: Iterable[Segment]) -> None:
        """Take one piece: texts, and controls that say where the next text goes."""
        x = y = 0
        for segment in segments:
            if segment.control:
                for control in segment.control:
                    if control[0] == ControlType.CURSOR_MOVE_TO:
                        _, x, y = (int(part) for part in control)
            elif segment.text != "\n":
                x = self._put(x, y, segment.text)
        self._painted.set()

    async def next_paint(self) -> None:
        """Returns once something more has been painted."""
        self._painted.clear()
        await self._painted.wait()

    def _put(self, x: int, y: int, text: str) -> int:
        """Write ``text`` at a cell; the column after it. What lies outside is left off."""
        row = self._rows[y] if y < len(self._rows) else []
        for character in text:
            width = cell_len(character)
            if width == 0:
                if 0 < x <= len(row):
                    row[x - 1] += character
                continue
            for at in range(x, min(x + width, len(row))):
                row[at] = character if at == x else ""
            x += width
        return x


def _blank(columns: int, rows: int) -> list[list[str]]:
    return [[" "] * columns for _ in range(rows)]
