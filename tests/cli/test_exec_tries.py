"""``exec`` beyond one answer: checks and tries, and a model that uses tools."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from tests.cli.exec_answers import CALC, DIFF, FIXED, lines, run


def test_an_answer_with_faults_is_asked_for_again(folder: Path, url: str) -> None:
    status, stdout, stderr = run("Wrong", "--url", url, "-f", "calc.py", "--apply", "--json")
    assert status == 0
    assert (folder / "calc.py").read_text() == FIXED
    events = lines(stdout)
    tries = [event for event in events if event["type"] == "try"]
    assert tries[0]["faults"] == ["the name 'undefined' is not defined"]
    assert [row["chosen"] for row in events[-1]["tries"]][:2] == [False, True]
    (replaced,) = [event for event in events if event["type"] == "patch.replaced"]
    assert "+    return a + b" in replaced["patch"]
    assert "try 1: the name 'undefined' is not defined" in stderr


def test_an_answer_is_mended_before_it_is_judged(folder: Path, url: str) -> None:
    status, stdout, stderr = run("Root", "--url", url, "-f", "calc.py", "--apply", "--json")
    assert status == 0
    text = CALC.replace("a - b", "math.sqrt(a)", 1)
    assert (folder / "calc.py").read_text() == f"import math\n\n\n{text}"
    assert stderr.startswith("mended: added import math\n")
    events = lines(stdout)
    assert [row["mended"] for row in events[-1]["tries"]] == [["added import math"]]
    assert [event["faults"] for event in events if event["type"] == "try"] == [[]]
    (replaced,) = [event for event in events if event["type"] == "patch.replaced"]
    assert "+import math" in replaced["patch"]


def test_what_is_mended_elsewhere_is_no_stray(folder: Path, url: str) -> None:
    status, _, stderr = run("Root", "--url", url, "-f", "calc.py:1-2", "--apply")
    assert (status, "outside" in stderr) == (0, False)
    assert (folder / "calc.py").read_text().startswith("import math\n")


def test_one_try_keeps_the_answer_and_says_what_is_wrong(folder: Path, url: str) -> None:
    args = ("Wrong", "--url", url, "-f", "calc.py", "--apply", "--tries", "1")
    status, _, stderr = run(*args)
    assert status == 0
    assert "undefined" in (folder / "calc.py").read_text()
    assert "note: the edit may be wrong: the name 'undefined' is not defined" in stderr


def test_a_check_decides(folder: Path, url: str) -> None:
    (folder / "test.sh").write_text("grep -q 'a + b' calc.py || { echo E not added; exit 1; }\n")
    args = ("Tested", "--url", url, "-f", "calc.py", "--apply", "--check", "sh test.sh")
    status, _, stderr = run(*args)
    assert status == 0
    assert (folder / "calc.py").read_text() == FIXED
    assert "try 1: the check failed: E not added" in stderr


def test_nothing_is_written_when_no_answer_passes_the_check(folder: Path, url: str) -> None:
    args = ("Add", "--url", url, "-f", "calc.py", "--apply", "--check", "echo E never; false")
    status, _, stderr = run(*args, "--tries", "2")
    assert status == 1
    assert (folder / "calc.py").read_text() == CALC
    assert stderr.splitlines()[-2] == (
        "error: no answer passes the check; the best: the check failed: E never"
    )
    assert stderr.splitlines()[1] == "try 2: the same"


def test_a_number_of_tries_that_is_none(folder: Path) -> None:
    with pytest.raises(click.UsageError):
        run("Add", "--tries", "0")


def test_a_model_that_uses_tools_edits_in_several_steps(folder: Path, url: str) -> None:
    args = ("/task Look twice", "--url", url, "--allow", "grep -c")
    status, stdout, stderr = run(*args, "--diff")
    assert status == 0
    assert stdout == f"{DIFF}--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+n\n"
    assert stderr.splitlines()[:3] == [
        "task in the whole folder",
        "searched /a - b/: 2 matches",
        "ran grep -c . calc.py: exit status 0",
    ]
    assert (folder / "calc.py").read_text() == CALC
    status, stdout, _ = run(*args, "--apply", "--json")
    lines = [json.loads(line) for line in stdout.splitlines()]
    kinds = [line["type"] for line in lines if line["type"] != "patch.delta"]
    assert kinds[:3] == ["turn.started", "tool", "tool"]
    (replaced,) = [line for line in lines if line["type"] == "patch.replaced"]
    assert replaced["patch"].count("*** Begin Patch") == 1
    assert [(row["path"], row["applied"]) for row in lines[-1]["files"]] == [
        ("calc.py", True),
        ("new.txt", True),
    ]
    assert ((folder / "calc.py").read_text(), (folder / "new.txt").read_text()) == (FIXED, "n\n")


def test_a_command_that_is_not_allowed_does_not_run(folder: Path, url: str) -> None:
    status, stdout, stderr = run("/task Look", "--url", url, "--diff")
    assert (status, stdout) == (0, DIFF)
    assert "not allowed: grep -c . calc.py" in stderr


def test_an_edit_whose_last_patch_does_not_fit_is_not_written(folder: Path, url: str) -> None:
    status, _, stderr = run("/task Look wrong", "--url", url, "--apply")
    assert status == 1
    assert "error: a later patch does not fit: Failed to find expected lines" in stderr
    assert (folder / "calc.py").read_text() == CALC
    status, stdout, stderr = run("/task Look wrong", "--url", url, "--diff")
    assert (status, stdout) == (0, DIFF)
    assert "note: a later patch does not fit" in stderr


def test_a_task_needs_another_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkcode.cli.reach import LateDialer
    from tests.assistant.server import Engine

    engine = Engine()
    engine.name = "spark"
    monkeypatch.setattr(LateDialer, "dial", lambda self: engine.dial())
    status, _, stderr = run("/task Rename it all", "--url", "http://127.0.0.1:1/v1")
    assert (status, "uses tools (--url)" in stderr) == (2, True)
