from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sparkcode.cli.eval_ import evaluate
from sparkcode.errors import WorkspaceError
from tests.bench.support import python_that_runs
from tests.model.tiny import TinyModel


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``eval text`` with a tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # restored afterwards
    model = str(TinyModel().write(tmp_path / "tiny.gguf"))

    def invoke(*words: str) -> Result:
        words = ("text", *words, "--model", model, "--threads", "1")
        return CliRunner().invoke(evaluate, list(words), standalone_mode=False)

    return invoke


def test_a_text_longer_than_the_context(run: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the cat sat on the mat. " * 50)
    facts = json.loads(run("text", "--json").stdout)
    assert facts["tokens"] == 128
    assert facts["nll_per_token"] > 0
    assert set(facts) == {"model", "kernel", "tokens", "nll_per_token"}


def test_beside_another_kernel_and_the_peer(run: Any, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("the cat sat on the mat.")
    python = str(python_that_runs(tmp_path))
    options = ("text", "--against", "numpy", "--peer", "--peer-python", python)
    facts = json.loads(run(*options, "--json").stdout)
    assert facts["against"]["nll_per_token"] == pytest.approx(facts["nll_per_token"], rel=0.05)
    assert facts["against"]["top1_agreement"] > 0.5
    assert facts["peers"] == {"llama.cpp": {"nll_per_token": 1.5}}
    first, second, third = run(*options).stdout.splitlines()
    assert first.endswith(f"nats a token over {facts['tokens']} tokens")
    assert "with the numpy kernel; the same choice at" in second
    assert third == "1.5000 by llama.cpp"


@pytest.mark.parametrize(
    ("name", "data"), [("absent", None), ("empty", b""), ("bytes", b"\xff"), (".", None)]
)
def test_files_that_are_no_text(run: Any, tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    result = run(name)
    assert isinstance(result.exception, WorkspaceError)
    assert name in str(result.exception)
    assert result.stdout == ""
