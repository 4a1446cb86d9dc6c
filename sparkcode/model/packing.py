"""Making the packed file of a GGUF, once, in the cache.

Of two processes that want the same file the second waits, then finds it. The lock is the kernel's
own and goes with the process that holds it, so whoever has it may remove parts that others left.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import U8, Kind
from sparkcode.model.kinds import kind_of, role_of
from sparkcode.model.memory import Room, Table, packed_bytes
from sparkcode.model.packed import (
    ALIGNMENT,
    LAYOUT_VERSION,
    PREFIX_BYTES,
    Header,
    PackedFile,
    TensorEntry,
    seal,
)
from sparkcode.model.records import ROWS, pack_records
from sparkcode.model.tokenizer import Tokenizer
from sparkcode.model.weights import GgufModel, RawTensor, expected_tensors, read_gguf

_PACK_WEIGHTS = 1 << 20
"""Weights packed at once: bounds the memory that packing needs."""
_SAMPLE_BYTES = 1 << 20
_SPARE_BYTES = 16 << 20
"""Room on the disk for the header, and for rows that are padded."""

Progress = Callable[[int, int], None]
"""Gets bytes done and bytes in all, many times a second while packing."""


def open_packed(
    gguf: Path,
    *,
    cache_root: Path,
    say: Callable[[str], None],
    rebuild: bool = False,
    progress: Progress | None = None,
    room: Room | None = None,
) -> PackedFile:
    """The packed form of ``gguf``, built in ``cache_root`` when it is absent or unusable.

    ``say`` gets one line whenever something is built, with the reason. Raises WeightsError for a
    GGUF that cannot be used, one that does not fit into ``room``, or a cache that cannot be
    written. An interrupt leaves nothing behind.
    """
    path = packed_path(gguf, cache_root)
    found = None if rebuild else _usable(path, say)
    if found is None:
        packing = _Packing(gguf, path, say, progress, room)
        try:
            found = packing.run(rebuild=rebuild)
        except OSError as error:
            reason = error.strerror or str(error)
            raise WeightsError(f"cannot write the packed weights {path}: {reason}") from error
    elif room is not None:
        entries = found.header.tensors.items()
        kinds: Table = {
            name: (None if entry.kind == "f32" else entry.kind, entry.shape)
            for name, entry in entries
        }
        room.check(gguf.name, kinds)
    return found


def packed_path(gguf: Path, cache_root: Path) -> Path:
    """Where the packed form of ``gguf`` belongs.

    The key covers the file's size, time stamp, first and last mebibyte: a hash of the whole file
    would cost every start as much as reading it.
    """
    try:
        with gguf.open("rb") as file:
            status = os.fstat(file.fileno())
            key = hashlib.sha256(f"{status.st_size}-{status.st_mtime_ns}-".encode())
            key.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, status.st_size - _SAMPLE_BYTES))
            key.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise WeightsError(f"cannot read the weights {gguf}: {error.strerror}") from error
    return cache_root / "packed" / f"{key.hexdigest()[:16]}-v{LAYOUT_VERSION}.spark"


def _usable(path: Path, say: Callable[[str], None]) -> PackedFile | None:
    if not path.exists():
        return None
    try:
        return PackedFile(path)
    except WeightsError as error:
        say(f"{error}; packing the weights again")
        return None


@dataclass(frozen=True, slots=True)
class _Packing:
    """One run of the packer."""

    gguf: Path
    path: Path
    say: Callable[[str], None]
    progress: Progress | None
    room: Room | None

    def run(self, *, rebuild: bool) -> PackedFile:
        """Build the file, unless another process does so in the meantime."""
        damaged = self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked() as waited:
            if waited and self.path.exists():
                return PackedFile(self.path)
            if not (damaged or rebuild):
                self.say(self._reason())
            for abandoned in self.path.parent.glob("*.part"):
                abandoned.unlink(missing_ok=True)
            self._build()
        return PackedFile(self.path)

    def _reason(self) -> str:
        if any(self.path.parent.glob(f"{_key(self.path)}-v*.spark")):
            return f"packing {self.gguf.name} again: the packed form is of an older version"
        return f"packing {self.gguf.name} for quick starts"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Keep other packers out of the folder; True if that took waiting for one."""
        # The lock's file stays: removing it would let a third process lock a new one.
        with (self.path.parent / ".lock").open("ab") as lock:
            waited = False
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say("waiting for another process that packs weights")
                fcntl.flock(lock, fcntl.LOCK_EX)
                waited = True
            yield waited

    def _build(self) -> None:
        model = read_gguf(self.gguf)
        # An unusable vocabulary is better found before the matrices are packed.
        Tokenizer(model.vocabulary)
        table = _table(model)
        if self.room is not None:
            self.room.check(self.gguf.name, table)
        self._check_disk(packed_bytes(table) + _SPARE_BYTES)
        source = str(self.gguf.resolve())
        with _atomic(self.path) as file, ThreadPoolExecutor() as pool:
            file.write(bytes(PREFIX_BYTES))
            writer = _Writer(file, pool, packed_bytes(table), self.progress)
            entries = {
                name: writer.add(model.tensors[name], shape, kind)
                for name, (kind, shape) in table.items()
            }
            header = Header(source, model.config, model.vocabulary, entries)
            prefix, encoded = seal(header, file.tell())
            file.write(encoded)
            file.seek(0)
            file.write(prefix)
        _remove_superseded(self.path, source)

    def _check_disk(self, needed: int) -> None:
        folder = self.path.parent
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise WeightsError(
                f"packing {self.gguf.name!r} needs {needed:,} bytes in {str(folder)!r}, "
                f"{free:,} are free"
            )


