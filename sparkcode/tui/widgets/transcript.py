"""The conversation: what was asked, what was answered, and what became of each edit.

One widget for all turns, because styling a tree of a thousand widgets costs more than the model.
The newest turn is wrapped as it streams; when the next one begins its rows are frozen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

from sparkcode.assistant.turn import Turn
from sparkcode.tui.cells import Wrapper, clip, fit, visible, wrap
from sparkcode.tui.paint import Paint
from sparkcode.tui.status import Part
from sparkcode.tui.widgets.line_view import LineView

INDENT = 2
"""Cells before everything but a prompt's mark."""


_USE = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


class TurnRows:
    """The rows of one turn at one width: a head, the answer, and a foot."""

    def __init__(self, turn: Turn, width: int, *, first: bool) -> None:
        room = max(1, width - INDENT)
        asked = wrap(turn.instruction, room)
        self._head: list[Part] = [] if first else [("", "text")]
        self._head += [
            (f"{'❯ ' if not at else '  '}{row}", "primary") for at, row in enumerate(asked)
        ]
        if turn.target:
            self._head.append((f"  {visible(turn.target)}", "muted"))
        self._room = room
        self._wrapper = Wrapper(room)
        self._fed = 0
        self._foot: Sequence[Part] = ()

    def update(self, turn: Turn, foot: Sequence[Part]) -> None:
        """More of the same turn; its text only grows."""
        told = _told(turn)
        self._wrapper.feed(told[self._fed :])
        self._fed = len(told)
        self._foot = [
            (f"{' ' * INDENT}{row}", style)
            for text, style in foot
            for row in wrap(text, self._room)
        ]

    def __len__(self) -> int:
        return len(self._head) + len(self._wrapper) + len(self._foot)

    def __getitem__(self, index: int) -> Part:
        if index < len(self._head):
            return self._head[index]
        index -= len(self._head)
        if index < len(self._wrapper):
            return f"{' ' * INDENT}{self._wrapper[index]}", "text"
        return self._foot[index - len(self._wrapper)]


def _told(turn: Turn) -> str:
    """The answer's text with a line for each tool where it was used; more of the turn only adds."""
    if not turn.uses:
        return turn.text
    told, at = "", 0
    for use in turn.uses:
        told += turn.text[at : use.at]
        told += ("" if not told or told.endswith("\n") else "\n") + f"{_USE}{use.said}\n"
        at = use.at
    return told + turn.text[at:].lstrip("\n")


def _rows(parts: Sequence[Part], width: int) -> Sequence[Part]:
    return [(row, style) for text, style in parts for row in wrap(text, width) or ("",)]


class Transcript(LineView):
    """Shows turns; a welcome while there are none."""

    can_focus = False

    def __init__(self, paint: Paint, *, id: str, welcome: Sequence[Part]) -> None:
        super().__init__(paint, id=id)
        self._greeting = welcome
        self._welcome: Sequence[Part] = ()
        self._turns: Sequence[Turn] = ()
        self._blocks: list[TurnRows] = []
        self._starts: list[int] = []
        self._foot: Sequence[Part] = ()
        self._below: Sequence[Part] = ()
        """The foot in rows, while there is only the welcome above it."""
        self._feet: list[Sequence[Part]] = []
        """The foot of each turn; an older one keeps what it was settled on."""
        self._live = False
        self._wrapped_at = 0
        self._shown: object = None

    @property
    def count(self) -> int:
        if not self._blocks:
            return len(self._welcome) + len(self._below)
        return self._starts[-1] + len(self._blocks[-1])

    def show(self, turns: Sequence[Turn], foot: Sequence[Part], *, live: bool) -> None:
        """``turns``, with ``foot`` (edit, error, link) below; ``live`` while the newest streams."""
        state = (len(turns), turns[-1].text if turns else "", foot, live, self.width)
        if state == self._shown:
            return
        self._shown = state
        settled = self._live and not live
        if len(turns) > len(self._blocks):
            self.following = True
        self._turns, self._foot, self._live = turns, foot, live
        self._wrap()
        self.resize_rows(live=live)
        self._follow(settled=settled)
        self.repaint()

    def settle(self, foot: Sequence[Part]) -> None:
        """What the newest turn shown ends with, before one more turn is shown."""
        if self._feet:
            self._feet[-1] = foot

    def _follow(self, *, settled: bool) -> None:
        """Keep the end in the window; a welcome with nothing below it is read from its start."""
        if not self.following:
            return
        if not self._blocks and not self._foot:
            self.go(0)
        elif self._live:
            self.reveal(self.count - 1)
        elif settled or self.top + self.height < self.count:
            self.go(self.count - self.height)

    def _wrap(self) -> None:
        """Bring the rows up to date; at another width, all of them."""
        width = self.width
        if width != self._wrapped_at:
            self._wrapped_at = width
            self._blocks.clear()
            self._starts.clear()
            self._welcome = _rows(self._greeting, width)
        self._below = () if self._turns else _rows(self._foot, width)
        for at in range(max(0, len(self._blocks) - 1), len(self._turns)):
            if at == len(self._feet):
                self._feet.append(())
            if at == len(self._turns) - 1:
                self._feet[at] = self._foot
            if at == len(self._blocks):
                self._starts.append(self.count if at else 0)
                self._blocks.append(TurnRows(self._turns[at], width, first=at == 0))
            self._blocks[at].update(self._turns[at], self._feet[at])

    def row(self, y: int) -> Part | None:
        """Row ``y`` as text and style; None below the end."""
        if y >= self.count:
            return None
        if self._blocks:
            at = bisect_right(self._starts, y) - 1
            return self._blocks[at][y - self._starts[at]]
        if y < len(self._welcome):
            return self._welcome[y]
        return self._below[y - len(self._welcome)]

    def look(self, y: int) -> Hashable:
        return self.row(y), self._badge(y)

    def draw(self, y: int, width: int) -> Strip:
        row = self.row(y)
        text, style = row if row is not None else ("", "text")
        ink: Style = self.paint.ground + getattr(self.paint, style)
        if badge := self._badge(y):
            room = max(0, width - len(badge) - 1)
            note = Segment(f" {badge}", self.paint.panel + self.paint.accent)
            return Strip([Segment(fit(text, room), ink), note])
        return Strip([Segment(clip(text, width), ink)]).adjust_cell_length(width, self.paint.ground)

    def _badge(self, y: int) -> str:
        """On the window's last row, when there is more below and the window does not follow."""
        if self.following:
            return ""
        below = self.count - self.top - self.height
        if below <= 0 or y != self.top + self.height - 1:
            return ""
        return f"{below} more below"

    def on_resize(self, event: events.Resize) -> None:
        super().on_resize(event)
        self._wrap()
        self.resize_rows(live=self._live)
        self._follow(settled=True)
