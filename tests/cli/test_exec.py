from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.unified import unified_diff
from sparkcode.cli.exec_output import figures
from tests.cli.exec_answers import CALC, DIFF, FIXED, SCRIPT, lines, run


def test_a_question_is_answered_on_stdout(folder: Path, url: str) -> None:
    assert run("What is it?", "--url", url) == (0, "It is a calculator.\n", "")


@pytest.mark.parametrize(
    ("flags", "reply"), [([], "answer\n"), (["--diff"], ""), (["--apply"], "edit\n")]
)
def test_a_question_mark_asks_unless_an_edit_is_asked_for(
    folder: Path, url: str, flags: list[str], reply: str
) -> None:
    assert run("Why?", "--url", url, "-f", "calc.py", *flags)[:2] == (0, reply)


def test_the_instruction_may_come_from_stdin(folder: Path, url: str) -> None:
    status, stdout, _ = run("-", "--url", url, "-f", "calc.py", stdin="Add, please\n")
    assert (status, stdout) == (0, DIFF)


@pytest.mark.parametrize("flags", [[], ["--diff"]])
def test_an_edit_is_shown_and_not_written(folder: Path, url: str, flags: list[str]) -> None:
    status, stdout, stderr = run("Add", "--url", url, "-f", "calc.py:1-2", *flags)
    assert (status, stdout, stderr) == (0, DIFF, "not applied: calc.py (+1 -1)\n")
    assert (folder / "calc.py").read_text() == CALC


def test_a_rename_edits_every_given_file_with_the_name(folder: Path, url: str) -> None:
    (folder / "use.py").write_text("import calc\n\nprint(calc.add(1, 2))\n")
    (folder / "other.py").write_text("pass\n")
    files = [each for name in ("calc.py", "other.py", "use.py") for each in ("-f", name)]
    status, _, stderr = run("Rename add to plus", "--url", url, *files, "--apply")
    assert (status, stderr.splitlines()[0]) == (0, "edits calc.py:1-6; use.py:3-3")
    assert (folder / "calc.py").read_text() == CALC.replace("add", "plus")
    assert "calc.plus(1, 2)" in (folder / "use.py").read_text()


def test_a_long_file_is_narrowed_to_what_is_named_and_a_range_is_not(
    folder: Path, url: str
) -> None:
    (folder / "long.py").write_text("x = 0\n\ndef f1():\n    pass\n" + "\n" * 200)
    found = run("Name f1() well", "--url", url, "-f", "long.py", "--tries", "1")
    assert found == (0, "narrowed\n", "edits long.py:3-4\n")
    whole = run("Name f1() well", "--url", url, "-f", "long.py:1-204", "--tries", "1")
    assert (whole[0], whole[2]) == (0, "")


def test_diff_prints_nothing_else(folder: Path, url: str) -> None:
    found = run("What is it?", "--url", url, "--diff")
    assert found == (0, "", "no edit: It is a calculator.\n")
    assert run("Hush", "--url", url, "--diff") == (0, "", "no edit\n")


def test_a_new_file(folder: Path, url: str) -> None:
    said = "new file new/box.py\n"
    status, stdout, stderr = run("/new new/box.py a box", "--url", url)
    added = "--- /dev/null\n+++ b/new/box.py\n@@ -0,0 +1 @@\n+class Box: ...\n"
    assert (status, stdout) == (0, added)
    assert stderr == f"{said}not applied: new/box.py (+1 -0)\n"
    found = run("/new new/box.py a box", "--url", url, "--apply")
    assert found == (0, "", f"{said}applied: new/box.py (+1 -0)\n")
    assert (folder / "new/box.py").read_text() == "class Box: ...\n"
    status, _, stderr = run("/new new/box.py a box", "--url", url)
    assert (status, stderr.startswith("'new/box.py' is there already")) == (2, True)


