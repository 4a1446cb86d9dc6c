"""The packed file: a model's tensors in the cache, with their checksums.

Matrices are records: :mod:`sparkcode.model.records` describes their bytes. The file::

    prefix   64 bytes: magic, layout version, header's offset, length and SHA-256
    tensors  each on a 64-byte boundary
    header   JSON: config, vocabulary, tensor table with a CRC-32 of each tensor

:mod:`sparkcode.model.packing` writes it under a temporary name and renames it, so a file that is
there is whole. One that was damaged later fails a check before any of it is used: the header when
the file is opened, a tensor when it is asked for. The checks read every byte, which costs a start
about as long as the pages take to come from the page cache (2 GB/s and thread).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import struct
import zlib
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import F32, U8, Kind
from sparkcode.model.records import PackedMatrix, record_grid
from sparkcode.model.tokenizer import Vocabulary
from sparkcode.model.weights import ModelConfig

LAYOUT_VERSION: Final = 2
"""Raised whenever a file of the old layout could not be read as the new one, or holds weights of
less quality than would be packed now."""

PREFIX_BYTES: Final = 64
ALIGNMENT: Final = 64
"""Tensors begin at a multiple of this, in bytes."""

_MAGIC = b"SPARKPK\0"
_PREFIX = struct.Struct("<8sIIQQ32s")


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
        if hasattr(mmap, "MADV_HUGEPAGE"):
            # Linux 5.18 and later then reads 2 MiB at once and maps them as one page, on file
            # systems with large folios: a stream of weights misses fewer translations.
            with contextlib.suppress(OSError):
                self._map.madvise(mmap.MADV_HUGEPAGE)
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


def seal(header: Header, offset: int) -> tuple[bytes, bytes]:
    """The prefix and the encoded header of a file whose header begins at byte ``offset``."""
    encoded = msgspec.json.encode(header)
    digest = hashlib.sha256(encoded).digest()
    return _PREFIX.pack(_MAGIC, LAYOUT_VERSION, 0, offset, len(encoded), digest), encoded


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
