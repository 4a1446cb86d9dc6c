"""The files a session may touch: those under one folder, symlinks resolved.

Paths come from a model and are hostile. A path is judged where it leads, not how it is written, and
nothing under ``.git`` or ``.sparkcode`` is written, because a hook there would run and a setting
there would choose the next engine. Reads are bounded and text only; writes go to a temporary file
beside the target that then takes its place, so that a reader or a crash sees the old file or the
new one and never half of either.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkcode.assistant.plain import one_line, plain
from sparkcode.errors import WorkspaceError
from sparkcode.syntax.languages import language_of

MAX_FILE_BYTES: Final = 1 << 20

MAX_DEPTH: Final = 100
"""Folders between the root and a file that is written; making them recurses once for each."""

_KEPT: Final = {
    ".git": "belongs to git; it is not written",
    ".sparkcode": "belongs to the settings; it is not written",
}
"""Folders, at any depth, in which a patch could plant what runs or configures later."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A file as it was read."""

    path: str
    """Relative to the workspace, with forward slashes."""
    text: str
    """Decoded, endings as they are in the file."""
    language: str
    version: int
    """Counts the states of this path that the session has seen, from 1."""
    raw: bytes
    """As on disk; a file that holds something else by now is not overwritten."""


class Workspace:
    """Reads and writes below ``root``; WorkspaceError (one line) for everything else."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._versions: dict[str, tuple[int, bytes]] = {}
        self._modes: dict[Path, int] = {}
        self._made: set[Path] = set()
        """Folders that were made here."""

    def contained(self, path: str) -> Path:
        """The absolute place that ``path`` (relative to the root, or absolute) leads to."""
        shown = one_line(path.encode(errors="replace").decode(), 120)
        if not _usable(path):
            raise WorkspaceError(f"{shown!r} is no path of a file")
        try:
            place = (self.root / path).resolve()
        except (OSError, RuntimeError) as error:
            raise WorkspaceError(f"{shown!r} cannot be resolved ({_reason(error)})") from error
        if place != self.root and self.root in place.parents:
            return place
        raise WorkspaceError(f"{shown!r} is outside the workspace {str(self.root)!r}")

    def relative(self, path: str) -> str:
        """``path`` relative to the root with forward slashes, as buffers are named."""
        return self.contained(path).relative_to(self.root).as_posix()

    def read(self, path: str) -> Buffer:
        """The file at ``path``, if it is UTF-8 text of at most 1 MiB."""
        name = self.relative(path)
        raw = self.read_bytes(name)
        if raw is None:
            raise WorkspaceError(f"{one_line(name, 120)!r} does not exist in {str(self.root)!r}")
        if b"\0" in raw:
            raise WorkspaceError(f"{name!r} is binary; only text files can be opened")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WorkspaceError(f"{name!r} is not UTF-8 (byte {error.start})") from error
        version, seen = self._versions.get(name, (0, b""))
        if not version or seen != raw:
            version += 1
            self._versions[name] = (version, raw)
        return Buffer(name, text, language_of(name), version, raw)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``; what leads outside does not count."""
        try:
            return self.contained(path).exists()
        except (WorkspaceError, OSError):
            return False

    def is_file(self, path: str) -> bool:
        """Whether there is a regular file at ``path``; what leads outside does not count."""
        try:
            return self.contained(path).is_file()
        except (WorkspaceError, OSError):
            return False

    def read_bytes(self, path: str) -> bytes | None:
        """The bytes on disk; None if there is no file."""
        place = self.contained(path)
        shown = one_line(path, 120)
        try:
            if not stat.S_ISREG(place.stat().st_mode):
                raise WorkspaceError(f"{shown!r} is not a regular file")
            with place.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise WorkspaceError(f"{shown!r} cannot be read ({_reason(error)})") from error
        if len(raw) > MAX_FILE_BYTES:
            raise WorkspaceError(f"{shown!r} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return raw

    def check_unchanged(self, path: str, expected: bytes | None) -> None:
        """WorkspaceError unless the disk still holds ``expected`` (None: no file)."""
        if self.read_bytes(path) != expected:
            raise WorkspaceError(f"{one_line(path, 120)!r} has changed on disk since it was read")

    def check_writable(self, path: str) -> Path:
        """The place of ``path`` if it may be written."""
        place = self.contained(path)
        shown = one_line(path, 120)
        parts = [part.casefold() for part in place.relative_to(self.root).parts]
        for folder, reason in _KEPT.items():
            if folder in parts:
                raise WorkspaceError(f"{shown!r} {reason}")
        if len(parts) > MAX_DEPTH:
            raise WorkspaceError(f"{shown!r} is more than {MAX_DEPTH} folders deep")
        try:
            if place.is_dir():
                raise WorkspaceError(f"{shown!r} is a folder")
            if place.exists() and not _may_write(place):
                raise WorkspaceError(f"{shown!r} is read-only")
        except OSError as error:
            raise WorkspaceError(f"{shown!r} cannot be written ({_reason(error)})") from error
        return place

    def write_atomic(self, path: str, data: bytes) -> None:
        """Replace (or create) the file. On an error the old file stays.

        Permission bits stay, also those of a file that was deleted here before.
        """
        place = self.check_writable(path)
        try:
            self._make_folders(place.parent)
            known = self._modes.get(place)
            mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else known
            _replace(place, data, mode)
        except OSError as error:
            shown = one_line(path, 120)
            raise WorkspaceError(f"{shown!r} cannot be written ({_reason(error)})") from error

    def delete(self, path: str) -> None:
        """Remove the file, and folders that were made here for it and are empty now; no file is no
        error."""
        place = self.check_writable(path)
        try:
            if place.exists():
                self._modes[place] = stat.S_IMODE(place.stat().st_mode)
            place.unlink(missing_ok=True)
        except OSError as error:
            shown = one_line(path, 120)
            raise WorkspaceError(f"{shown!r} cannot be deleted ({_reason(error)})") from error
        self._leave_folders(place.parent)

    def _make_folders(self, folder: Path) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._made.update(missing)

    def _leave_folders(self, folder: Path) -> None:
        while folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return  # Something else is in it, or it is gone.
            self._made.discard(folder)
            folder = folder.parent


def _usable(path: str) -> bool:
    """Whether ``path`` can be shown on a line and sent as UTF-8."""
    text = path.encode(errors="replace").decode()
    return bool(path) and path == plain(text) and "\n" not in path and "\t" not in path


def _may_write(place: Path) -> bool:
    """Whether the mode has a write bit and this process may use it."""
    return bool(place.stat().st_mode & 0o222) and os.access(place, os.W_OK)


def _replace(place: Path, data: bytes, mode: int | None) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _default_mode() if mode is None else mode)
        os.replace(name, place)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _default_mode() -> int:
    """What ``open`` would have given a new file."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _reason(error: Exception) -> str:
    return one_line((error.strerror if isinstance(error, OSError) else "") or str(error))