def test_tests_of_a_function(folder: Path, url: str) -> None:
    asked = ("Write tests for sub", "-f", "calc.py", "--url", url)
    assert run(*asked, "--apply") == (
        0, "", "tests for calc.py:5-6 in test_calc.py\napplied: test_calc.py (+1 -0)\n"
    )  # fmt: skip
    status, stdout, _ = run(*asked)
    assert (status, stdout.endswith(" import calc\n+def test_sub(): ...\n")) == (0, True)


@pytest.mark.parametrize("words", ["/explain", "Explain this"])
def test_lines_are_explained(folder: Path, url: str, words: str) -> None:
    found = run(words, "-f", "calc.py:1-2", "--url", url)
    assert found == (0, "It subtracts.\n", "explain calc.py:1-2\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("/improve it", "there is no command /improve; there are /edit, /ask"),
        ("/new a.py", "/new needs a path and what the file is to hold"),
        ("/edit", "/edit needs words behind it"),
        ("/new ../a.py a box", "outside"),
        ("/test", "nothing is open"),
    ],
)
def test_commands_that_cannot_be_carried_out(
    folder: Path, url: str, words: str, reason: str
) -> None:
    status, stdout, stderr = run(words, "--url", url)
    assert (status in (1, 2), stdout) == (True, "")
    assert reason in stderr
    assert "\n" not in stderr


def test_apply_writes(folder: Path, url: str) -> None:
    status, stdout, stderr = run("Add", "--url", url, "-f", "calc.py", "--apply")
    assert (status, stdout, stderr) == (0, "", "applied: calc.py (+1 -1)\n")
    assert (folder / "calc.py").read_text() == FIXED


def test_the_last_json_line_is_a_contract(folder: Path, url: str) -> None:
    status, stdout, _ = run("Add", "--url", url, "-f", "calc.py:1-2", "--apply", "--json")
    events = lines(stdout)
    assert status == 0
    assert events[0] == {
        "type": "turn.started",
        "schema": 1,
        "instruction": "Add",
        "target": "calc.py:1-2",
        "reads": [],
    }
    assert "".join(e["delta"] for e in events if e["type"] == "patch.delta") == SCRIPT[0]["patch"]
    last = events[-1]
    assert list(last) == [
        "type",
        "schema",
        "engine",
        "model",
        "ttft",
        "tokens_per_second",
        "sim",
        "usage",
        "files",
        "tries",
    ]
    assert (last["type"], last["engine"], last["model"]) == (
        "turn.completed",
        "scripted",
        "scripted",
    )
    assert 0.01 <= last["ttft"] < 30
    assert last["tokens_per_second"] > 0
    # A busy server may put several tokens into one delta, whose stamp is the last one's.
    assert set(last["sim"]) == {"ttft", "tokens_per_second"}
    assert 0.01 <= last["sim"]["ttft"] <= 0.2
    assert last["sim"]["tokens_per_second"] == pytest.approx(200, rel=0.05)
    assert set(last["usage"]) == {"input_tokens", "cached_tokens", "output_tokens"}
    assert last["usage"]["output_tokens"] > 5
    assert last["files"] == [{"path": "calc.py", "applied": True, "added": 1, "removed": 1}]


def test_json_of_a_question(folder: Path, url: str) -> None:
    _, stdout, _ = run("What is it?", "--url", url, "--json")
    events = lines(stdout)
    assert {e["type"] for e in events} == {"turn.started", "text.delta", "turn.completed"}
    text = "".join(e["delta"] for e in events if e["type"] == "text.delta")
    assert text == "It is a calculator."
    assert events[-1]["files"] == []


@pytest.mark.parametrize("name", ["Misfit", "Escape"])
def test_an_edit_that_cannot_be_applied_fails(folder: Path, url: str, name: str) -> None:
    victim = folder.parent / "victim.py"
    status, stdout, stderr = run(name, "--url", url, "-f", "calc.py", "--apply", "--json")
    events = lines(stdout)
    assert status == 1
    assert events[-2]["type"] == "error"
    assert all(not row["applied"] for row in events[-1]["files"])
    assert stderr.startswith("try 1: ")
    assert stderr.splitlines()[-1].startswith("error: ")
    assert stderr.count("\n") == 5
    assert (folder / "calc.py").read_text() == CALC
    assert not victim.exists()


