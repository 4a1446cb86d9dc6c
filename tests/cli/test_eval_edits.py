from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sparkcode.cli.eval_ import evaluate
from sparkcode.errors import EngineUnreachableError, UsageError, WorkspaceError

BEFORE = "def half(x):\n    return x\n"
TIMING = {"ttft": 0.001, "tokens_per_second": 5000}


def task(name: str, instruction: str) -> dict[str, Any]:
    return {
        "id": name,
        "klass": "bug",
        "instruction": instruction,
        "language": "python",
        "before": BEFORE,
        "region": [1, 2],
        "check": "tests",
        "tests": "assert half(3) == 1.5",
        "after": BEFORE.replace("return x", "return x / 2"),
    }


def patch(name: str, line: str) -> str:
    body = f"@@\n def half(x):\n-    return x\n+    {line}"
    return f"*** Begin Patch\n*** Update File: {name}.py\n{body}\n*** End Patch\n"


TASKS = [task("right", "Halve"), task("wrong", "Double"), task("none", "Talk")]
SCRIPT = [
    {"match": "Halve", "patch": patch("right", "return x / 2")},
    {"match": "Double", "patch": patch("wrong", "return x * 2")},
    {"match": "", "reply": "I would rather not."},
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name, lines in (("tasks.jsonl", TASKS), ("script.jsonl", [TIMING | s for s in SCRIPT])):
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def invoke(*words: str) -> Result:
        words = ("edits", *words)
        return CliRunner().invoke(evaluate, list(words), standalone_mode=False)

    return invoke


SCRIPTED = ("--data", "tasks.jsonl", "--engine", "scripted", "--script", "script.jsonl")


def test_every_task_is_carried_out_and_checked(run: Any, tmp_path: Path) -> None:
    result = run(*SCRIPTED, "--json", "--out", "answers.jsonl")
    facts = json.loads(result.stdout)
    assert (facts["n"], facts["passed"], facts["applied"]) == (3, 1, 2)
    assert facts["per_class"] == {"bug": {"n": 3, "passed": 1}}
    assert (facts["untouched"], facts["untouched_of"]) == (2, 2)
    assert facts["mean_ttft"] > 0
    assert facts["mean_tokens_per_second"] > 0
    assert [(row["id"], row["reason"]) for row in facts["failures"]] == [
        ("wrong", "AssertionError (assert half(3) == 1.5)"),
        ("none", "I would rather not."),
    ]
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [(row["id"], row["passed"]) for row in rows] == [
        ("right", True),
        ("wrong", False),
        ("none", False),
    ]
    assert rows[0]["text"] == TASKS[0]["after"]
    assert "+    return x / 2" in rows[0]["diff"]
    assert rows[2]["diff"] == ""


def test_failures_are_shown_with_their_diffs(run: Any) -> None:
    result = run(*SCRIPTED, "--limit", "2")
    assert "--- wrong: AssertionError (assert half(3) == 1.5)\nDouble\n" in result.stdout
    assert "+    return x * 2" in result.stdout
    assert "bug    1 of 2\n" in result.stdout
    assert "1 of 2 passed, 2 applied; other lines as they were in 2 of 2\n" in result.stdout
    assert "1 of 2: right: passed" in result.stderr


def test_what_cannot_be_used_is_said_before_an_engine_starts(run: Any, tmp_path: Path) -> None:
    assert isinstance(run("--data", "absent").exception, WorkspaceError)
    assert isinstance(run(*SCRIPTED, "--out", "no/such/folder").exception, UsageError)
    gone = run("--data", "tasks.jsonl", "--url", "http://127.0.0.1:9/v1")
    assert isinstance(gone.exception, EngineUnreachableError)
