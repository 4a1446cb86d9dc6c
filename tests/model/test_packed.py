from __future__ import annotations

import os
import struct
from hashlib import sha256
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import WeightsError
from sparkcode.model.packed import LAYOUT_VERSION, PackedFile, open_packed, packed_path
from sparkcode.model.weights import read_gguf
from tests.model.tiny import TinyModel


@pytest.mark.parametrize(
    ("encoding", "tolerance"),
    [
        (Type.Q8_0, 0),
        (Type.Q5_0, 0),
        (Type.Q4_0, 0),
        (Type.Q4_K, 0),
        (Type.Q6_K, 5e-3),
        (Type.Q4_1, 0),
        (Type.F16, 5e-3),
        (Type.BF16, 5e-3),
        (Type.F32, 5e-3),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_encoding_keeps_its_values(tmp_path: Path, encoding: Type, tolerance: float) -> None:
    tiny = TinyModel(hidden=256, feed_forward=256, layers=1, encoding=encoding, tied=False)
    path = tiny.write(tmp_path / "model.gguf")
    packed = open_packed(path, cache_root=tmp_path, say=lambda _: None)
    for tensor in gguf.GGUFReader(path).tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        if expected.ndim == 1:
            np.testing.assert_array_equal(packed.vector(tensor.name), expected)
            continue
        found = packed.matrix(tensor.name).dense()
        if tensor.tensor_type != encoding:
            continue
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_packing_happens_once(qwen_path: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert said == ["packing tiny-qwen.gguf for quick starts"]
    second = open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert len(said) == 1
    assert first.header == second.header
    assert first.path.name.endswith(f"-v{LAYOUT_VERSION}.spark")
    assert all(entry.offset % 64 == 0 for entry in first.header.tensors.values())
    assert [path.name for path in (tmp_path / "packed").iterdir()] == [first.path.name]
    model = read_gguf(qwen_path)
    assert (first.header.config, first.header.vocabulary) == (model.config, model.vocabulary)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize(
    ("offset", "content", "reason"),
    [
        (0, b"NOTSPARK", "holds no packed weights"),
        (8, struct.pack("<I", LAYOUT_VERSION + 1), f"has layout {LAYOUT_VERSION + 1}, not"),
        (16, struct.pack("<Q", 2**40), "its header fails its checksum"),
        (-30, b"\0\0", "its header fails its checksum"),
    ],
)
def test_damaged_files_are_built_again(
    qwen_path: Path, tmp_path: Path, offset: int, content: bytes, reason: str
) -> None:
    path = open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None).path
    whole = path.read_bytes()
    overwrite(path, offset % len(whole), content)
    said: list[str] = []
    open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert len(said) == 1
    assert reason in said[0]
    assert "packing the weights again" in said[0]
    assert path.read_bytes() == whole


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


def test_a_changed_model_replaces_its_packed_form(tmp_path: Path) -> None:
    path = TinyModel(seed=1).write(tmp_path / "model.gguf")
    other = TinyModel(seed=3).write(tmp_path / "other.gguf")
    kept = open_packed(other, cache_root=tmp_path, say=lambda _: None).path
    old = open_packed(path, cache_root=tmp_path, say=lambda _: None).path
    TinyModel(seed=2).write(path)
    os.utime(path, ns=(1, 1))
    (tmp_path / "packed" / "unreadable-v1.spark").write_bytes(b"?")
    new = open_packed(path, cache_root=tmp_path, say=lambda _: None).path
    assert new != old
    assert not old.exists()
    assert kept.exists()


def test_an_older_layout_of_the_same_file_is_removed(qwen_path: Path, tmp_path: Path) -> None:
    path = packed_path(qwen_path, tmp_path)
    path.parent.mkdir()
    older = path.with_name(path.name.replace(f"-v{LAYOUT_VERSION}", "-v0"))
    older.write_bytes(b"?")
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert not older.exists()


def test_what_killed_processes_left_is_removed(qwen_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    abandoned, fresh = folder / "a.part", folder / "b.part"
    abandoned.touch()
    fresh.touch()
    os.utime(abandoned, (1, 1))
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert not abandoned.exists()
    assert fresh.exists()


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    wrong = TinyModel(tokenizer="llama").write(tmp_path / "wrong.gguf")
    with pytest.raises(WeightsError, match="tokenizer model 'llama' cannot be used"):
        open_packed(wrong, cache_root=tmp_path / "cache", say=lambda _: None)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_named(qwen_path: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=r"cannot write the packed weights .*packed"):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read the weights .*none\.gguf: No such file"):
        open_packed(tmp_path / "none.gguf", cache_root=tmp_path, say=lambda _: None)
