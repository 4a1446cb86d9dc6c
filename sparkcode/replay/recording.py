"""What a recording holds besides the wire: the user's keys, and the files that were open.

A tape replays on another machine, so its header carries the text of the open files, up to
:data:`MAX_FILES_BYTES`; beyond that it only names them, and whoever replays it supplies the folder.

A key is written by its name (``enter``, ``ctrl+j``) or, where it types something, as the character;
a paste as ``paste`` and the text. No key has a space in its name, so the three differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparkcode import __version__
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import Clock
from sparkcode.errors import ScriptError, UsageError, WorkspaceError
from sparkcode.link.tape import RecordingDialer, Tape, TapeHeader, TapeWriter
from sparkcode.link.transport import Dialer

MAX_FILES_BYTES: Final = 4 * 1024 * 1024
"""Text of open files in a header."""

_PASTE: Final = "paste "
_SMALLEST, _LARGEST = (10, 4), (1000, 500)
"""Columns and rows of a screen."""


@dataclass(frozen=True, slots=True)
class Key:
    """A pressed key: its name, or the character that it types."""

    name: str


@dataclass(frozen=True, slots=True)
class Pasted:
    text: str


Input = Key | Pasted


def encode_input(what: Input) -> str:
    """The data of an ``i`` record."""
    return what.name if isinstance(what, Key) else f"{_PASTE}{what.text}"


def decode_input(data: str) -> Input:
    """What an ``i`` record tells."""
    if len(data) > 1 and data.startswith(_PASTE):
        return Pasted(data.removeprefix(_PASTE))
    return Key(data)


class Recording:
    """A tape of a session: hand its ``dialer`` to the session and what the user does to ``user``.

    Times are the clock's; second 0 is when the recording is made.
    """

    def __init__(
        self,
        path: Path,
        header: TapeHeader,
        clock: Clock,
        *,
        secrets: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        """UsageError if the file exists, unless it may be overwritten."""
        if overwrite and (path.is_file() or path.is_symlink()):
            path.unlink()
        self._clock = clock
        self._writer = TapeWriter(path, header, start=clock.now(), secrets=secrets)

    @property
    def error(self) -> str:
        """Why recording stopped before its end; empty when it did not."""
        return self._writer.error

    def dialer(self, inner: Dialer) -> RecordingDialer:
        """``inner``, with what passes through its links on the tape."""
        return RecordingDialer(inner, self._writer, self._clock)

    def user(self, what: Input) -> None:
        """The user pressed a key or pasted."""
        self._writer.write(self._clock.now(), "i", encode_input(what))

    def resized(self, columns: int, rows: int) -> None:
        self._writer.write(self._clock.now(), "r", f"{columns}x{rows}")

    def close(self, status: int = 0) -> None:
        """End the tape with the exit status."""
        self._writer.write(self._clock.now(), "x", str(status))
        self._writer.close()


def header_of(
    workspace: Workspace,
    open_paths: Iterable[str],
    *,
    size: tuple[int, int],
    theme: str = "",
    virtual: bool = False,
) -> TapeHeader:
    """The header for a screen of ``size`` with these files open; WorkspaceError for a bad path."""
    files: dict[str, str] = {}
    names = []
    room = MAX_FILES_BYTES
    for path in open_paths:
        buffer = workspace.read(path)
        names.append(buffer.path)
        room -= len(buffer.raw)
        if room >= 0:
            files[buffer.path] = buffer.text
    extra: dict[str, Any] = {"open": names, "files": files, "theme": theme}
    return TapeHeader(__version__, "virtual" if virtual else "real", size, extra)


@dataclass(frozen=True, slots=True)
class Cast:
    """What a tape's header says about the screen."""

    size: tuple[int, int]
    open: tuple[str, ...]
    files: Mapping[str, str]
    theme: str


def cast_of(tape: Tape, name: str) -> Cast:
    """The header's screen, checked; ScriptError names the key that cannot be used."""
    size, extra = tape.header.size, tape.header.extra
    if not all(
        low <= cells <= high for low, cells, high in zip(_SMALLEST, size, _LARGEST, strict=True)
    ):
        raise ScriptError(f"{name}: a screen of {size[0]}x{size[1]} cells; 10x4 to 1000x500 can be")
    opened, files, theme = extra.get("open", []), extra.get("files", {}), extra.get("theme", "")
    if not isinstance(opened, list) or not all(isinstance(path, str) for path in opened):
        raise ScriptError(f"{name}: 'open' in the header is no list of paths")
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise ScriptError(f"{name}: 'files' in the header is no table of path to text")
    return Cast(size, tuple(opened), files, theme if isinstance(theme, str) else "")


def restore_files(cast: Cast, workspace: Workspace, name: str) -> None:
    """Write the tape's files below the workspace; they never leave it.

    UsageError if the tape only names a file that the workspace lacks.
    """
    try:
        for path, text in cast.files.items():
            workspace.write_atomic(path, text.encode())
        missing = [path for path in cast.open if workspace.read_bytes(path) is None]
    except WorkspaceError as error:
        raise ScriptError(f"{name}: {error}") from error
    if missing:
        raise UsageError(
            f"{name} does not hold the text of {missing[0]!r}; --workspace DIR names a folder"
            " that has it"
        )


def parse_size(data: str) -> tuple[int, int] | None:
    """Columns and rows of an ``r`` record; None for what is no usable size."""
    columns, _, rows = data.partition("x")
    if not (columns.isdecimal() and rows.isdecimal() and len(data) <= 9):
        return None
    size = (int(columns), int(rows))
    inside = zip(_SMALLEST, size, _LARGEST, strict=True)
    return size if all(low <= cells <= high for low, cells, high in inside) else None
