"""The growing copy of a weights file, between a source and the cache.

A `Partial` belongs to the source that began it (its ``origin``, kept in a sidecar file beside it).
Another source starts over: bytes of doubtful descent must not spoil the next source's good ones.
Sizes are known beforehand, so a source that sends more is refused before it fills the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from sparkcode.errors import WeightsError

CHUNK_BYTES: Final = 1 << 20


class SourceError(WeightsError):
    """One source could not serve; the next may."""


class Progress(Protocol):
    """What a pull tells its caller."""

    def advance(self, bytes: int) -> None:
        """``bytes`` more are here; fewer than none when a source starts over."""
        ...

    def describe(self, text: str) -> None:
        """What is being done now."""
        ...


def one_line(text: str, *, limit: int = 300) -> str:
    """Foreign text made fit for an error message: printable, one line, at most ``limit`` long."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    flat = " ".join(flat.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def begun_by(path: Path, origin: str) -> bool:
    """Is there a partial copy at ``path`` that ``origin`` began?"""
    try:
        record = json.loads(_sidecar(path).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record == {"origin": origin})


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


class Partial:
    """The growing copy of one weights file: appended to, hashed and counted as it grows."""

    def __init__(self, path: Path, limit: int, progress: Progress) -> None:
        self.path = path
        self.progress = progress
        self.size = 0
        self.resumed = False
        """True while the copy begins with bytes of an earlier pull."""
        self.scratch = path.with_name(path.name + ".parts")
        """Folder for what a source unpacks on the way; not made here, but removed here."""
        self._limit = limit
        self._sidecar = _sidecar(path)
        self._reported = 0
        self._hash = hashlib.sha256()
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._report(0)
        self._file.close()
        if error is not None and self.size == 0:
            self._remove()

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self._limit - self.size

    @property
    def sha256(self) -> str:
        """Hash of what is here, as hex digits."""
        return self._hash.hexdigest()

    def claim(self, origin: str) -> None:
        """Keep what is here if ``origin`` wrote it, else start over in its name."""
        length = self._length()
        keep = begun_by(self.path, origin) and length <= self._limit
        self.rewind(length if keep else 0)
        self.resumed = self.size > 0
        self._sidecar.write_text(json.dumps({"origin": origin}), "utf-8")

    def _length(self) -> int:
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def rewind(self, size: int) -> None:
        """Drop all but the first ``size`` bytes, and hash those anew."""
        size = min(size, self._length())
        self._file.truncate(size)
        self._file.seek(0)
        self._hash = hashlib.sha256()
        while chunk := self._file.read(CHUNK_BYTES):
            self._hash.update(chunk)
        self.size = size
        self.resumed = self.resumed and size > 0
        self._report(size)

    def write(self, chunk: bytes) -> None:
        """Append; more than the whole file is a SourceError."""
        if len(chunk) > self.missing:
            self.rewind(0)
            raise SourceError(f"sent more than the {self._limit:,} bytes of the file")
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        self._report(max(self._reported, self.size))

    def foresee(self, bytes: int) -> None:
        """Count ``bytes`` that are on this machine but not yet appended."""
        self._report(max(self._reported, min(self.size + bytes, self._limit)))

    def _report(self, total: int) -> None:
        if total != self._reported:
            self.progress.advance(total - self._reported)
            self._reported = total

    def commit(self, target: Path) -> None:
        """Make it ``target``, atomically and durably."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(target)
        self._remove()

    def discard(self) -> None:
        """Remove it."""
        self._report(0)
        self._file.close()
        self._remove()

    def _remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
