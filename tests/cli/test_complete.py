from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkcode.cli.complete import complete
from tests.cli.scripted import alone, invoke, serving

CALC = "def half(x):\n    \n"

SCRIPT: list[dict[str, Any]] = [
    {"match": "broken.py", "reply": "", "error": "the engine gave up"},
    {"match": "slow.py", "reply": "never", "ttft": 60},
    {"match": "(?s)File: notes.md.*File: calc.py\nCursor: line 2 column 5", "reply": "read"},
    {"match": "calc.py\nCursor: line 2 column 5\n(.|\n)*line at the cursor", "reply": "one\ntwo"},
    {"match": "calc.py\nCursor: line 2 column 5", "reply": "y = x / 2\n    return y"},
    {"match": "windows.py\nCursor: line 1 column 2", "reply": "b\nc"},
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("engine"), SCRIPT) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "notes.md").write_text("Halves.\n")
    (tmp_path / "windows.py").write_bytes(b"a\r\nz\r\n")
    (tmp_path / "broken.py").write_text("")
    (tmp_path / "slow.py").write_text("")
    alone(tmp_path, monkeypatch)
    return tmp_path


def run(*args: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    return invoke(complete, args)


@pytest.mark.parametrize("place", ["calc.py:2", "calc.py:2:5", "./calc.py:2:5"])
def test_the_text_and_nothing_else(folder: Path, url: str, place: str) -> None:
    assert run(place, "--url", url) == (0, "y = x / 2\n    return y", "")
    assert (folder / "calc.py").read_text() == CALC


def test_one_line(folder: Path, url: str) -> None:
    assert run("calc.py:2:5", "--url", url, "--line") == (0, "one", "")


def test_other_files_are_read(folder: Path, url: str) -> None:
    assert run("calc.py:2:5", "--url", url, "--context", "notes.md")[1] == "read"


def test_apply_inserts(folder: Path, url: str) -> None:
    status, stdout, stderr = run("calc.py:2:5", "--url", url, "--apply")
    assert (status, stdout, stderr) == (0, "", "applied: calc.py (22 characters)\n")
    assert (folder / "calc.py").read_text() == "def half(x):\n    y = x / 2\n    return y\n"


def test_endings_stay(folder: Path, url: str) -> None:
    assert run("windows.py:1:2", "--url", url, "--apply")[0] == 0
    assert (folder / "windows.py").read_bytes() == b"ab\r\nc\r\nz\r\n"


def test_the_json_is_a_contract(folder: Path, url: str) -> None:
    status, stdout, _ = run("calc.py:2", "--url", url, "--json", "--apply")
    row = json.loads(stdout)
    assert status == 0
    assert list(row) == [
        "type",
        "schema",
        "path",
        "line",
        "column",
        "text",
        "finish",
        "applied",
        "engine",
        "model",
        "ttft",
        "tokens_per_second",
        "sim",
        "usage",
    ]
    assert (row["type"], row["path"], row["line"], row["column"]) == ("completion", "calc.py", 2, 5)
    assert (row["text"], row["finish"]) == ("y = x / 2\n    return y", "stop")
    assert (row["engine"], row["model"], row["applied"]) == ("scripted", "scripted", True)
    assert 0.01 <= row["sim"]["ttft"] <= row["ttft"] + 0.2
    assert set(row["sim"]) == {"ttft", "tokens_per_second"}
    assert row["usage"]["output_tokens"] > 3


def test_a_limit_is_told(folder: Path, url: str) -> None:
    status, stdout, stderr = run("calc.py:2", "--url", url, "--json", "--max-tokens", "2")
    assert (status, json.loads(stdout)["finish"]) == (0, "length")
    assert "cut short" in stderr


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["calc.py"], 2, "'calc.py' names no place; it looks like app.py:12"),
        (["calc.py:x"], 2, "names no place"),
        (["calc.py:9"], 2, "line 9 is not in 'calc.py', whose lines are 1 to 3"),
        (["calc.py:2:9"], 2, "whose columns are 1 to 5"),
        (["none.py:1"], 1, "does not exist"),
        (["../none.py:1"], 1, "outside the workspace"),
        (["calc.py:2", "--context", "./calc.py"], 2, "it is the file to complete"),
        (["calc.py:2", "--context", "none.py"], 1, "does not exist"),
        (["calc.py:2", "--url", "http://127.0.0.1:1/v1"], 4, "no engine answers"),
        (["calc.py:2", "--script", "s"], 2, "--script needs --engine scripted"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    folder: Path, args: list[str], status: int, message: str
) -> None:
    code, stdout, stderr = run(*args)
    assert (code, stdout) == (status, "")
    assert message in stderr
    assert "\n" not in stderr


def test_a_failed_answer_writes_nothing(folder: Path, url: str) -> None:
    status, _, stderr = run("broken.py:1", "--url", url, "--apply")
    assert (status, "gave up" in stderr) == (1, True)
    assert (folder / "broken.py").read_text() == ""
    status, _, stderr = run("slow.py:1", "--url", url, "--timeout", "0.3")
    assert (status, stderr) == (1, "no whole answer within 0.3 s")


def test_a_file_that_may_not_be_written(folder: Path, url: str) -> None:
    (folder / "calc.py").chmod(0o444)
    status, _, stderr = run("calc.py:2", "--url", url, "--apply")
    assert (status, "'calc.py' is read-only" in stderr) == (1, True)


def test_without_a_url_an_engine_is_started_and_stopped(folder: Path) -> None:
    (folder / "s.jsonl").write_text('{"match": "", "reply": "ours", "ttft": 0.01}\n')
    args = ["calc.py:2", "--engine", "scripted", "--script", "s.jsonl"]
    assert run(*args)[:2] == (0, "ours")
