from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from sparkcode.errors import WeightsError
from sparkcode.model.gguf_reader import BoundedReader
from sparkcode.model.weights import read_gguf

STRING, ARRAY, INT32 = 8, 9, 5


def file_with_array(item: int, count: int, content: bytes) -> bytes:
    """A GGUF file whose only key ``k`` is an array."""
    header = b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k"
    return header + struct.pack("<IIQ", ARRAY, item, count) + content


def test_fields_are_those_of_the_library(qwen_path: Path) -> None:
    mine, theirs = BoundedReader(qwen_path), gguf.GGUFReader(qwen_path)
    assert mine.fields.keys() == theirs.fields.keys()
    for name, field in theirs.fields.items():
        assert mine.fields[name].contents() == field.contents()
        assert mine.fields[name].types == field.types
    for one, other in zip(mine.tensors, theirs.tensors, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("item", [STRING, INT32])
def test_empty_arrays(tmp_path: Path, item: int) -> None:
    path = tmp_path / "empty.gguf"
    path.write_bytes(file_with_array(item, 0, bytes(64)))
    assert BoundedReader(path).fields["k"].contents() == []


@pytest.mark.parametrize(
    ("item", "count", "content"),
    [
        (STRING, 1, b""),
        (STRING, 2, struct.pack("<Q", 1) + b"a"),
        (STRING, 1, struct.pack("<Q", 2**62)),
        (STRING, 10**6, bytes(8 * 10)),
        (INT32, 10**6, bytes(4 * 10)),
        (ARRAY, 1, bytes(64)),
        (77, 1, bytes(64)),
    ],
)
def test_arrays_that_are_no_arrays_are_refused(
    tmp_path: Path, item: int, count: int, content: bytes
) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(file_with_array(item, count, content))
    with pytest.raises(WeightsError, match=r"bad\.gguf is no usable GGUF file"):
        read_gguf(path)


def test_endless_headers_are_refused(qwen_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkcode.model.gguf_reader.MAX_ELEMENTS", 100)
    with pytest.raises(WeightsError, match="its header has over 100 elements"):
        read_gguf(qwen_path)
