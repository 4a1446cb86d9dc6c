"""Read apply_patch text as it streams in.

The format was made to be read whole: what surrounds it is trimmed, a heredoc wrapper may enclose
it, and its last line is recognised by being last. :class:`PatchParser` reads it a piece at a time
and holds back only what the next characters may still change. Besides what
:mod:`sparkcode.patch.sections` holds that is an indented ``*** End Patch`` inside an update: it
ends the patch when nothing follows, and is a context line otherwise.

What is accepted, and the wording of what is not, follow Codex 0.169 (protocol reference,
section 8, rules 1 to 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.grammar import (
    BEGIN_PATCH,
    END_PATCH,
    MOVE_TO,
    WHITESPACE,
    Chunk,
    ChunkBegin,
    ChunkEnd,
    FileBegin,
    FileEnd,
    FilePatch,
    Line,
    Patch,
    PatchBegin,
    PatchEnd,
    PatchEvent,
)
from sparkcode.patch.sections import SectionReader, bad_hunk

MAX_LINE: Final = 1 << 20
SHOWN: Final = 4096
"""Most characters of an unfinished line that a screen is given."""
"""Longest line that is read, in characters."""

MAX_PATCH: Final = 16 << 20
"""Longest patch that is read, in characters."""

_HEREDOC: Final = ("<<EOF", "<<'EOF'", '<<"EOF"')
_FIRST_LINE: Final = f"Invalid patch: The first line of the patch must be '{BEGIN_PATCH}'"
_LAST_LINE: Final = f"Invalid patch: The last line of the patch must be '{END_PATCH}'"


class PatchParser:
    """Turns apply_patch text, fed in pieces of any size, into events.

    The concatenated events of :meth:`feed` and :meth:`close` do not depend on how the text was cut.
    Both raise :class:`PatchSyntaxError` at the first line that cannot belong to a patch; the parser
    is of no further use then.
    """

    def __init__(self) -> None:
        self._sections = SectionReader()
        self._events: list[PatchEvent] = []
        self._partial: list[str] = []
        self._partial_size = 0
        self._size = 0
        self._number = 0
        self._phase: Literal["before", "inside", "after"] = "before"
        self._heredoc: Literal["no", "open", "closed"] = "no"
        self._ends = 0
        self._just_ended = False
        self._maybe_end: list[tuple[int, str]] = []

    @property
    def pending(self) -> str:
        """The text of the incomplete last line, of a long one the first :data:`SHOWN` characters.

        While nothing of the next line has come, or only a backslash line that describes it, this is
        the complete line that is still held back, so that it does not vanish from a screen.
        """
        partial = ""
        for piece in self._partial:
            partial += piece
            if len(partial) >= SHOWN:
                break
        partial = partial[:SHOWN]
        held = self._sections.held
        if held is not None and (not partial or partial.startswith("\\")):
            return held.kind + held.text
        return partial

    def feed(self, text: str) -> list[PatchEvent]:
        """The events that ``text`` makes certain."""
        self._size += len(text)
        if self._size > MAX_PATCH:
            raise PatchSyntaxError(f"Invalid patch: it is longer than {MAX_PATCH} characters")
        first, *others = text.split("\n")
        self._append(first)
        for piece in others:
            self._read("".join(self._partial))
            self._partial, self._partial_size = [], 0
            self._append(piece)
        if self._phase == "inside" and not self._maybe_end:
            self._sections.release("".join(self._partial[: len(MOVE_TO)]))
        return self._take()

    def close(self) -> list[PatchEvent]:
        """The events of the rest; raises :class:`PatchSyntaxError` when the patch is incomplete."""
        last = "".join(self._partial).rstrip(WHITESPACE)
        self._partial = []
        if last:
            self._read(last)
        if self._maybe_end:
            self._heredoc = "closed" if len(self._maybe_end) > 1 else self._heredoc
            self._end(self._maybe_end[0][0])
        if self._phase != "after" or self._heredoc == "open":
            raise PatchSyntaxError(_LAST_LINE)
        return self._take()

    def _append(self, piece: str) -> None:
        self._partial_size += len(piece)
        if self._partial_size > MAX_LINE:
            raise bad_hunk(self._number + 1, f"the line is longer than {MAX_LINE} characters")
        if piece:
            self._partial.append(piece)

    def _take(self) -> list[PatchEvent]:
        events, self._events = [*self._events, *self._sections.take()], []
        return events

    def _read(self, raw: str) -> None:
        line = raw.rstrip("\r")
        match self._phase:
            case "before":
                self._read_before(line)
            case "inside":
                self._number += 1
                self._read_inside(line)
            case _:
                self._read_after(line.strip(WHITESPACE))

    def _read_before(self, line: str) -> None:
        if self._heredoc == "no":
            line = line.lstrip(WHITESPACE)
            if not line:
                return
            if line in _HEREDOC:
                self._heredoc = "open"
                return
        if line.strip(WHITESPACE) != BEGIN_PATCH:
            raise PatchSyntaxError(_FIRST_LINE)
        self._phase, self._number = "inside", 1
        self._events.append(PatchBegin())

    def _read_inside(self, line: str) -> None:
        if self._maybe_end:
            if self._still_maybe_end(line):
                self._maybe_end.append((self._number, line))
                return
            held, self._maybe_end = self._maybe_end, []
            for number, earlier in held:
                self._sections.read(number, earlier)
        if line.strip(WHITESPACE) != END_PATCH:
            self._sections.read(self._number, line)
        elif self._sections.in_update and line.rstrip(WHITESPACE) != END_PATCH:
            self._maybe_end.append((self._number, line))
        else:
            self._end(self._number)

    def _still_maybe_end(self, line: str) -> bool:
        """Whether an indented end marker can be the last line of the patch in spite of ``line``."""
        if self._heredoc == "open" and len(self._maybe_end) == 1:
            return line.rstrip(WHITESPACE).endswith("EOF")
        return not line.strip(WHITESPACE)

    def _end(self, number: int) -> None:
        self._sections.end(number)
        self._events += [*self._sections.take(), PatchEnd()]
        self._phase, self._ends, self._just_ended = "after", 1, True

    def _read_after(self, text: str) -> None:
        """After the end marker may come blank lines, the marker again, the end of a heredoc."""
        if text == END_PATCH and self._ends == 1 and self._heredoc != "closed":
            self._ends, self._just_ended = 2, True
            return
        if self._heredoc == "open" and self._just_ended and text.endswith("EOF"):
            self._heredoc = "closed"
        elif text:
            raise PatchSyntaxError(_LAST_LINE)
        self._just_ended = False


def parse(text: str) -> Patch:
    """The tree of a whole patch; raises :class:`PatchSyntaxError` as Codex would."""
    _check_markers([line.rstrip("\r") for line in text.strip(WHITESPACE).split("\n")])
    parser = PatchParser()
    return build([*parser.feed(text), *parser.close()])


def _check_markers(lines: Sequence[str]) -> None:
    """A patch without its markers is reported as that, whatever else is wrong in it."""
    error = _markers_error(lines)
    wrapped = len(lines) >= 4 and lines[0] in _HEREDOC and lines[-1].endswith("EOF")
    if error and wrapped:
        error = _markers_error(lines[1:-1])
    if error:
        raise PatchSyntaxError(error)


def _markers_error(lines: Sequence[str]) -> str | None:
    if lines[0].strip(WHITESPACE) != BEGIN_PATCH and lines != [""]:
        return _FIRST_LINE
    return None if lines[-1].strip(WHITESPACE) == END_PATCH else _LAST_LINE


def build(events: Iterable[PatchEvent]) -> Patch:
    """The tree of a complete stream of events."""
    files: list[FilePatch] = []
    header = FileBegin("update", "", None)
    context: str | None = None
    chunks: list[Chunk] = []
    lines: list[Line] = []
    for event in events:
        match event:
            case FileBegin():
                header, chunks, lines = event, [], []
            case ChunkBegin():
                context, lines = event.context, []
            case Line():
                lines.append(event)
            case ChunkEnd():
                chunks.append(Chunk(context, tuple(lines), event.end_of_file))
            case FileEnd():
                added = tuple(line.text for line in lines) if header.op == "add" else ()
                files.append(
                    FilePatch(header.op, header.path, header.move_to, tuple(chunks), added)
                )
    return Patch(tuple(files))
