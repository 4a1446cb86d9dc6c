from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sparkcode.bench.engine import Settings
from sparkcode.bench.machine import Target
from sparkcode.cli.bench import bench
from sparkcode.errors import UsageError, WeightsError, WorkspaceError
from tests.model.tiny import TinyModel


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run ``bench engine`` with measurements that only say what was asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # restored afterwards
    monkeypatch.setattr("sparkcode.bench.engine.bench_engine", report)
    monkeypatch.setattr("sparkcode.bench.report.table", lambda facts: [f"model {facts['model']}"])

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(bench, ["engine", *words], standalone_mode=False)

    return invoke


def report(target: Target, settings: Settings, _say: object) -> dict[str, Any]:
    return {
        "model": target.name,
        "threads": target.threads,
        "context": settings.context,
        "repeat": settings.repeat,
        "edits": len(settings.edits),
        "peer": list(settings.peer),
    }


def test_options_reach_the_measurement(run: Any, tmp_path: Path) -> None:
    path = str(TinyModel().write(tmp_path / "tiny.gguf"))
    words = ["--model", path, "--threads", "1", "--context", "9", "--repeat", "2", "--no-peer"]
    result = run(*words, "--json")
    assert json.loads(result.stdout) == {
        "model": "tiny", "threads": 1, "context": 9, "repeat": 2, "edits": 7, "peer": [],
    }  # fmt: skip
    assert "packing" in result.stderr
    assert run(*words).stdout == "model tiny\n"


def test_defaults_measure_the_peer_of_this_interpreter(run: Any, tmp_path: Path) -> None:
    path = str(TinyModel().write(tmp_path / "tiny.gguf"))
    facts = json.loads(run("--model", path, "--json").stdout)
    assert (facts["context"], facts["repeat"]) == (300, 5)
    assert facts["peer"][-1].endswith("llama_peer.py")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["--model", "gpt-9"], UsageError, "'gpt-9'"),
        (["--model", "./absent.gguf"], WeightsError, "no weights file"),
        (["--peer-python", "absent"], UsageError, "no Python interpreter at 'absent'"),
        (["--edits", "absent"], WorkspaceError, "cannot read the edits"),
    ],
)
def test_mistakes(run: Any, words: list[str], kind: type[Exception], said: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, kind)
    assert said in str(result.exception)


@pytest.mark.parametrize("option", ["--threads", "--context", "--repeat"])
def test_counts_are_at_least_one(run: Any, option: str) -> None:
    assert "is not in the range" in str(run(option, "0").exception)
