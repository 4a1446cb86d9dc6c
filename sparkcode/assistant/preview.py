"""The live diff of one file while its patch still streams.

The whole file is shown, with removed and added rows in their place, after every patch line. Two
facts keep a delta cheap on a long file:

* Chunks come in file order, so all rows before the newest chunk are settled (``_head``), and all
  rows after it are still the original's, only renumbered. They are made when somebody looks at
  them, so an inserted row never renumbers thousands.
* A chunk's place is where all its old lines match. While the lines arrive one by one, a place found
  for the first ones stays right as long as the next one matches there too. Only a line that does
  not fit makes the chunk move: its rows are taken back and made again at the next place.

Which lines match is apply_patch's rule, the same as when the patch is applied. A chunk that fits
nowhere yet is shown where the last one ended; ``misfit`` says so if it stays that way.
Nothing here judges whether the patch may be applied: that is the applier's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal, overload

from sparkcode.assistant.plain import plain
from sparkcode.patch.apply import place, split_lines
from sparkcode.patch.grammar import Chunk, ChunkBegin, ChunkEnd, FileBegin, Line, PatchEvent
from sparkcode.patch.seek import Haystack

RowKind = Literal[" ", "+", "-"]

SEARCH_LINES: Final = 64
"""A chunk with more old lines than this is searched again only once, when it is complete."""


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One row of the diff."""

    kind: RowKind
    text: str
    """The line without its ending and without terminal controls."""
    old: int | None
    """1-based line number in the original; None for an added row."""
    new: int | None
    """1-based line number in the edited text; None for a removed row."""


