"""The open files: which one is shown, where its cursor is, and where the user points with it.

Everything a widget would have to remember about a file lives here, so that widgets hold nothing but
scroll positions and caches. Lines are counted from 0 here and from 1 in a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sparkcode.assistant.preview import DiffRow, EditPreview
from sparkcode.assistant.workspace import Buffer
from sparkcode.syntax.lines import Region

Finder = Callable[[str, str, int], Region]
"""``enclosing_region``: (text, language, 1-based line) to the definition around the line."""


class Pane:
    """One file: its lines as last read, the cursor, and the selection's other end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = ""
        self.language = ""
        self.version = -1
        self.lines: Sequence[str] = ()
        self.cursor = 0
        self.anchor: int | None = None
        self.chosen: Region | None = None
        """What is to be edited whatever the instruction says, until the cursor moves."""
        self.scroll_y = 0
        self.marks: frozenset[int] = frozenset()
        """1-based lines that the last accepted edit wrote."""
        self._enclosing: tuple[tuple[int, int], Region] | None = None

    def load(self, buffer: Buffer) -> bool:
        """Take over what is on disk; whether anything changed."""
        if buffer.version == self.version:
            return False
        self.text, self.language, self.version = buffer.text, buffer.language, buffer.version
        self.lines = lines_of(buffer.text)
        self.cursor = min(self.cursor, self.last)
        self.anchor = self.chosen = None
        self.marks = frozenset()
        return True

    @property
    def last(self) -> int:
        """The last line's index; 0 for an empty file."""
        return max(0, len(self.lines) - 1)

    def move(self, line: int, *, select: bool = False) -> None:
        """Put the cursor on ``line`` (clamped); ``select`` keeps or starts a selection."""
        if select and self.anchor is None:
            self.anchor = self.cursor
        elif not select:
            self.anchor = None
        self.cursor = max(0, min(line, self.last))
        self.chosen = None

    @property
    def selection(self) -> Region | None:
        """The selected lines; None without a selection."""
        if self.anchor is None:
            return None
        first, last = sorted((self.anchor, self.cursor))
        return Region(first + 1, last + 1)

    @property
    def pointing(self) -> object:
        """Where the user points, to be compared."""
        return self.path, self.version, self.cursor, self.anchor, self.chosen

    def region(self, find: Finder) -> Region:
        """Where the user points: the selected lines, else the definition around the cursor."""
        if (selected := self.selection) is not None:
            return selected
        key = (self.version, self.cursor)
        if self._enclosing is None or self._enclosing[0] != key:
            self._enclosing = (key, find(self.text, self.language, self.cursor + 1))
        return self._enclosing[1]

    def landed(self, rows: Iterable[DiffRow]) -> None:
        """Mark the lines of an accepted edit and put the cursor on the first of them."""
        new = [row.new for row in rows if row.kind == "+" and row.new is not None]
        self.marks = frozenset(new)
        if new:
            self.move(new[0] - 1)


class Panes:
    """The files in tab order. ``current`` is None while none is open."""

    def __init__(self) -> None:
        self._panes: dict[str, Pane] = {}
        self._index = 0

    def __len__(self) -> int:
        return len(self._panes)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._panes)

    @property
    def index(self) -> int:
        return self._index

    @property
    def current(self) -> Pane | None:
        return list(self._panes.values())[self._index] if self._panes else None

    def get(self, path: str) -> Pane | None:
        return self._panes.get(path)

    def add(self, path: str) -> Pane:
        """The pane of ``path``, made at the end if there is none; what is shown stays."""
        return self._panes.setdefault(path, Pane(path))

    def show(self, path: str) -> None:
        """Show ``path``, which is open."""
        self._index = self.paths.index(path)

    def step(self, by: int) -> None:
        """Show the next (1) or the previous (-1) file, around the ends."""
        if self._panes:
            self._index = (self._index + by) % len(self._panes)

    def forget(self, path: str) -> None:
        """Close ``path``; if it was shown, the file before it is."""
        at = self.paths.index(path)
        del self._panes[path]
        if at < self._index or self._index == len(self._panes):
            self._index = max(0, self._index - 1)


def counts(preview: EditPreview) -> str:
    """``+added -removed``, as shown beside a path."""
    return f"+{preview.added} -{preview.removed}"


def lines_of(text: str) -> list[str]:
    """The lines of ``text`` without LF or CRLF; only LF ends a line, as in a preview."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]
