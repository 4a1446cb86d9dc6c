from __future__ import annotations

import errno
import os
import shutil
import struct
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from sparkcode.errors import WeightsError
from sparkcode.model.ggml import EXACT_KINDS, READABLE
from sparkcode.model.kinds import kind_of, role_of
from sparkcode.model.memory import Room
from sparkcode.model.packed import LAYOUT_VERSION
from sparkcode.model.packing import open_packed, packed_path
from sparkcode.model.weights import read_gguf
from tests.model.test_packed import overwrite
from tests.model.tiny import TinyModel

Usage = namedtuple("Usage", "total used free")  # as shutil.disk_usage gives


def leftovers(root: Path) -> list[str]:
    """Everything in the cache but the lock's file."""
    return [path.name for path in (root / "packed").iterdir() if path.name != ".lock"]


@pytest.mark.parametrize("encoding", sorted(READABLE))
def test_every_encoding_keeps_its_values(tmp_path: Path, encoding: str) -> None:
    tiny = TinyModel(hidden=256, feed_forward=256, layers=1, encoding=Type[encoding], tied=False)
    path = tiny.write(tmp_path / "model.gguf")
    packed = open_packed(path, cache_root=tmp_path, say=lambda _: None)
    for tensor in gguf.GGUFReader(path).tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        if expected.ndim == 1:
            np.testing.assert_array_equal(packed.vector(tensor.name), expected)
            continue
        matrix = packed.matrix(tensor.name)
        role = role_of(tensor.name)
        assert matrix.kind == kind_of(tensor.tensor_type.name, role)
        exact = EXACT_KINDS.get(tensor.tensor_type.name) == matrix.kind
        tolerance = 0 if exact else {"q5": 1 / 8, "q6": 1 / 16, "q8": 1 / 64}[matrix.kind]
        off = np.abs(matrix.dense() - expected).reshape(-1, 32).max(axis=1)
        assert (off <= tolerance * np.abs(expected).reshape(-1, 32).max(axis=1)).all()


