"""Read the complete lines between the two markers of a patch: headers, chunks and their lines.

The rules and the wording of the errors are Codex 0.169's (protocol reference, section 8, rules 2
and 3). Where :mod:`sparkcode.patch.parser` knows about pieces of text, trimming and wrappers, this
module sees whole lines only, and holds back what the next line may still change: the header of an
update (a ``*** Move to:`` line may follow) and a line of a chunk (a backslash line may follow).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Literal

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.grammar import (
    ADD_FILE,
    CONTEXT,
    DELETE_FILE,
    END_OF_FILE,
    END_PATCH,
    ENDS_WITH_CRLF,
    ENDS_WITH_LF,
    ENVIRONMENT_ID,
    MOVE_TO,
    NO_NEWLINE,
    TEXT_ENDS_WITH,
    UPDATE_FILE,
    WHITESPACE,
    ChunkBegin,
    ChunkEnd,
    FileBegin,
    FileEnd,
    FileOp,
    Line,
    LineEnding,
    LineKind,
    PatchEvent,
)

_HEADERS: Final[tuple[tuple[str, FileOp], ...]] = (
    (ADD_FILE, "add"),
    (DELETE_FILE, "delete"),
    (UPDATE_FILE, "update"),
)
_ENDINGS: Final[dict[str, LineEnding]] = {
    NO_NEWLINE: "none",
    ENDS_WITH_CRLF: "crlf",
    ENDS_WITH_LF: "lf",
}
_KINDS: Final[dict[str, LineKind]] = {" ": " ", "+": "+", "-": "-"}
_TEXT_ENDS: Final = re.compile(re.escape(TEXT_ENDS_WITH) + r"([1-9][0-9]{0,6}) CR")
_VALID_HEADERS: Final = (
    f"Valid hunk headers: '{ADD_FILE}{{path}}', '{DELETE_FILE}{{path}}', '{UPDATE_FILE}{{path}}'"
)
_VALID_LINES: Final = (
    "Every line should start with ' ' (context line), '+' (added line), or '-' (removed line)"
)
_NO_LINES: Final = "Update hunk does not contain any lines"


def bad_hunk(number: int, message: str) -> PatchSyntaxError:
    """The error for line ``number`` (from 1) of the patch."""
    return PatchSyntaxError(f"Invalid patch hunk on line {number}: {message}")


class SectionReader:
    """Turns the lines of the file sections into events."""

    def __init__(self) -> None:
        self._events: list[PatchEvent] = []
        self._op: FileOp | None = None
        self._path = ""
        self._header_number = 0
        self._header: FileBegin | None = None
        self._environment = False
        self._chunk: Literal["none", "empty", "lines", "closed"] = "none"
        self._line: Line | None = None

    @property
    def in_update(self) -> bool:
        """Whether the open section is an update, where leading spaces are part of a line."""
        return self._op == "update"

    @property
    def held(self) -> Line | None:
        """The line of a chunk that waits for the next one."""
        return self._line

    def take(self) -> list[PatchEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def release(self, partial: str) -> None:
        """Let go of what the next line, of which ``partial`` has come, can no longer change."""
        if partial and not partial.startswith("\\"):
            self._flush_line()
        if not MOVE_TO.startswith(partial[: len(MOVE_TO)]):
            self._flush_header()

    def read(self, number: int, line: str) -> None:
        """Take one complete line, without its ending; not the end marker of the patch."""
        text = line.rstrip(WHITESPACE) if self.in_update else line.strip(WHITESPACE)
        for marker, op in _HEADERS:
            if text.startswith(marker):
                self._end_section(number, text)
                self._begin_section(number, op, text[len(marker) :])
                return
        if self.in_update:
            self._read_update(number, line, text)
        elif self._op == "add" and line.startswith("+"):
            self._events.append(Line("+", line[1:]))
        elif self._op is None and text.startswith(ENVIRONMENT_ID):
            self._read_environment(text[len(ENVIRONMENT_ID) :])
        else:
            raise bad_hunk(number, f"'{text}' is not a valid hunk header. {_VALID_HEADERS}")

    def end(self, number: int) -> None:
        """The end marker stands on line ``number``."""
        self._end_section(number, END_PATCH)
        self._op = None

    def _read_environment(self, value: str) -> None:
        if self._environment or not value.strip(WHITESPACE):
            problem = "be specified more than once" if self._environment else "be empty"
            raise PatchSyntaxError(f"Invalid patch: apply_patch environment_id cannot {problem}")
        self._environment = True

    def _begin_section(self, number: int, op: FileOp, path: str) -> None:
        self._op, self._path, self._header_number = op, path, number
        self._chunk = "none"
        self._header = FileBegin(op, path, None)
        if op != "update":
            self._flush_header()

    def _end_section(self, number: int, text: str) -> None:
        """Close the open section because ``text`` starts another one or ends the patch."""
        if self._op is None:
            return
        if self.in_update:
            self._end_update(number, text)
        self._events.append(FileEnd(self._path))

    def _end_update(self, number: int, text: str) -> None:
        if self._chunk == "none":
            message = f"Update file hunk for path '{self._path}' is empty"
            raise bad_hunk(self._header_number, message)
        if self._chunk == "empty" and text == END_PATCH:
            raise bad_hunk(number, _NO_LINES)
        if self._chunk == "empty":
            raise self._unexpected(number, text)
        self._end_chunk(end_of_file=False)

    def _read_update(self, number: int, line: str, text: str) -> None:
        if self._header and text.startswith(MOVE_TO):
            self._header = replace(self._header, move_to=text[len(MOVE_TO) :])
            self._flush_header()
            return
        self._flush_header()
        if text == CONTEXT or text.startswith(CONTEXT + " "):
            self._begin_chunk(number, line, text[len(CONTEXT) + 1 :] or None)
        elif text == END_OF_FILE:
            self._read_end_of_file(number, line)
        elif self._chunk == "closed":
            if text:
                raise self._unexpected(number, line)
        elif not self._describes_line(text):
            self._read_line(number, line)

    def _begin_chunk(self, number: int, line: str, context: str | None) -> None:
        if self._chunk == "empty":
            raise self._unexpected(number, line)
        self._end_chunk(end_of_file=False)
        self._chunk = "empty"
        self._events.append(ChunkBegin(context))

    def _read_end_of_file(self, number: int, line: str) -> None:
        match self._chunk:
            case "none":
                return
            case "empty":
                raise bad_hunk(number, _NO_LINES)
            case "lines":
                self._end_chunk(end_of_file=True)
            case _:
                raise self._unexpected(number, line)

    def _end_chunk(self, *, end_of_file: bool) -> None:
        self._flush_line()
        if self._chunk == "lines":
            self._events.append(ChunkEnd(end_of_file))
            self._chunk = "closed"

    def _describes_line(self, text: str) -> bool:
        """Whether ``text`` is a backslash line that fits the line above; if so it is done."""
        line = self._line
        if line is None or line.ending != "auto":
            return False
        if count := _TEXT_ENDS.fullmatch(text):
            if line.text.endswith("\r"):
                return False
            self._line = replace(line, text=line.text + "\r" * int(count[1]))
            return True
        if line.kind != "+" or text not in _ENDINGS:
            return False
        self._line = replace(line, ending=_ENDINGS[text])
        return True

    def _read_line(self, number: int, line: str) -> None:
        kind = _KINDS.get(line[:1] or " ")
        if kind is None:
            raise self._unexpected(number, line)
        self._flush_line()
        if self._chunk == "none":
            self._events.append(ChunkBegin(None))
        self._chunk = "lines"
        self._line = Line(kind, line[1:])

    def _unexpected(self, number: int, line: str) -> PatchSyntaxError:
        if self._chunk in ("lines", "closed"):
            message = f"Expected update hunk to start with a @@ context marker, got: '{line}'"
        else:
            message = f"Unexpected line found in update hunk: '{line}'. {_VALID_LINES}"
        return bad_hunk(number, message)

    def _flush_header(self) -> None:
        if self._header is not None:
            self._events.append(self._header)
            self._header = None

    def _flush_line(self) -> None:
        if self._line is not None:
            self._events.append(self._line)
            self._line = None
