from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sparkcode.cli.main import main

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sparkcode", "replay", *map(str, args)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "a.spark"
    file.write_text("Expect screen /F1/\nMark here\n")
    return file


def test_a_script_that_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, SCRIPTS / "interrupt.spark") == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("passed: 5 of 5 expectations hold\n")
    assert captured.err == ""


def test_json_is_one_object(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, script, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {"script", "clock", "passed", "seconds", "expectations", "turns", "marks"} <= set(report)
    assert (report["script"], report["clock"], report["passed"]) == ("a.spark", "virtual", True)
    assert report["failure"] is None


def test_an_expectation_that_fails_exits_with_3(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text("Expect screen /nowhere/\n")
    assert run(monkeypatch, script, "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["passed"] is False
    assert captured.err == (
        "error: a.spark:1: not on the screen: 'Expect screen /nowhere/'"
        " (1 of 1 expectations failed)\n"
    )


def test_a_wait_that_fails_exits_with_3(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text("Wait /nowhere/ 1s\n")
    assert run(monkeypatch, script) == 3
    assert "FAIL     1  Wait /nowhere/ 1s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [("Sing\n", "a.spark:1: unknown statement"), ("Set Workspace absent\nEnter\n", "no folder")],
)
def test_a_bad_script_exits_with_2(
    script: Path,
    text: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script.write_text(text)
    assert run(monkeypatch, script) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_an_absent_script_or_tape_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "absent.spark") == 2
    assert "cannot read the script" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path / "absent.sparklog") == 2
    assert "cannot read the tape" in capsys.readouterr().err


def test_a_speed_without_the_real_clock_exits_with_2(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, script, "--speed", "2") == 2
    assert "--clock real" in capsys.readouterr().err


def test_junit(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script.write_text("Expect screen /F1/\nExpect screen /nowhere/\n")
    assert run(monkeypatch, script, "--junit", tmp_path / "out.xml") == 3
    suite = ET.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_junit_that_cannot_be_written_exits_with_2(
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, script, "--junit", tmp_path / "absent" / "out.xml") == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_tape_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = tmp_path / "a.sparklog"
    lines = [
        '{"version":1,"app":"0.1.0","clock":"real","size":[80,24],"open":["a.py"],'
        '"files":{"a.py":"x = 1\\n"}}',
        '[0.1,"i","h"]',
        '[0.4,"x","0"]',
    ]
    tape.write_text("\n".join(lines) + "\n")
    assert run(monkeypatch, tape, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["script"], report["seconds"], report["turns"]) == ("a.sparklog", 0.5, [])


def test_a_tape_that_only_names_its_files_needs_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = tmp_path / "a.sparklog"
    tape.write_text('{"version":1,"app":"","clock":"real","size":[80,24],"open":["a.py"]}\n')
    assert run(monkeypatch, tape) == 2
    assert "--workspace" in capsys.readouterr().err
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.py").write_text("x = 1\n")
    assert run(monkeypatch, tape, "--workspace", tmp_path / "ws") == 0