def test_a_failed_turn(folder: Path, url: str) -> None:
    status, stdout, stderr = run("Break", "--url", url)
    assert (status, stdout) == (1, "I will\n")
    assert "the engine gave up" in stderr
    status, stdout, _ = run("Break", "--url", url, "--json")
    assert lines(stdout)[-1]["type"] == "turn.failed"
    assert "gave up" in lines(stdout)[-1]["error"]


def test_a_turn_has_a_time_limit(folder: Path, url: str) -> None:
    status, _, stderr = run("Slow", "--url", url, "--timeout", "0.3")
    assert (status, stderr) == (1, "error: no whole answer within 0.3 s\n")


def test_a_file_that_may_not_be_written(folder: Path, url: str) -> None:
    (folder / "calc.py").chmod(0o444)
    status, _, stderr = run("Add", "--url", url, "-f", "calc.py", "--apply")
    assert status == 1
    assert "'calc.py' is read-only" in stderr
    assert (folder / "calc.py").read_text() == CALC


def test_an_edit_outside_its_range_is_noted(folder: Path, url: str) -> None:
    status, stdout, stderr = run("Add", "--url", url, "-f", "calc.py:5-6", "--json")
    assert status == 0
    assert stderr.startswith("note: the edit changes lines outside calc.py:5-6\n")
    assert lines(stdout)[-2]["type"] == "note"


def test_an_edit_outside_its_range_is_written_only_when_that_is_allowed(
    folder: Path, url: str
) -> None:
    command = ["Add", "--url", url, "-f", "calc.py:5-6", "--apply"]
    status, _, stderr = run(*command)
    assert status == 1
    assert "nothing is written (--anywhere allows it)" in stderr
    assert (folder / "calc.py").read_text() == CALC
    assert run(*command, "--anywhere")[0] == 0
    assert (folder / "calc.py").read_text() == FIXED


def test_without_a_named_file_an_edit_may_go_anywhere(folder: Path, url: str) -> None:
    status, _, stderr = run("Add", "--url", url, "--apply")
    assert (status, stderr) == (0, "applied: calc.py (+1 -1)\n")
    assert (folder / "calc.py").read_text() == FIXED


@pytest.mark.parametrize(
    ("spec", "reason"),
    [("", "needed"), ("calc.py:abc", "no range of lines"), ("calc.py:4-", "no range of lines")],
)
def test_a_range_that_is_none(folder: Path, spec: str, reason: str) -> None:
    status, _, stderr = run("Add", "--url", "http://127.0.0.1:9/v1", "-f", spec)
    assert (status, reason in stderr) == (2, True)


def test_lines_are_counted_in_the_diff_and_not_in_the_patch(folder: Path, url: str) -> None:
    status, _, stderr = run("Again", "--url", url, "-f", "calc.py")
    assert (status, stderr) == (0, "not applied: calc.py (+1 -1)\n")


@pytest.mark.parametrize(
    ("before", "after"), [(b"a\r\nb\r\nc", b"a\r\nB\r\nc"), (b"a\nb\nc\n", b"a\nB\nc\n")]
)
def test_endings_stay(folder: Path, url: str, before: bytes, after: bytes) -> None:
    (folder / "calc.py").write_bytes(before)
    assert run("Windows", "--url", url, "-f", "calc.py", "--apply")[0] == 0
    assert (folder / "calc.py").read_bytes() == after


