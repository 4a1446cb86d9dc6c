from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sparkcode.assistant import trial
from sparkcode.assistant.edit import Plan
from sparkcode.assistant.sandbox import Limits
from sparkcode.assistant.trial import CommandJudge, copy_workspace, told
from sparkcode.errors import WorkspaceError

LIMITS = Limits(seconds=10.0, memory_bytes=16 << 30)
BEFORE, AFTER = b"x = 1\n", b"x = 2\n"
PLAN = Plan({"a.py": BEFORE}, {"a.py": AFTER})


def judged(root: Path, command: str, plan: Plan = PLAN) -> list[str]:
    faults = asyncio.run(CommandJudge(command, root, LIMITS).judge(plan, "Make it 2."))
    return [fault.message for fault in faults]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_bytes(BEFORE)
    (root / "sub" / "b.txt").write_text("b\n")
    return root


def test_a_check_that_passes_with_the_edit_finds_no_fault(root: Path) -> None:
    assert judged(root, "grep -q 'x = 2' a.py && test -f sub/b.txt") == []
    assert (root / "a.py").read_bytes() == BEFORE


def test_what_a_failed_check_printed_is_told(root: Path) -> None:
    command = "echo before; echo 'E   assert 2 == 3'; echo 1 failed in 0.1s; exit 1"
    assert judged(root, command) == ["the check failed: E   assert 2 == 3 / 1 failed in 0.1s"]
    assert judged(root, "exit 3") == ["the check failed: exit status 3, and it printed nothing"]


def test_what_looking_finds_is_told_with_it(root: Path) -> None:
    plan = Plan({"a.py": BEFORE}, {"a.py": b"x = y\n"})
    assert judged(root, "echo no; exit 1", plan) == [
        "the check failed: no",
        "the name 'y' is not defined",
    ]


def test_what_the_check_writes_stays_in_the_copy(root: Path) -> None:
    assert judged(root, "echo 3 > a.py; rm sub/b.txt; echo new > c.py") == []
    assert (root / "a.py").read_bytes() == BEFORE
    assert sorted(path.name for path in root.rglob("*")) == ["a.py", "b.txt", "sub"]


def test_a_check_that_hangs_is_ended(root: Path) -> None:
    judge = CommandJudge("sleep 60", root, Limits(seconds=0.5, memory_bytes=16 << 30))
    assert judge.failure(PLAN) == "it was not done after 0.5 s"


def test_files_are_added_and_deleted(root: Path) -> None:
    plan = Plan({"a.py": BEFORE, "n/c.py": None}, {"a.py": None, "n/c.py": b"1\n"})
    assert judged(root, "test ! -e a.py && test -f n/c.py", plan) == []


def test_history_and_caches_stay_behind_and_packages_are_linked(root: Path, tmp_path: Path) -> None:
    for name in (".git", "__pycache__", "node_modules", ".venv"):
        (root / name).mkdir()
        (root / name / "file").write_text("1")
    (root / "run.sh").write_text("exit 0\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.py")
    os.mkfifo(root / "pipe")
    copy = tmp_path / "copy"
    copy_workspace(root, copy)
    names = sorted(path.name for path in copy.iterdir())
    assert names == [".venv", "a.py", "link", "node_modules", "run.sh", "sub"]
    assert (copy / "node_modules").is_symlink()
    assert (copy / "node_modules" / "file").read_text() == "1"
    assert (copy / "link").readlink() == Path("a.py")
    assert os.access(copy / "run.sh", os.X_OK)


def test_an_edit_through_a_link_does_not_reach_the_original(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_bytes(BEFORE)
    (root / "a.py").unlink()
    (root / "a.py").symlink_to(outside)
    assert judged(root, "grep -q 'x = 2' a.py") == []
    assert outside.read_bytes() == BEFORE


@pytest.mark.parametrize(("name", "most"), [("COPY_FILES", 2), ("COPY_BYTES", 3)])
def test_a_workspace_that_is_too_large(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(trial, name, most)
    with pytest.raises(WorkspaceError, match="too large to be copied"):
        copy_workspace(root, tmp_path / "copy")


def test_the_telling_lines_of_an_output() -> None:
    assert told("") == ""
    assert told("=====\n\x1b[31mwhat\x1b[0m\n-----\n") == "what"
    assert told("all good so far\nTypeError: no\nmore\n") == "TypeError: no"
    long = "\n".join(f"error {number} {'x' * 50}" for number in range(50))
    shown = told(long)
    assert len(shown) <= trial.TOLD_CHARACTERS
    assert shown.endswith(f"error 49 {'x' * 50}")
