"""The base of both streaming surfaces: a scroll view that draws only lines that look different.

A subclass says what row ``y`` looks like as a comparable value, and draws such a value. The base
keeps the strip of every row that was drawn, and on :meth:`LineView.repaint` compares only the rows
in the window: a frame costs what has changed in it, never what the document holds.

While text streams the window moves by half a page and the text then fills it in place. A
terminal has no cheap way to scroll one line: every row would be sent again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from typing import ClassVar

from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from sparkcode.tui.paint import Paint


class LineView(ScrollView):
    """Rows of equal height, drawn on demand."""

    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self, paint: Paint, *, id: str) -> None:
        super().__init__(id=id)
        self.paint = paint
        self.following = True
        """Whether the window moves with what streams; off while the user reads elsewhere."""
        self._strips: dict[int, tuple[Hashable, Strip]] = {}

    @property
    @abstractmethod
    def count(self) -> int:
        """Rows in all."""

    @abstractmethod
    def look(self, y: int) -> Hashable:
        """Everything that decides how row ``y`` is drawn."""

    @abstractmethod
    def draw(self, y: int, width: int) -> Strip:
        """Row ``y`` in ``width`` cells."""

    @property
    def top(self) -> int:
        """The first row in the window."""
        return self.scroll_offset.y

    @property
    def height(self) -> int:
        """Rows in the window; at least 1."""
        return max(1, self.size.height)

    @property
    def width(self) -> int:
        """Cells in a row."""
        return self.scrollable_content_region.width

    def use(self, paint: Paint) -> None:
        """Another theme's styles."""
        self.paint = paint
        self.forget()

    def forget(self) -> None:
        """Draw everything anew."""
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        row = y + self.top
        look = self.look(row)
        drawn = self._strips.get(row)
        if drawn is None or drawn[0] != look:
            strip = self.draw(row, self.width)
            self._strips[row] = (look, strip)
            return strip
        return drawn[1]

    def repaint(self) -> None:
        """Redraw the rows of the window that look different from when they were drawn."""
        window = range(self.top, self.top + self.height)
        if len(self._strips) > 8 * self.height:
            self._strips = {y: self._strips[y] for y in window if y in self._strips}
        for y in window:
            drawn = self._strips.get(y)
            if drawn is None or drawn[0] != self.look(y):
                self.refresh_line(y)

    def resize_rows(self, *, live: bool) -> None:
        """Fit the scroll range to the rows; ahead of them, by pages, while ``live``."""
        rows = self.count
        if live:
            rows = -(-rows // self.height) * self.height + self.height
        size = Size(self.width, rows)
        if self.virtual_size != size and (not live or rows > self.virtual_size.height):
            # Assigned plainly, the size would lay out and repaint the whole screen.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = rows
            self.go(self.top)

    def reveal(self, y: int) -> None:
        """If ``y`` is outside the window, move it by half a page or more."""
        half = max(1, self.height // 2)
        if y >= self.top + self.height:
            self.go(y - self.height + half + 1)
        elif y < self.top:
            self.go(y - half)

    def go(self, top: int) -> None:
        """Put row ``top`` first, as far as the scroll range allows."""
        self.scroll_to(y=max(0, top), animate=False, force=True)

    def page(self, by: int) -> None:
        """Scroll by pages, as the user asked; at the end the window follows again."""
        self.go(self.top + by * max(1, self.height - 2))
        self.read(by)

    def read(self, by: int) -> None:
        """The user scrolled back (negative) or on: follow again only from the end."""
        self.following = by > 0 and self.top + self.height >= self.count

    def on_resize(self, event: events.Resize) -> None:
        self._strips.clear()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.call_next(self.read, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.call_next(self.read, 1)
