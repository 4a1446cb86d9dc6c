"""Room to type into: blank rows below the row that grows.

Each row that is added moves all rows below it, and a terminal has to be sent every row that moved.
So while a run of added rows grows, a gap opens below it, and the run grows into the gap without
moving anything. The gap is as long as the run already is, up to half a page: a one-line edit opens
none, and a long one moves the rest of the file a few times instead of once a row. It closes
as soon as the run ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sparkcode.assistant.preview import DiffRow

LEAST_RUN: Final = 3
"""Rows of a run before it opens a gap."""


class Gap:
    """Where the blank rows are: ``size`` of them, after row ``after``."""

    def __init__(self) -> None:
        self.after = -1
        self.size = 0
        self._below = 0

    def close(self) -> None:
        """No gap."""
        self.size = 0

    def follow(self, rows: Sequence[DiffRow], focus: int, *, page: int) -> None:
        """The run of added rows now ends at ``focus``; ``page`` is the height of the window."""
        below = len(rows) - focus - 1
        if below == self._below:
            self.size -= focus - self.after
        else:
            self.size = 0
        run = self._run(rows, focus, page // 2)
        if not run:
            self.size = 0
        elif self.size < 0:
            self.size = run if run >= LEAST_RUN else 0
        self.after, self._below = focus, below

    def row(self, y: int) -> int | None:
        """The row that is painted at ``y``; None inside the gap."""
        if y <= self.after or not self.size:
            return y
        return y - self.size if y > self.after + self.size else None

    @staticmethod
    def _run(rows: Sequence[DiffRow], focus: int, longest: int) -> int:
        run = 0
        while run < min(longest, focus + 1) and rows[focus - run].kind == "+":
            run += 1
        return run