def _table(model: GgufModel) -> dict[str, tuple[Kind | None, tuple[int, ...]]]:
    """Kind (None: float32) and shape of every tensor, in the order of the file."""
    return {
        name: (_kind(model.tensors[name]), shape) for name, shape in expected_tensors(model.config)
    }


def _kind(raw: RawTensor) -> Kind | None:
    return None if len(raw.shape) == 1 else kind_of(raw.encoding, role_of(raw.name))


@dataclass(slots=True)
class _Writer:
    """Appends tensors to a file."""

    file: IO[bytes]
    pool: Executor
    total: int
    progress: Progress | None
    done: int = 0

    def add(self, raw: RawTensor, shape: tuple[int, ...], kind: Kind | None) -> TensorEntry:
        """Encode and append one tensor."""
        self.file.write(bytes(-self.file.tell() % ALIGNMENT))
        offset, crc = self.file.tell(), 0
        for part in self._parts(raw, shape, kind):
            crc = zlib.crc32(part.data, crc)
            self.file.write(part.data)
            self.done += part.nbytes
            if self.progress is not None:
                self.progress(self.done, self.total)
        return TensorEntry(kind or "f32", shape, offset, self.file.tell() - offset, crc)

    def _parts(self, raw: RawTensor, shape: tuple[int, ...], kind: Kind | None) -> Iterator[U8]:
        if kind is None:
            yield np.ascontiguousarray(raw.values(0, shape[0])).view(np.uint8)
            return
        rows = max(1, _PACK_WEIGHTS // (shape[1] * ROWS)) * ROWS
        yield from self.pool.map(
            lambda first: pack_records(raw.blocks(first, first + rows, kind)),
            range(0, shape[0], rows),
        )


@contextlib.contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block ends well."""
    descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                # Pages stay as small as they were written; a mapping reads them back as large ones.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _key(path: Path) -> str:
    return path.stem.rpartition("-v")[0]


def _remove_superseded(path: Path, source: str) -> None:
    """Delete packed forms of the same GGUF that its change or an older layout left behind."""
    for other in path.parent.glob("*.spark"):
        stale = _key(other) == _key(path)
        if not stale:
            with contextlib.suppress(WeightsError):
                stale = PackedFile(other).header.source == source
        if stale and other != path:
            with contextlib.suppress(OSError):
                other.unlink()
