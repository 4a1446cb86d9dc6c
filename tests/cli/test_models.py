from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sparkcode.cli.models import models
from sparkcode.errors import UsageError, WeightsError
from sparkcode.model import catalogue
from tests.model.places import DATA, ENTRY

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the group on a catalogue whose default is one tiny model, with an empty cache."""
    other = "qwen2.5-coder-0.5b"
    known = {catalogue.DEFAULT_MODEL: ENTRY, other: catalogue.find_entry(other)}
    monkeypatch.setattr(catalogue, "load_catalogue", lambda: known)
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path / "cache"))

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(models, list(words))

    return invoke


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(DATA)
    return path


def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models" / ENTRY.file


def test_list(run: Run, tmp_path: Path, mine: Path) -> None:
    run("pull", "--from", str(mine))
    first, second = run("list").stdout.splitlines()
    assert first.split()[:5] == ["tiny", "0", "MB", "present", "Apache-2.0"]
    assert str(cached(tmp_path)) in first
    assert second.split()[:5] == ["qwen2.5-coder-0.5b", "491", "MB", "absent", "Apache-2.0"]


def test_list_marks_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path))
    lines = CliRunner().invoke(models, ["list"]).stdout.splitlines()
    assert [line.split()[0] for line in lines if "(default; " in line] == [catalogue.DEFAULT_MODEL]


def test_list_as_json(run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("list", "--json").stdout)
    assert answer["folder"] == str(tmp_path / "cache" / "models")
    assert answer["models"][0] == {
        "name": "tiny",
        "default": False,
        "file": "tiny.gguf",
        "bytes": 300_000,
        "sha256": ENTRY.sha256,
        "present": False,
        "path": str(cached(tmp_path)),
        "licence": "Apache-2.0",
        "note": "for tests",
    }


def test_pull_says_who_served(run: Run, tmp_path: Path, mine: Path) -> None:
    result = run("pull", "spark", "--from", str(mine))
    assert result.exit_code == 0
    assert result.stdout == f"tiny: copied from the file: {cached(tmp_path)}\n"
    assert "300.0/300.0 kB" in result.stderr
    assert cached(tmp_path).read_bytes() == DATA


def test_pull_again(run: Run, tmp_path: Path, mine: Path) -> None:
    run("pull", "--from", str(mine))
    assert run("pull", "spark", "spark").stdout == f"tiny: already here: {cached(tmp_path)}\n"


def test_pull_if_absent(run: Run, mine: Path) -> None:
    assert run("pull", "--if-absent", "--from", str(mine)).stdout != ""
    assert run("pull", "--if-absent").stdout == ""


def test_pull_from_one_file_for_two_models(run: Run, mine: Path) -> None:
    result = run("pull", "spark", "qwen2.5-coder-0.5b", "--from", str(mine))
    assert isinstance(result.exception, UsageError)
    assert "is one file, but 2 models are named" in str(result.exception)


def test_pull_from_a_wrong_file(run: Run, mine: Path) -> None:
    mine.write_bytes(b"no weights")
    result = run("pull", "--from", str(mine))
    assert isinstance(result.exception, WeightsError)
    assert "has 10 bytes, tiny has 300,000" in str(result.exception)
    assert result.stdout == ""


def test_pull_of_an_unknown_model(run: Run) -> None:
    result = run("pull", "gpt-9")
    assert isinstance(result.exception, UsageError)
    assert "'gpt-9'" in str(result.exception)


def test_verify(run: Run, tmp_path: Path, mine: Path) -> None:
    run("pull", "--from", str(mine))
    for words in (["verify"], ["verify", "spark"]):
        result = run(*words)
        assert result.exit_code == 0
        assert result.stdout == f"tiny: ok: {cached(tmp_path)}\n"


@pytest.mark.parametrize("damage", [DATA[:-1], bytes(len(DATA))])
def test_verify_finds_damage(run: Run, tmp_path: Path, mine: Path, damage: bytes) -> None:
    run("pull", "--from", str(mine))
    cached(tmp_path).write_bytes(damage)
    result = run("verify", "spark", "qwen2.5-coder-0.5b")
    assert isinstance(result.exception, WeightsError)
    assert result.exception.exit_code == 1
    assert "tiny is damaged, qwen2.5-coder-0.5b is absent" in str(result.exception)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["damaged:", "absent:"]


def test_verify_of_an_empty_cache(run: Run) -> None:
    result = run("verify")
    assert isinstance(result.exception, WeightsError)
    assert "no weights in" in str(result.exception)