@pytest.mark.parametrize(
    "files", [["calc.py", "notes.md"], ["notes.md", "calc.py:1-2"], ["calc.py:1", "notes.md:1-1"]]
)
def test_targets_come_before_context(folder: Path, url: str, files: list[str]) -> None:
    (folder / "notes.md").write_text("n\n")
    args = [part for file in files for part in ("-f", file)]
    assert run("two files", "--url", url, *args)[1] == "both\n"


def test_a_reader_that_went_away_is_no_traceback(folder: Path, url: str) -> None:
    command = [sys.executable, "-m", "sparkcode", "exec", "What?", "--json", "--url", url]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_file_that_looks_like_a_range(folder: Path, url: str) -> None:
    (folder / "odd:3-1").write_text("x\n")
    assert run("What?", "--url", url, "-f", "odd:3-1")[0] == 0


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ([" "], 2, "the instruction is empty"),
        (["x", "-f", "calc.py:9-3"], 2, "lines 9-3 are no range"),
        (["x", "-f", "calc.py:0-3"], 2, "lines 0-3 are no range"),
        (["x", "-f", "calc.py:3-99"], 2, "which has 6 lines"),
        (["x", "-f", "calc.py", "-f", "./calc.py"], 2, "named twice"),
        (["x", "-f", "../none.py"], 1, "outside the workspace"),
        (["x", "-f", "none.py"], 1, "does not exist"),
        (["x", "--apply", "--diff"], 2, "exclude each other"),
        (["x", "--script", "s"], 2, "--script needs --engine scripted"),
        (["x", "--url", "http://h", "--engine", "spark"], 2, "it excludes --engine"),
        (["x", "--url", "ftp://h"], 2, "no engine URL"),
        (["x", "--url", "http://127.0.0.1:1/v1"], 4, "no engine answers"),
        (["x", "--engine", "scripted", "--script", "none.jsonl"], 2, "none.jsonl"),
    ],
)
def test_what_goes_wrong_is_said_in_one_line(
    folder: Path, args: list[str], status: int, message: str
) -> None:
    code, stdout, stderr = run(*args)
    assert (code, stdout) == (status, "")
    assert message in stderr


def test_without_a_url_an_engine_is_started_and_stopped(folder: Path) -> None:
    (folder / "s.jsonl").write_text('{"match": "", "reply": "ours", "ttft": 0.01}\n')
    status, stdout, _ = run("x", "--engine", "scripted", "--script", "s.jsonl", "--json")
    assert status == 0
    assert lines(stdout)[-1]["engine"] == "scripted"


def socket_that_never_answers() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


@pytest.mark.parametrize("when", ["turn", "start"])
def test_ctrl_c_interrupts(folder: Path, url: str, when: str) -> None:
    command = [sys.executable, "-m", "sparkcode", "exec", "Slow", "--json"]
    silent = socket_that_never_answers()
    host = url if when == "turn" else f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    with (
        silent,
        subprocess.Popen(
            [*command, "--url", host], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout is not None
        if when == "turn":
            assert "turn.started" in child.stdout.readline()
        else:
            time.sleep(1.5)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=30)
        assert child.returncode == 130
        assert "Traceback" not in stderr


def test_an_answer_in_one_piece_has_the_rate_of_its_turn() -> None:
    stats = StreamStats(ttft=0.5, tokens=4, turn_rate=8.0, sim_ttft=0.1, sim_turn_rate=40.0)
    assert figures(stats) == {
        "ttft": 0.5,
        "tokens_per_second": 8.0,
        "sim": {"ttft": 0.1, "tokens_per_second": 40.0},
    }


@pytest.mark.parametrize(
    ("before", "after", "diff"),
    [
        (None, b"a\n", "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n"),
        (b"a\n", None, "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"),
        (
            b"a",
            b"b\n",
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n",
        ),
        (b"a\r\n", b"b\r\n", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\r\n+b\r\n"),
        (b"a\n", b"a\n", ""),
    ],
)
def test_unified_diff(before: bytes | None, after: bytes | None, diff: str) -> None:
    assert unified_diff("f", before, after) == diff
