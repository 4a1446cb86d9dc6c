"""The vocabulary of apply_patch: markers, the events of a stream, the tree of a whole patch.

A patch is a list of file sections between two marker lines::

    *** Begin Patch
    *** Update File: src/app.py
    @@ def main():
         parse()
    -    run()
    +    run(fast=True)
    *** Add File: notes.md
    +one line
    *** Delete File: old.py
    *** End Patch

Events come in this order: ``PatchBegin (FileBegin body FileEnd)* PatchEnd``. The body of an update
is ``(ChunkBegin Line+ ChunkEnd)+``, the body of an added file is ``Line*`` (all of kind ``+``), a
deleted file has none.

**The extension.** apply_patch cannot say how a line ends. In git's manner a line that starts with a
backslash describes the line above it:

- ``\\ No newline at end of file``: the added line above is the last one and has no newline;
- ``\\ Line ends with CRLF``, ``\\ Line ends with LF``: the added line above ends unlike the file's;
- ``\\ Text ends with N CR``: the line above has N carriage returns before its ending, which the
  format would otherwise drop.

They are written only where plain apply_patch would change the text. Codex refuses a patch that
holds one rather than damage the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BEGIN_PATCH: Final = "*** Begin Patch"
END_PATCH: Final = "*** End Patch"
ADD_FILE: Final = "*** Add File: "
DELETE_FILE: Final = "*** Delete File: "
UPDATE_FILE: Final = "*** Update File: "
MOVE_TO: Final = "*** Move to: "
ENVIRONMENT_ID: Final = "*** Environment ID:"
END_OF_FILE: Final = "*** End of File"
CONTEXT: Final = "@@"

NO_NEWLINE: Final = "\\ No newline at end of file"
ENDS_WITH_CRLF: Final = "\\ Line ends with CRLF"
ENDS_WITH_LF: Final = "\\ Line ends with LF"
TEXT_ENDS_WITH: Final = "\\ Text ends with "
"""Followed by a decimal count and `` CR``."""

WHITESPACE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What trimming removes: Unicode's White_Space (``str.strip`` also takes U+001C to U+001F)."""

FileOp = Literal["add", "delete", "update"]
LineKind = Literal[" ", "+", "-"]
LineEnding = Literal["auto", "lf", "crlf", "none"]
"""``auto``: a kept line has the ending it had, an added line the one usual in the file."""


@dataclass(frozen=True, slots=True)
class PatchBegin:
    """``*** Begin Patch`` was read."""


@dataclass(frozen=True, slots=True)
class FileBegin:
    """A file header was read, and for an update the move line that may follow it."""

    op: FileOp
    path: str
    move_to: str | None


@dataclass(frozen=True, slots=True)
class ChunkBegin:
    """A chunk of an update starts; ``context`` is None for a bare or missing ``@@``."""

    context: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chunk or of an added file, without prefix and line ending."""

    kind: LineKind
    text: str
    ending: LineEnding = "auto"


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """The chunk is complete; ``end_of_file`` when it is anchored at the end of the file."""

    end_of_file: bool


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The section of ``path`` is complete."""

    path: str


@dataclass(frozen=True, slots=True)
class PatchEnd:
    """``*** End Patch`` was read."""


PatchEvent = PatchBegin | FileBegin | ChunkBegin | Line | ChunkEnd | FileEnd | PatchEnd


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of kept, removed and added lines at one place of the file."""

    context: str | None
    lines: tuple[Line, ...]
    end_of_file: bool = False


@dataclass(frozen=True, slots=True)
class FilePatch:
    """One file's section. ``chunks`` belong to an update, ``added`` (line texts) to a new file."""

    op: FileOp
    path: str
    move_to: str | None = None
    chunks: tuple[Chunk, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """A whole patch, in the order of its text."""

    files: tuple[FilePatch, ...]
