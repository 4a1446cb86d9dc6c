from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.replay.report import Report
from sparkcode.replay.runner import run_script
from sparkcode.replay.scene import Options
from sparkcode.replay.script import parse

LINES = """\
{"match": "first", "reply": "one two three", "ttft": 0.1}
{"match": "second", "reply": "never seen", "ttft": 5}
{"match": "third", "error": "the engine gave up"}
{"match": "fourth", "reply": "four", "ttft": 0.3}
"""


def play(tmp_path: Path, script: str) -> Report:
    (tmp_path / "e.jsonl").write_text(LINES)
    return run_script(parse(f"Set Script e.jsonl\n{script}", "t"), tmp_path, Options())


def test_each_turn_has_its_own_figures(tmp_path: Path) -> None:
    ask = 'Type "{}"\nEnter\n'
    report = play(
        tmp_path,
        ask.format("first")
        + "WaitTurn\n"
        + ask.format("second")
        + "Sleep 100ms\nEscape\n"
        + ask.format("third")
        + "WaitTurn\n"
        + ask.format("fourth")
        + "WaitTurn\n",
    )
    assert [turn.phase for turn in report.turns] == [
        "completed",
        "interrupted",
        "failed",
        "completed",
    ]
    assert [turn.tokens for turn in report.turns] == [3, 0, 0, 1]
    assert [turn.ttft for turn in report.turns] == [
        pytest.approx(0.1),
        None,
        None,
        pytest.approx(0.3),
    ]


def test_without_a_turn_there_is_none(tmp_path: Path) -> None:
    report = play(tmp_path, "Sleep 1s\nExpect ttft < 1s\n")
    assert report.turns == ()
    assert report.expectations[0].actual == "no wall ttft yet"
