"""A few lines of status, painted without layout and only when what they say has changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from sparkcode.tui.paint import Paint
from sparkcode.tui.status import Parts


class Lines(Widget):
    """As many lines as the style sheet makes it high; ``ground`` names its background style."""

    def __init__(self, paint: Paint, *, id: str, ground: str = "panel") -> None:
        super().__init__(id=id)
        self._paint = paint
        self._ground = ground
        self._lines: Sequence[Parts] = ()

    def use(self, paint: Paint) -> None:
        """Another theme's styles."""
        self._paint = paint
        self.refresh()

    def show(self, *lines: Parts) -> None:
        """Say ``lines``, from the top."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        ground = getattr(self._paint, self._ground)
        parts = self._lines[y] if y < len(self._lines) else []
        segments = [Segment(text, ground + getattr(self._paint, style)) for text, style in parts]
        return Strip(segments).adjust_cell_length(self.size.width, ground)
