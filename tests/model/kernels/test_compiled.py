from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from llvmlite import ir

from sparkcode.model.kernels.compiled import CompiledModule, KernelError
from sparkcode.model.kernels.vocabulary import I64, Emitter


def double() -> str:
    """``double(address)``: doubles the integer there; runs on any processor."""
    module = ir.Module("test")
    e = Emitter(module, "double", 1)
    (address,) = e.arguments
    e.store(e.mul(e.load(I64, address), 2), address)
    e.finish()
    return str(module)


def compiled(folder: Path, said: list[str], text: str = "") -> CompiledModule:
    return CompiledModule(text or double(), cpu="", folder=folder, name="test", say=said.append)


def run(module: CompiledModule) -> int:
    value = ctypes.c_int64(21)
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64)(module.address("double"))
    function(ctypes.addressof(value))
    return value.value


def test_machine_code_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "kernels"
    assert run(compiled(folder, said)) == 42
    assert said == ["compiling the test kernels (once)"]
    assert run(compiled(folder, said)) == 42
    assert len(said) == 1
    assert compiled(folder, said).address("halve") == 0
    assert [file.suffix for file in folder.iterdir()] == [".o"]


def test_another_text_is_compiled_anew(tmp_path: Path) -> None:
    said: list[str] = []
    compiled(tmp_path, said)
    compiled(tmp_path, said, double().replace("double", "twice"))
    assert len(said) == len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"short", bytes(4000)])
def test_damaged_code_is_compiled_again(tmp_path: Path, damage: bytes) -> None:
    said: list[str] = []
    compiled(tmp_path, said)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert run(compiled(tmp_path, said)) == 42
    assert run(compiled(tmp_path, said)) == 42
    assert len(said) == 2


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    said: list[str] = []
    for _ in range(2):
        assert run(compiled(tmp_path / "file" / "kernels", said)) == 42
    assert len(said) == 2


def test_a_text_that_has_to_be_made_first_is_made_once(tmp_path: Path) -> None:
    made: list[str] = []

    def text() -> str:
        made.append("text")
        return double()

    for _ in range(2):
        module = CompiledModule(
            text, cpu="", folder=tmp_path, name="test", say=lambda _: None, check=lambda _: None
        )
        assert run(module) == 42
    assert len(made) == 1


def test_code_that_proves_wrong_is_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KernelError, match=r"^double of the test kernels gives wrong results"):
            CompiledModule(
                double(),
                cpu="",
                folder=tmp_path,
                name="test",
                say=lambda _: None,
                check=lambda address: "double" if address("double") else None,
            )
    assert not list(tmp_path.iterdir())
