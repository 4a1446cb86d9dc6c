from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkcode.assistant.sandbox import Limits
from sparkcode.bench.tasks import Task, builtin_tasks, judge, read_tasks, untouched
from sparkcode.errors import WorkspaceError

BEFORE = "def half(x):\n    return x\n\n\ndef same(x):\n    return x\n"
AFTER = BEFORE.replace("return x\n", "return x / 2\n", 1)


def task(**changes: Any) -> Task:
    facts: dict[str, Any] = {
        "id": "half",
        "instruction": "halve it",
        "language": "python",
        "before": BEFORE,
        "region": (1, 2),
        "check": "tests",
        "tests": "assert half(3) == 1.5\nassert 'def same' in SOURCE",
        "after": AFTER,
    }
    return Task(**{**facts, **changes})


@pytest.mark.parametrize("name", [one.id for one in builtin_tasks()])
def test_an_unedited_file_fails_its_check(name: str, tmp_path: Path) -> None:
    one = next(one for one in builtin_tasks() if one.id == name)
    assert not judge(one, one.before, tmp_path).passed


def test_tests_run_behind_the_edited_text(tmp_path: Path) -> None:
    assert judge(task(), AFTER, tmp_path).passed
    failed = judge(task(), BEFORE, tmp_path)
    assert failed.reason == "AssertionError (assert half(3) == 1.5)"
    broken = judge(task(), "def half(:", tmp_path)
    assert broken.reason.startswith("SyntaxError: ")
    silent = judge(task(tests="import sys; sys.exit(4)"), AFTER, tmp_path)
    assert silent.reason == "exit status 4"


def test_tests_that_never_end(tmp_path: Path) -> None:
    found = judge(task(tests="while True: pass"), AFTER, tmp_path, Limits(seconds=0.3))
    assert found.reason == "its tests were not done after 0.3 s"


def test_patterns(tmp_path: Path) -> None:
    tests = {"must": (r"return x / 2",), "must_not": (r"return x$",)}
    one = json.loads(json.dumps({"check": "contains", "tests": tests}))
    path = tmp_path / "tasks.jsonl"
    facts = {"id": "a", "instruction": "i", "language": "go", "before": "", "region": [1, 0]}
    path.write_text(json.dumps(facts | one))
    (read,) = read_tasks(path)
    assert read.path == "a.go"
    assert judge(read, "return x / 2", tmp_path).passed
    assert judge(read, "x", tmp_path).reason == "'return x / 2' is not found"
    assert judge(read, "return x / 2\nreturn x", tmp_path).reason == "'return x$' is found"


def test_lines_that_should_stay(tmp_path: Path) -> None:
    assert untouched(task(), AFTER) is True
    assert untouched(task(), AFTER.replace("x / 2", "x * 0.5")) is True
    assert untouched(task(), AFTER.replace("def same", "def other")) is False
    assert untouched(task(after=None), AFTER) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"check": "contains"}, "needs an object as 'tests'"),
        ({"tests": {"must": ["x"]}}, "needs a string as 'tests'"),
        ({"check": "contains", "tests": {}}, "neither 'must' nor 'must_not'"),
        ({"check": "contains", "tests": {"must": ["("]}}, "is no regular expression"),
        ({"check": "guess"}, "guess"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, change: Any, said: str) -> None:
    facts = {"id": "a", "instruction": "i", "language": "python", "before": "x", "region": [1, 1]}
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(facts | {"check": "tests", "tests": "x"} | change))
    with pytest.raises(WorkspaceError, match="line 1 is no edit: .*" + said.replace("(", "\\(")):
        read_tasks(path)


def test_one_id_for_one_task(tmp_path: Path) -> None:
    facts = {"id": "a", "instruction": "i", "language": "python", "before": "x", "region": [1, 1]}
    line = json.dumps(facts | {"check": "tests", "tests": "x"})
    path = tmp_path / "tasks.jsonl"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(WorkspaceError, match="names a task twice: 'a'"):
        read_tasks(path)
