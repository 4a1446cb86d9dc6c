from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import WeightsError
from sparkcode.model.packed import LAYOUT_VERSION, PackedFile
from sparkcode.model.packing import open_packed


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@given(st.data())
@settings(deadline=None, max_examples=20)
def test_truncated_files_are_refused(
    qwen_path: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.getbasetemp() / "truncated"
    whole = open_packed(qwen_path, cache_root=root, say=lambda _: None).path.read_bytes()
    path = root / "cut.spark"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(WeightsError, match=r"cut\.spark"):
        PackedFile(path)


def test_a_header_of_another_version_is_refused(qwen_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.spark"
    header = b'{"source": 1}'
    prefix = struct.pack(
        "<8sIIQQ32s", b"SPARKPK\0", LAYOUT_VERSION, 0, 64, len(header), sha256(header).digest()
    )
    path.write_bytes(prefix + header)
    with pytest.raises(WeightsError, match="has a header of another version"):
        PackedFile(path)


def test_damaged_tensors_fail_their_checksum(qwen_path: Path, tmp_path: Path) -> None:
    packed = open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    entry = packed.header.tensors["blk.1.ffn_up.weight"]
    overwrite(packed.path, entry.offset + 100, b"\xff\xff\xff")
    with pytest.raises(WeightsError, match=r"damaged: tensor 'blk\.1\.ffn_up\.weight' fails"):
        PackedFile(packed.path).matrix("blk.1.ffn_up.weight")


def test_a_vector_is_no_matrix(qwen_path: Path, tmp_path: Path) -> None:
    packed = open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    with pytest.raises(WeightsError, match=r"'output_norm\.weight' is a vector, not a matrix"):
        packed.matrix("output_norm.weight")