class Rows(Sequence[DiffRow]):
    """A view: settled rows, the growing one, the untouched rest, what goes to the file's end.

    Valid until the preview is fed again.
    """

    def __init__(self, settled: Sequence[DiffRow], growing: DiffRow | None, rest: _Rest) -> None:
        self._settled = settled
        self._growing = growing
        self._rest = rest
        self._start = len(settled) + int(growing is not None)
        self._end = self._start + len(rest.lines) - rest.old

    def __len__(self) -> int:
        return self._end + len(self._rest.tail)

    @overload
    def __getitem__(self, index: int) -> DiffRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[DiffRow]: ...
    def __getitem__(self, index: int | slice) -> DiffRow | list[DiffRow]:
        if isinstance(index, slice):
            return [self._row(at) for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self._row(at)

    def __iter__(self) -> Iterator[DiffRow]:
        return (self._row(at) for at in range(len(self)))

    def _row(self, at: int) -> DiffRow:
        if at < len(self._settled):
            return self._settled[at]
        if at < self._start and self._growing is not None:
            return self._growing
        rest = self._rest
        new = rest.new + at - self._start + 1
        if at < self._end:
            line = rest.old + at - self._start
            return DiffRow(" ", plain(rest.lines[line]), line + 1, new)
        return DiffRow("+", plain(rest.tail[at - self._end]), None, new)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What follows the settled rows."""

    lines: Sequence[str]
    """All lines of the original, of which ``old`` are settled."""
    old: int
    new: int
    """Rows above that the edited text has."""
    tail: Sequence[str]


@dataclass(slots=True)
class _Mark:
    """How far the head had come when the open chunk began."""

    rows: int
    old: int
    new: int
    added: int
    removed: int
    hunks: list[range]


class EditPreview:
    """Folds one file's patch events into rows; feed it what lies between FileBegin and FileEnd."""

    def __init__(self, path: str, original: str) -> None:
        self.path = path
        self.original = original
        self.revision = 0
        """Grows with every change of the rows."""
        self.moved_to: str | None = None
        self.deleted = False
        self.misfit = False
        """Whether a finished chunk fits nowhere in the file."""
        self._lines = [line for line, _ in split_lines(original)]
        self._haystack = Haystack(self._lines)
        self._head: list[DiffRow] = []
        self._old = 0
        self._new = 0
        self._added = 0
        self._removed = 0
        self._hunks: list[range] = []
        self._tail: list[str] = []
        self._cursor = 0
        self._focus = 0
        self._partial: str | None = None
        self._chunk: list[Line] = []
        self._mark: _Mark | None = None
        self._placed = False
        self._certain = True

    @property
    def rows(self) -> Sequence[DiffRow]:
        """The whole file with the edit in place."""
        if self._partial is None:
            growing = None
        else:
            growing = DiffRow("+", plain(self._partial), None, self._new + 1)
        new = self._new + int(growing is not None)
        return Rows(self._head, growing, _Rest(self._lines, self._old, new, self._tail))

    @property
    def added(self) -> int:
        """Lines added so far, the growing one included."""
        return self._added + len(self._tail) + int(self._partial is not None)

    @property
    def removed(self) -> int:
        """Lines removed so far."""
        return self._removed

    @property
    def focus(self) -> int:
        """The row that was touched last."""
        return self._focus

    @property
    def hunks(self) -> list[range]:
        """Ranges of consecutive rows that are not unchanged, in order."""
        hunks = list(self._hunks)
        end = len(self._head)
        if self._partial is not None:
            _extend(hunks, end)
            end += 1
        end += len(self._lines) - self._old
        for at in range(end, end + len(self._tail)):
            _extend(hunks, at)
        return hunks

    def feed(self, event: PatchEvent) -> None:
        """One more event of this file's section."""
        self._partial = None
        match event:
            case FileBegin(op=op, move_to=move_to):
                self.moved_to = move_to
                self.deleted = op == "delete"
                if op != "update":
                    self._remove_all()
            case ChunkBegin(context=context):
                self._begin_chunk(context)
            case Line() if self._mark is None:
                self._emit_added(event.text)
            case Line():
                self._line(event)
            case ChunkEnd(end_of_file=end_of_file):
                self._end_chunk(end_of_file=end_of_file)
            case _:
                pass
        self.revision += 1

    def partial(self, text: str) -> None:
        """The patch line that is still arriving, prefix included; shown if it adds text."""
        growing = text[1:].rstrip("\r") if text.startswith("+") else None
        if growing == self._partial:
            return
        self._partial = growing
        if growing is not None:
            self._focus = len(self._head)
        self.revision += 1

    # --- chunks --------------------------------------------------------------------------------

    def _begin_chunk(self, context: str | None) -> None:
        if context is not None:
            found = self._haystack.seek([context], self._cursor)
            if found is None:
                self.misfit = True
            else:
                self._cursor = found + 1
        self._keep_until(self._cursor)
        self._chunk = []
        self._placed, self._certain = False, True
        self._mark = _Mark(
            len(self._head), self._old, self._new, self._added, self._removed, list(self._hunks)
        )

    def _line(self, line: Line) -> None:
        self._chunk.append(line)
        if line.kind == "+":
            self._emit_added(line.text)
        elif self._fits_here(line.text):
            self._emit_old(line.kind)
        elif len(self._chunk) <= SEARCH_LINES:
            self._search(end_of_file=False)
        else:
            self._placed = self._certain = False

    def _fits_here(self, text: str) -> bool:
        """Whether the next old line matches where the chunk now is.

        An equal line cannot change the outcome of the search so far; one that only resembles leaves
        the last word to the search at the chunk's end.
        """
        if not self._placed or self._old >= len(self._lines):
            return False
        ours = self._lines[self._old]
        if ours == text:
            return True
        alike = Haystack([ours]).seek([text], 0) is not None
        self._certain = self._certain and not alike
        return alike

    def _end_chunk(self, *, end_of_file: bool) -> None:
        if all(line.kind == "+" for line in self._chunk):
            self._to_the_end(self._chunk)
        else:
            if end_of_file or not self._certain:
                self._search(end_of_file=end_of_file)
            if not self._placed:
                self._last_resort(end_of_file=end_of_file)
            self._cursor = self._old
            self._behind_the_tail()
        self._mark = None

    def _behind_the_tail(self) -> None:
        """What a chunk adds after the last line comes behind what earlier chunks add there."""
        assert self._mark is not None
        own = self._head[self._mark.rows :]
        added = sum(1 for _ in takewhile(lambda row: row.kind == "+", reversed(own)))
        before = len(self._head) - added
        kept = before > 0 and self._head[before - 1].kind == " "
        if not (self._tail and added and kept) or self._old < len(self._lines):
            return
        self._tail += [row.text for row in self._head[before:]]
        del self._head[before:]
        self._hunks.pop()
        self._new -= added
        self._added -= added
        self._focus = len(self.rows) - 1

    def _last_resort(self, *, end_of_file: bool) -> None:
        """apply_patch forgives an empty last old line that the file does not have."""
        *old, last = self._old_lines()
        start = self._haystack.seek(old, self._cursor, end_of_file=end_of_file)
        if last or start is None:
            self.misfit = True
            return
        # Placed in a text that lacks only that line, the chunk comes back as it would be applied.
        text = "".join(f"{line}\n" for line in old)
        lacking = place(text, [Chunk(None, tuple(self._chunk))])[0]
        if start == len(self._lines):
            self._to_the_end(lacking.chunk.lines)
        else:
            self._show(start, lacking.chunk.lines)

    def _to_the_end(self, lines: Sequence[Line]) -> None:
        """Show an addition without old lines where it is applied: after all that the file has."""
        self._take_back()
        self._tail += [line.text for line in lines]
        self._focus = max(0, len(self.rows) - 1)

    def _search(self, *, end_of_file: bool) -> None:
        """Find the place of the whole chunk again and make its rows there."""
        found = self._haystack.seek(self._old_lines(), self._cursor, end_of_file=end_of_file)
        self._show(found, self._chunk)
        self._certain = True

    def _show(self, start: int | None, lines: Sequence[Line]) -> None:
        """Make the chunk's rows at ``start``; without a place only what it adds is shown."""
        self._take_back()
        self._placed = start is not None
        if start is not None:
            self._keep_until(start)
        for line in lines:
            if line.kind == "+":
                self._emit_added(line.text)
            elif start is not None:
                self._emit_old(line.kind)

    def _old_lines(self) -> list[str]:
        return [line.text for line in self._chunk if line.kind != "+"]

    def _take_back(self) -> None:
        """Undo the rows of the open chunk."""
        mark = self._mark
        assert mark is not None
        del self._head[mark.rows :]
        self._old, self._new = mark.old, mark.new
        self._added, self._removed = mark.added, mark.removed
        self._hunks = list(mark.hunks)

    # --- rows ----------------------------------------------------------------------------------

    def _keep_until(self, line: int) -> None:
        """Settle the unchanged rows before ``line`` (0-based)."""
        for at in range(self._old, line):
            self._new += 1
            self._head.append(DiffRow(" ", plain(self._lines[at]), at + 1, self._new))
        self._old = max(self._old, line)

    def _emit_old(self, kind: RowKind) -> None:
        if kind == " ":
            self._keep_until(self._old + 1)
        else:
            self._remove()
        self._focus = len(self._head) - 1

    def _remove(self) -> None:
        _extend(self._hunks, len(self._head))
        self._head.append(DiffRow("-", plain(self._lines[self._old]), self._old + 1, None))
        self._old += 1
        self._removed += 1

    def _remove_all(self) -> None:
        while self._old < len(self._lines):
            self._remove()
        self._focus = 0

    def _emit_added(self, text: str) -> None:
        _extend(self._hunks, len(self._head))
        self._new += 1
        self._added += 1
        self._head.append(DiffRow("+", plain(text), None, self._new))
        self._focus = len(self._head) - 1


def _extend(hunks: list[range], row: int) -> None:
    """Add ``row`` to the last range if it is next to it, else start a new one."""
    if hunks and hunks[-1].stop == row:
        hunks[-1] = range(hunks[-1].start, row + 1)
    else:
        hunks.append(range(row, row + 1))
