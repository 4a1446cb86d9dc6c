"""The packed file: a model's weights in the cache, laid out the way a kernel streams them.

Matrices are laid out as :mod:`sparkcode.model.records` says. The file::

    prefix   64 bytes: magic, layout version, header's offset, length and SHA-256
    tensors  each on a 64-byte boundary
    header   JSON: config, vocabulary, tensor table with a CRC-32 of each tensor

It is written under a temporary name and renamed, so a file that is there is whole; one that was
damaged later fails a check and is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Literal

import msgspec
import numpy as np

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import F32, U8, Kind
from sparkcode.model.records import PackedMatrix, pack_records, record_grid
from sparkcode.model.tokenizer import Tokenizer, Vocabulary
from sparkcode.model.weights import ModelConfig, RawTensor, expected_tensors, read_gguf

LAYOUT_VERSION = 2
"""Raised whenever a file of the old layout could not be read as the new one."""

_MAGIC = b"SPARKPK\0"
_PREFIX = struct.Struct("<8sIIQQ32s")
_ALIGNMENT = 64
_PACK_ROWS = 1024
"""Rows packed at once: bounds the memory that packing needs."""
_SAMPLE_BYTES = 1 << 20
_ABANDONED_SECONDS = 3600
"""A part nobody has written to for so long was left by a process that was killed."""


class TensorEntry(msgspec.Struct, frozen=True):
    """Where a tensor lies in the file."""

    kind: Kind | Literal["f32"]
    shape: tuple[int, ...]
    """(N,) for f32, (N, K) otherwise; without padding."""
    offset: int
    """Bytes from the start of the file."""
    nbytes: int
    crc32: int


class Header(msgspec.Struct, frozen=True):
    """The JSON header of a packed file."""

    source: str
    """Path of the GGUF that was packed."""
    config: ModelConfig
    vocabulary: Vocabulary
    tensors: dict[str, TensorEntry]


class PackedFile:
    """A packed file, mapped into memory and checked up to its tensors' contents."""

    def __init__(self, path: Path) -> None:
        """Map ``path``; raises WeightsError when it is not a whole file of this layout."""
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise WeightsError(f"cannot map {path}: {error}") from error
        self.path = path
        self.header = _read_header(path, self._map)

    def vector(self, name: str) -> F32:
        """A float32 vector [N], copied."""
        entry = self.header.tensors[name]
        return self._checked(name, entry).view(np.float32).copy()

    def matrix(self, name: str) -> PackedMatrix:
        """A matrix whose checksum holds; WeightsError where it does not."""
        entry = self.header.tensors[name]
        if entry.kind == "f32":
            raise WeightsError(f"{self.path}: tensor {name!r} is a vector, not a matrix")
        (rows, columns), kind = entry.shape, entry.kind
        grid = record_grid(kind, (rows, columns))
        return PackedMatrix(kind, (rows, columns), self._checked(name, entry).reshape(grid))

    def forget_pages(self) -> None:
        """Give mapped pages back to the page cache; they are read again when touched."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _checked(self, name: str, entry: TensorEntry) -> U8:
        data = np.frombuffer(self._map, np.uint8, count=entry.nbytes, offset=entry.offset)
        if zlib.crc32(data.data) != entry.crc32:
            raise WeightsError(f"{self.path} is damaged: tensor {name!r} fails its checksum")
        return data


def open_packed(
    gguf: Path, *, cache_root: Path, say: Callable[[str], None], rebuild: bool = False
) -> PackedFile:
    """The packed form of ``gguf``, built in ``cache_root`` when it is absent or unusable.

    ``say`` gets one line whenever something is built, with the reason. Raises WeightsError for a
    GGUF that cannot be used or a cache that cannot be written.
    """
    path = packed_path(gguf, cache_root)
    if path.exists() and not rebuild:
        try:
            return PackedFile(path)
        except WeightsError as error:
            say(f"{error}; packing the weights again")
    else:
        say(f"packing {gguf.name} for quick starts")
    try:
        _build(gguf, path)
    except OSError as error:
        raise WeightsError(f"cannot write the packed weights {path}: {error.strerror}") from error
    return PackedFile(path)


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


def _build(gguf: Path, path: Path) -> None:
    model = read_gguf(gguf)
    Tokenizer(
        model.vocabulary
    )  # an unusable vocabulary is better found before the matrices are packed
    path.parent.mkdir(parents=True, exist_ok=True)
    with _atomic(path) as file:
        file.write(bytes(_PREFIX.size))
        entries = {
            name: _write_tensor(file, model.tensors[name], shape)
            for name, shape in expected_tensors(model.config)
        }
        header = Header(str(gguf.resolve()), model.config, model.vocabulary, entries)
        encoded = msgspec.json.encode(header)
        offset = file.tell()
        file.write(encoded)
        file.seek(0)
        digest = hashlib.sha256(encoded).digest()
        file.write(_PREFIX.pack(_MAGIC, LAYOUT_VERSION, 0, offset, len(encoded), digest))
    _remove_superseded(path, header.source)


@contextlib.contextmanager
def _atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block ends well."""
    descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    now = os.fstat(descriptor).st_mtime
    for other in path.parent.glob("*.part"):
        with contextlib.suppress(OSError):
            if now - other.stat().st_mtime > _ABANDONED_SECONDS:
                other.unlink()
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _write_tensor(file: IO[bytes], raw: RawTensor, shape: tuple[int, ...]) -> TensorEntry:
    file.write(bytes(-file.tell() % _ALIGNMENT))
    offset, crc = file.tell(), 0
    for part in _encoded_parts(raw, shape):
        crc = zlib.crc32(part.data, crc)
        file.write(part.data)
    kind = "f32" if len(shape) == 1 else raw.kind
    return TensorEntry(kind, shape, offset, file.tell() - offset, crc)


def _encoded_parts(raw: RawTensor, shape: tuple[int, ...]) -> Iterator[U8]:
    if len(shape) == 1:
        yield np.ascontiguousarray(raw.values(0, shape[0])).view(np.uint8)
        return
    starts = range(0, shape[0], _PACK_ROWS)
    with ThreadPoolExecutor() as pool:
        yield from pool.map(
            lambda first: pack_records(raw.blocks(first, first + _PACK_ROWS)), starts
        )


def _remove_superseded(path: Path, source: str) -> None:
    """Delete packed forms of the same GGUF that its change or an older layout left behind."""
    key = path.stem.rpartition("-v")[0]
    for other in path.parent.glob("*.spark"):
        stale = other.stem.rpartition("-v")[0] == key
        if not stale:
            with contextlib.suppress(WeightsError):
                stale = PackedFile(other).header.source == source
        if stale and other != path:
            with contextlib.suppress(OSError):
                other.unlink()


def _read_header(path: Path, data: mmap.mmap) -> Header:
    if len(data) < _PREFIX.size:
        raise WeightsError(f"{path} is damaged: {len(data)} bytes hold no packed weights")
    magic, version, _, offset, length, digest = _PREFIX.unpack(data[: _PREFIX.size])
    if magic != _MAGIC:
        raise WeightsError(f"{path} holds no packed weights")
    if version != LAYOUT_VERSION:
        raise WeightsError(f"{path} has layout {version}, not {LAYOUT_VERSION}")
    encoded = data[offset : offset + length]
    if len(encoded) != length or hashlib.sha256(encoded).digest() != digest:
        raise WeightsError(f"{path} is damaged: its header fails its checksum")
    try:
        return msgspec.json.decode(encoded, type=Header)
    except msgspec.MsgspecError as error:
        raise WeightsError(f"{path} has a header of another version: {error}") from error
