"""The open file: code with a gutter, and the edit of it while it streams.

Without an edit the rows are the file's lines, with a cursor line and the regions that an
instruction would rewrite. With one they are the rows of its preview, in place: added rows carry
``+``, removed ones ``-``, and the row that grows ends in a caret. Signs and bars say what colours
say.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip

from sparkcode.assistant.preview import DiffRow
from sparkcode.syntax.lines import Region
from sparkcode.tui.cells import TAB_CELLS, visible
from sparkcode.tui.gap import Gap
from sparkcode.tui.highlight import (
    LEAD_LINES,
    Colours,
    Line,
    Piece,
    carries,
    find_lexer,
    plain_line,
)
from sparkcode.tui.paint import Paint
from sparkcode.tui.panes import Pane
from sparkcode.tui.widgets.line_view import LineView

SHIFT_CELLS: Final = 8
"""How far Left and Right move a file that is wider than the window."""


KEYS: Final = {
    "up": "cursor(-1)",
    "down": "cursor(1)",
    "shift+up": "cursor(-1, True)",
    "shift+down": "cursor(1, True)",
    "home": "ends(False)",
    "end": "ends(True)",
    "left": f"shift(-{SHIFT_CELLS})",
    "right": f"shift({SHIFT_CELLS})",
}
"""Key to action. Not bindings: those are looked up once a key has bubbled up to the app, and for a
key in a burst the focus has moved on by then."""


class BufferView(LineView, can_focus=True):
    """Shows one :class:`Pane` at a time."""

    def __init__(self, paint: Paint, *, id: str) -> None:
        super().__init__(paint, id=id)
        self._pane = Pane("")
        self._version = -1
        self._colours = Colours((), None)
        self._rows: Sequence[DiffRow] | None = None
        self._hunks: Sequence[range] = ()
        self._caret = -1
        self._digits = 3
        self._gap = Gap()
        self._regions: Sequence[Region] = ()
        self._shift = 0
        self._added: dict[int, tuple[str, bool, Line]] = {}
        self._dragging = False

    # --- what is shown -------------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self._pane.lines) if self._rows is None else len(self._rows) + self._gap.size

    @property
    def editing(self) -> bool:
        """Whether an edit is shown instead of the bare file."""
        return self._rows is not None

    @property
    def unfinished(self) -> bool:
        """Whether lines in the window still wait for their colours."""
        return not self._colours.reached(self._last_line())

    def show(self, pane: Pane, regions: Sequence[Region]) -> None:
        """The file of ``pane``; ``regions`` are what an instruction would rewrite."""
        self._take(pane)
        was_editing, self._rows, self._hunks, self._caret = self.editing, None, (), -1
        self._regions = regions
        if was_editing:
            self._added.clear()
        self._fit_numbers()
        self.resize_rows(live=False)
        if was_editing:
            self._reveal_cursor()
        self._lex()
        self.repaint()

    def show_edit(
        self,
        pane: Pane,
        rows: Sequence[DiffRow],
        hunks: Sequence[range],
        *,
        focus: int,
        live: bool,
    ) -> None:
        """An edit of ``pane``; ``focus`` is the row that was touched last, ``live`` if it grows."""
        self._take(pane)
        if not self.editing:
            self.following = True
            self._added.clear()
        self._rows, self._hunks, self._regions = rows, hunks, ()
        self._caret = focus if live and focus < len(rows) and rows[focus].kind == "+" else -1
        if live and self.following and focus < len(rows):
            self._gap.follow(rows, focus, page=self.height)
        else:
            self._gap.close()
        self._fit_numbers()
        self.resize_rows(live=live)
        if live and self.following:
            self.reveal(focus)
        self._lex()
        self.repaint()

    def _fit_numbers(self) -> None:
        """Room for the largest line number there is."""
        self._digits = max(3, len(str(max(len(self._pane.lines), self.count))))

    def step_hunk(self, by: int) -> None:
        """Show the next or the previous changed place."""
        third = self.height // 3
        here = self.top + third
        places = [hunk.start for hunk in self._hunks]
        if by > 0:
            targets = [place for place in places if place > here]
        else:
            targets = [place for place in reversed(places) if place < here]
        if targets:
            self.go(targets[0] - third)
            self.read(by)

    def _take(self, pane: Pane) -> None:
        if pane is not self._pane:
            self._pane.scroll_y = self.top
        elif pane.version == self._version:
            return
        changed_file = pane is not self._pane
        self._pane, self._version = pane, pane.version
        self._colours = Colours(pane.lines, find_lexer(pane.language, pane.path))
        self._rows, self._shift = None, 0
        self._added.clear()
        self.forget()
        if changed_file:
            self.resize_rows(live=False)
            self.go(pane.scroll_y)

    # --- drawing -------------------------------------------------------------------------------

    def look(self, y: int) -> Hashable:
        row = self._row(y)
        if row is None:
            return None
        line = -1 if row.old is None else row.old - 1
        return (
            row,
            self._ground(y, row),
            self._at_cursor(y),
            y == self._caret,
            row.new in self._pane.marks,
            self._shift,
            self._colours.reached(line) if line >= 0 else True,
            self._digits,
        )

    def draw(self, y: int, width: int) -> Strip:
        row = self._row(y)
        if row is None:
            return Strip.blank(width, self.paint.ground)
        ground: Style = getattr(self.paint, self._ground(y, row))
        gutter = Strip(self._gutter(y, row, ground))
        code = _segments(self._pieces(y, row), ground, self.paint)
        if y == self._caret:
            code.append(Segment("▏", ground + self.paint.accent))
        room = max(0, width - gutter.cell_length)
        body = Strip(code).crop(self._shift, self._shift + room).adjust_cell_length(room, ground)
        return Strip.join([gutter, body])

    def _row(self, y: int) -> DiffRow | None:
        if self._rows is not None:
            at = self._gap.row(y)
            return self._rows[at] if at is not None and at < len(self._rows) else None
        lines = self._pane.lines
        return DiffRow(" ", lines[y], y + 1, y + 1) if y < len(lines) else None

    def _at_cursor(self, y: int) -> bool:
        return not self.editing and y == self._pane.cursor

    def _ground(self, y: int, row: DiffRow) -> str:
        if row.kind != " ":
            return "added_ground" if row.kind == "+" else "removed_ground"
        if self._at_cursor(y) and self.has_focus:
            return "cursor_ground"
        if self._marked(y):
            return "region_ground"
        return "ground"

    def _marked(self, y: int) -> bool:
        """Whether an instruction would rewrite the line."""
        return any(region.first <= y + 1 <= region.last for region in self._regions)

    def _gutter(self, y: int, row: DiffRow, ground: Style) -> list[Segment]:
        paint = self.paint
        number = row.old if row.kind == "-" else row.new
        bar = "▶" if self._at_cursor(y) else "▌" if self._marked(y) else " "
        sign: str = row.kind
        ink = {"+": paint.added, "-": paint.removed}.get(sign, paint.good)
        if not self.editing and row.new in self._pane.marks:
            sign = "┃"
        numbers = paint.muted if row.kind != " " or self._at_cursor(y) else paint.line
        return [
            Segment(bar, ground + paint.primary),
            Segment(f"{number:>{self._digits}} ", ground + numbers),
            Segment(f"{sign} ", ground + ink),
        ]

    def _pieces(self, y: int, row: DiffRow) -> list[Piece]:
        if row.kind == "+":
            return self._added_pieces(y, row.text)
        if row.old is None:
            return [(row.text, ())]
        pieces = self._colours[row.old - 1]
        # A preview's text has lost what could steer a terminal; the file's own has it still.
        return pieces if self._pane.lines[row.old - 1] == row.text else [(row.text, ())]

    def _added_pieces(self, y: int, text: str) -> list[Piece]:
        """The colours of an added row; kept once the row has stopped growing."""
        grows = y == self._caret
        known = self._added.get(y)
        if known is None or known[0] != text or (known[1] and not grows):
            self._added[y] = (text, grows, self._lex_added(y, text, grows=grows))
        return self._added[y][2][0]

    def _lex_added(self, y: int, text: str, *, grows: bool) -> Line:
        before = self._row(y - 1) if y else None
        if before is None or before.kind != "+":
            return self._colours.alone(text)
        known = self._added.get(y - 1)
        if known is not None and known[0] == before.text:
            token = known[2][1]
            if not carries(token):
                return self._colours.alone(text)
            if grows:
                return plain_line(text, token)
        return self._colours.alone(text, self._lead(y))

    def _lead(self, y: int) -> list[str]:
        """The added rows right before ``y``, in order."""
        lead: list[str] = []
        while len(lead) < min(LEAD_LINES, y):
            row = self._row(y - 1 - len(lead))
            if row is None or row.kind != "+":
                break
            lead.append(row.text)
        return lead[::-1]

    def _lex(self) -> None:
        """Colour some more, if lines in the window still wait for it."""
        self._colours.advance(self._last_line())

    def _last_line(self) -> int:
        """Index of the last line of the file in the window; -1 if there is none."""
        for y in range(min(self.top + self.height, self.count) - 1, self.top - 1, -1):
            row = self._row(y)
            if row is not None and row.old is not None:
                return row.old - 1
        return -1

    # --- moving --------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        action = KEYS.get(event.key)
        if action is not None:
            event.stop()
            await self.run_action(action)

    def action_cursor(self, by: int, select: bool = False) -> None:
        if self.editing:
            self.go(self.top + by)
            self.read(by)
        else:
            self._move(self._pane.cursor + by, select=select)

    def action_ends(self, last: bool) -> None:
        if self.editing:
            self.go(self.count if last else 0)
            self.read(1 if last else -1)
        else:
            self._move(self._pane.last if last else 0, select=False)

    def action_shift(self, by: int) -> None:
        self._shift = max(0, self._shift + by)
        self.repaint()

    def page(self, by: int) -> None:
        super().page(by)
        if not self.editing:
            self._pane.move(self._pane.cursor + by * max(1, self.height - 2))
            self._reveal_cursor()
            self.repaint()

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if not self.editing:
            self.capture_mouse()
            self._dragging = True
            self._move(self.top + event.y, select=event.shift)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self._move(self.top + event.y, select=True)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def _move(self, line: int, *, select: bool) -> None:
        self._pane.move(line, select=select)
        selected = self._pane.selection
        self._regions = () if selected is None else (selected,)
        self._reveal_cursor()
        self.repaint()

    def _reveal_cursor(self) -> None:
        cursor = self._pane.cursor
        if cursor < self.top:
            self.go(cursor)
        elif cursor >= self.top + self.height:
            self.go(cursor - self.height + 1)


def _segments(pieces: Sequence[Piece], ground: Style, paint: Paint) -> list[Segment]:
    """``pieces`` in colour, their tabs expanded at the columns where they stand."""
    column = 0
    segments = []
    for text, token in pieces:
        past = column % TAB_CELLS
        shown = visible(" " * past + text)[past:] if "\t" in text else visible(text)
        column += len(shown)
        segments.append(Segment(shown, ground + paint.token(token)))
    return segments
