"""The packed file: a model's weights in the cache, laid out the way a kernel streams them.

A matrix is a sequence of **records**, one for each group of 16 rows and pair of 32-weight blocks:
first the scales of both blocks (``[2][16]`` 16-bit floats), for ``q4`` also the minima, then the
codes. A code vector of 64 bytes holds 16 rows x 4 weights, so a kernel that adds products of four
neighbours (``vpdpbusd``) needs no horizontal sum and reads one sequential stream. Vector ``j`` of a
block covers its weights ``4 j`` to ``4 j + 3``.

====  ============  ===========================================================================
kind  record bytes  codes of one record
====  ============  ===========================================================================
q4    640           ``[2][4][64]`` nibbles: vector ``2 i`` low, vector ``2 i + 1`` high
q5    704           the upper four bits as q4, then ``[2][8][8]`` bytes of lowest bits, one bit
                    a weight, in the order of the vector's bytes, least significant first
q8    1088          ``[2][8][64]`` bytes
====  ============  ===========================================================================

Rows are padded to 16 and columns to 64 with scale zero. The file::

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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec
import numpy as np

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import BLOCK, F16, F32, U8, Blocks, Kind
from sparkcode.model.tokenizer import Tokenizer, Vocabulary
from sparkcode.model.weights import ModelConfig, RawTensor, expected_tensors, read_gguf

LAYOUT_VERSION = 1
"""Raised whenever a file of the old layout could not be read as the new one."""

RECORD_BYTES: dict[Kind, int] = {"q4": 640, "q5": 704, "q8": 1088}
ROWS, COLUMNS = 16, 2 * BLOCK
"""Rows and weights of each that one record covers."""

_MAGIC = b"SPARKPK\0"
_PREFIX = struct.Struct("<8sIIQQ32s")
_ALIGNMENT = 64
_SCALE_BYTES = 64
_ZERO: dict[Kind, int] = {"q4": 0, "q5": 16, "q8": 128}
_PACK_ROWS = 1024
"""Rows packed at once: bounds the memory that packing needs."""
_DENSE_RECORDS = 256
"""Records expanded at once: keeps the intermediate arrays in the processor's cache."""
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


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix [N, K] as records; the memory is that of the mapped file."""

    kind: Kind
    shape: tuple[int, int]
    records: U8  # [N/16, K/64, record bytes]

    def dense(self) -> F32:
        """The whole matrix as float32 [N, K]."""
        groups, pairs, _ = self.records.shape
        values = np.empty((groups * ROWS, pairs * COLUMNS), np.float32)
        step = max(1, _DENSE_RECORDS // pairs)
        for first in range(0, groups, step):
            records = self.records[first : first + step]
            out = values[first * ROWS : (first + len(records)) * ROWS]
            codes = _code_vectors(records, self.kind)  # [G, P, 2, 8, 64]
            # Four neighbours move as one 32-bit word: [G, P, 2, 8, 16] -> [G, 16, P, 2, 8].
            words = codes.view(np.uint32).transpose(0, 4, 1, 2, 3)
            rows = np.ascontiguousarray(words).view(np.uint8)
            blocks = out.reshape(len(out), -1, BLOCK)  # [16 G, 2 P, 32], a view
            _scale(rows.reshape(blocks.shape), *_scales(records, self.kind), self.kind, blocks)
        return values[: self.shape[0], : self.shape[1]]

    def rows(self, ids: Sequence[int]) -> F32:
        """Some rows as float32: ids [T] -> [T, K]."""
        group, lane = np.divmod(np.asarray(ids, dtype=np.int64), ROWS)
        records = self.records[group]  # [T, P, bytes]
        count, pairs, _ = records.shape
        codes = _code_vectors(records, self.kind).reshape(count, pairs, 2, 8, ROWS, 4)
        mine = codes[np.arange(count), ..., lane, :].reshape(count, -1, BLOCK)  # [T, 2 P, 32]
        scales, minima = _scales(records, self.kind)  # [16 T, 2 P]
        own = np.arange(count) * ROWS + lane
        out = np.empty(mine.shape, np.float32)
        _scale(mine, scales[own], None if minima is None else minima[own], self.kind, out)
        return out.reshape(count, -1)[:, : self.shape[1]]


def pack_records(blocks: Blocks) -> U8:
    """Lay rows out as records: [N, K] codes -> [N/16, K/64, record bytes], rounded up."""
    pad_rows = -blocks.codes.shape[0] % ROWS
    pad_blocks = blocks.scales.shape[1] % 2
    codes = np.pad(blocks.codes, ((0, pad_rows), (0, pad_blocks * BLOCK)))
    groups, pairs = codes.shape[0] // ROWS, codes.shape[1] // COLUMNS
    vectors = (
        codes.reshape(groups, ROWS, pairs, 2, 8, 4)
        .transpose(0, 2, 3, 4, 1, 5)
        .reshape(groups, pairs, 2, 8, 64)
    )

    def interleave(halves: F16) -> U8:  # [N, K/32] -> [N/16, K/64, 64 bytes]
        padded = np.pad(halves, ((0, pad_rows), (0, pad_blocks)))
        by_block = padded.reshape(groups, ROWS, pairs, 2).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(by_block).view(np.uint8).reshape(groups, pairs, _SCALE_BYTES)

    parts = [interleave(blocks.scales)]
    if blocks.minima is not None:
        parts.append(interleave(blocks.minima))
    match blocks.kind:
        case "q4":
            parts.append(_join_nibbles(vectors))
        case "q5":
            parts.append(_join_nibbles(vectors >> np.uint8(1)))
            parts.append(np.packbits(vectors & np.uint8(1), axis=-1, bitorder="little"))
        case "q8":
            parts.append(vectors)
    return np.concatenate([part.reshape(groups, pairs, -1) for part in parts], axis=-1)


def _join_nibbles(vectors: U8) -> U8:  # [..., 8, 64] -> [..., 4, 64]
    return vectors[..., 0::2, :] | (vectors[..., 1::2, :] << np.uint8(4))


def _code_vectors(records: U8, kind: Kind) -> U8:
    """Codes of some records: [G, P, bytes] -> [G, P, 2, 8, 64], contiguous."""
    shape = (*records.shape[:2], 2, 8, 64)
    if kind == "q8":
        return np.ascontiguousarray(records[..., _SCALE_BYTES:]).reshape(shape)
    start = 2 * _SCALE_BYTES if kind == "q4" else _SCALE_BYTES
    packed = records[..., start : start + 512].reshape(*records.shape[:2], 2, 4, 64)
    codes = np.empty(shape, np.uint8)
    np.bitwise_and(packed, 15, out=codes[..., 0::2, :])
    np.right_shift(packed, 4, out=codes[..., 1::2, :])
    if kind == "q5":
        lowest = np.unpackbits(records[..., start + 512 :], axis=-1, bitorder="little")
        codes <<= np.uint8(1)
        codes |= lowest.reshape(shape)
    return codes


def _scales(records: U8, kind: Kind) -> tuple[F32, F32 | None]:
    """Scales and, for q4, minima of some records: [G, P, bytes] -> [16 G, 2 P]."""

    def by_row(start: int) -> F32:
        halves = np.ascontiguousarray(records[..., start : start + _SCALE_BYTES]).view(np.float16)
        groups, pairs = records.shape[:2]
        rows = halves.reshape(groups, pairs * 2, ROWS).transpose(0, 2, 1)
        return rows.astype(np.float32).reshape(groups * ROWS, pairs * 2)

    return by_row(0), by_row(_SCALE_BYTES) if kind == "q4" else None


def _scale(codes: U8, scales: F32, minima: F32 | None, kind: Kind, out: F32) -> None:
    """Codes [N, blocks, 32] to weights in ``out``, by the table in sparkcode.model.blocks."""
    signed = (codes - np.uint8(_ZERO[kind])).view(np.int8)  # wraps around, as it should
    np.multiply(signed, scales[..., None], out=out)
    if minima is not None:
        out -= minima[..., None]


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
        grid = (-(-rows // ROWS), -(-columns // COLUMNS), RECORD_BYTES[kind])
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