def test_packing_happens_once(qwen_path: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert said == ["packing tiny-qwen.gguf for quick starts"]
    second = open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert len(said) == 1
    assert first.header == second.header
    assert first.path.name.endswith(f"-v{LAYOUT_VERSION}.spark")
    assert all(entry.offset % 64 == 0 for entry in first.header.tensors.values())
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [
        ".lock",
        first.path.name,
    ]
    model = read_gguf(qwen_path)
    assert (first.header.config, first.header.vocabulary) == (model.config, model.vocabulary)


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
    said: list[str] = []
    open_packed(qwen_path, cache_root=tmp_path, say=said.append)
    assert said == ["packing tiny-qwen.gguf again: the packed form is of an older version"]
    assert not older.exists()


def test_what_killed_processes_left_is_removed(qwen_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "a.part").touch()
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert not (folder / "a.part").exists()


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    wrong = TinyModel(tokenizer="llama").write(tmp_path / "wrong.gguf")
    with pytest.raises(WeightsError, match="tokenizer model 'llama' cannot be used"):
        open_packed(wrong, cache_root=tmp_path / "cache", say=lambda _: None)
    assert leftovers(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written_is_named(qwen_path: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=r"cannot write the packed weights .*packed"):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read the weights .*none\.gguf: No such file"):
        open_packed(tmp_path / "none.gguf", cache_root=tmp_path, say=lambda _: None)


def test_progress_is_told_up_to_the_end(qwen_path: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    packed = open_packed(
        qwen_path,
        cache_root=tmp_path,
        say=lambda _: None,
        progress=lambda done, total: told.append((done, total)),
    )
    total = sum(entry.nbytes for entry in packed.header.tensors.values())
    assert told == sorted(told)
    assert told[-1] == (total, total)


def test_an_interrupt_leaves_nothing(qwen_path: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None, progress=interrupt)
    assert leftovers(tmp_path) == []
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)


def test_a_disk_that_is_too_small_is_noticed_before(
    qwen_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 5, 5))
    with pytest.raises(WeightsError, match=r"packing 'tiny-qwen.gguf' needs .* 5 are free"):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fills_up_leaves_nothing(
    qwen_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WeightsError, match=f"cannot write .*: {os.strerror(code)}$"):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert leftovers(tmp_path) == []


def test_of_two_at_once_the_second_waits_and_packs_nothing(qwen_path: Path, tmp_path: Path) -> None:
    began, waits = Event(), Event()
    said: list[str] = []

    def hold(done: int, total: int) -> None:
        began.set()
        assert waits.wait(30)

    def note(line: str) -> None:
        said.append(line)
        waits.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(
            open_packed, qwen_path, cache_root=tmp_path, say=lambda _: None, progress=hold
        )
        assert began.wait(30)
        second = pool.submit(open_packed, qwen_path, cache_root=tmp_path, say=note)
        assert first.result(30).header == second.result(30).header
    assert said == ["waiting for another process that packs weights"]


def test_who_waited_in_vain_packs(qwen_path: Path, tmp_path: Path) -> None:
    began, waits = Event(), Event()

    def fail(done: int, total: int) -> None:
        began.set()
        assert waits.wait(30)
        raise OSError(errno.ENOSPC, "No space left on device")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(
            open_packed, qwen_path, cache_root=tmp_path, say=lambda _: None, progress=fail
        )
        assert began.wait(30)
        second = pool.submit(open_packed, qwen_path, cache_root=tmp_path, say=lambda _: waits.set())
        with pytest.raises(WeightsError, match="No space left on device"):
            first.result(30)
        assert second.result(30).path.exists()


def test_a_packed_file_is_used_where_nothing_can_be_written(
    qwen_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    (tmp_path / "packed" / ".lock").unlink()
    open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    assert not (tmp_path / "packed" / ".lock").exists()


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        (Type.F16, "blk.1.ffn_up.weight"),
        (Type.F16, "blk.0.attn_norm.weight"),
        (Type.F32, "token_embd.weight"),
    ],
)
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_weights_that_are_no_numbers_are_refused(
    tmp_path: Path, encoding: Type, name: str, bad: float
) -> None:
    path = TinyModel(encoding=encoding).write(tmp_path / "bad.gguf")
    tensor = next(t for t in gguf.GGUFReader(path, "r+").tensors if t.name == name)
    tensor.data.reshape(-1)[5] = bad
    with pytest.raises(WeightsError, match=f"tensor '{name}' holds NaN, infinity") as caught:
        open_packed(path, cache_root=tmp_path, say=lambda _: None)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("encoding", sorted(EXACT_KINDS))
def test_scales_that_are_no_numbers_are_refused(tmp_path: Path, encoding: str) -> None:
    tiny = TinyModel(hidden=256, feed_forward=256, layers=1, encoding=Type[encoding])
    path = tiny.write(tmp_path / "bad.gguf")
    tensors = gguf.GGUFReader(path, "r+").tensors
    tensor = next(t for t in tensors if t.name == "blk.0.ffn_gate.weight")
    tensor.data.reshape(-1)[:2] = np.array([np.inf], np.float16).view(np.uint8)
    with pytest.raises(WeightsError, match=r"tensor 'blk\.0\.ffn_gate\.weight' holds NaN"):
        open_packed(path, cache_root=tmp_path, say=lambda _: None)


@pytest.mark.parametrize("packed_before", [False, True])
def test_a_model_larger_than_memory_is_refused(
    qwen_path: Path, tmp_path: Path, packed_before: bool
) -> None:
    if packed_before:
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None)
    with pytest.raises(WeightsError, match=r"'tiny-qwen.gguf' needs 0.2 GB of memory, 0.1 GB are"):
        open_packed(
            qwen_path, cache_root=tmp_path, say=lambda _: None, room=Room(available=100_000_000)
        )
    assert len(leftovers(tmp_path)) == packed_before


def test_a_model_that_fits_is_opened(qwen_path: Path, tmp_path: Path) -> None:
    for _ in range(2):
        open_packed(qwen_path, cache_root=tmp_path, say=lambda _: None, room=Room(available=10**9))
