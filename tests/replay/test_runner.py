from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import textual._time
from textual import events
from textual._wait import wait_for_idle
from textual.clock import Clock as TextualClock
from textual.notifications import Notification

from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import LoopClock
from sparkcode.engine.scripted import Rule, ScriptedEngine
from sparkcode.errors import ScriptError, UsageError
from sparkcode.link.tape import Tape, TapeRecord, read_tape
from sparkcode.replay.loops import InlineVirtualLoop
from sparkcode.replay.recording import Input, Key, Pasted, encode_input
from sparkcode.replay.report import Report, to_json
from sparkcode.replay.runner import (
    Hands,
    Take,
    WatchedApp,
    record,
    run_script,
    run_tape,
    textual_time,
)
from sparkcode.replay.scene import Options, read_script
from sparkcode.replay.script import parse
from sparkcode.replay.wire import MemoryWire

T = TypeVar("T")

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SLOW = Rule(match="slow", reply="word " * 400, ttft=0.1, tokens_per_second=100)
QUICK = Rule(reply="A quick answer.", ttft=0.05, tokens_per_second=1000)


def play(text: str, base: Path, **options: object) -> Report:
    return run_script(parse(text, "test.spark"), base, Options(**options))  # type: ignore[arg-type]  # the test's own keywords


def virtually(work: Coroutine[Any, Any, T]) -> T:
    with (
        asyncio.Runner(loop_factory=InlineVirtualLoop) as runner,
        textual_time(runner.get_loop().time),
    ):
        return runner.run(work)


# --- the scripts of the project -------------------------------------------------------------


@pytest.mark.parametrize("name", ["first_edit", "interrupt"])
def test_the_projects_scripts_pass_and_take_the_same_course(name: str) -> None:
    script = read_script(SCRIPTS / f"{name}.spark")
    first, *others = [to_json(run_script(script, SCRIPTS, Options())) for _ in range(3)]
    report = json.loads(first)
    assert report["passed"], report
    assert others == [first, first]
    assert (report["clock"], report["engine"]) == ("virtual", "scripted")


def test_an_edit_is_seen_while_it_streams() -> None:
    script = read_script(SCRIPTS / "first_edit.spark")
    report = run_script(script, SCRIPTS, Options())
    marks = {mark.name: mark for mark in report.marks}
    assert marks["first_lines"].time < marks["growing"].time < marks["whole"].time
    assert "cannot divide" not in marks["first_lines"].screen
    assert "Raises ValueError" in marks["first_lines"].screen
    (turn,) = report.turns
    assert turn.sim_ttft == pytest.approx(0.085)
    assert turn.ttft == pytest.approx(0.085, abs=0.004)


def test_an_interrupted_turn_keeps_its_figures() -> None:
    report = run_script(read_script(SCRIPTS / "interrupt.spark"), SCRIPTS, Options())
    stopped, next_one = report.turns
    assert (stopped.phase, next_one.phase) == ("interrupted", "completed")
    assert 0 < stopped.tokens < 400
    assert next_one.ttft == pytest.approx(0.06, abs=0.004)


# --- statements -----------------------------------------------------------------------------


def test_a_wait_that_fails_ends_the_script_and_shows_the_screen(tmp_path: Path) -> None:
    report = play("Wait /never/ 2s\nExpect screen /./\n", tmp_path)
    assert not report.passed
    assert report.expectations == ()
    assert report.failure is not None
    assert (report.failure.line, report.failure.source) == (1, "Wait /never/ 2s")
    assert "2 s" in report.failure.reason
    assert "sparkcode" in report.failure.screen
    assert report.seconds == pytest.approx(2)


def test_waiting_for_no_turn_fails_at_once(tmp_path: Path) -> None:
    report = play("WaitTurn\n", tmp_path)
    assert report.failure is not None
    assert "no turn" in report.failure.reason
    assert report.seconds < 1


def test_a_turn_that_takes_too_long_fails(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"reply": "hi", "ttft": 9}\n')
    report = play('Set Script e.jsonl\nType "go"\nEnter\nWaitTurn 1s\n', tmp_path)
    assert report.failure is not None
    assert "not over within 1 s" in report.failure.reason
    (turn,) = report.turns
    assert (turn.phase, turn.ttft, turn.tokens) == ("waiting", None, 0)


def test_an_expectation_that_fails_does_not_end_the_script(tmp_path: Path) -> None:
    report = play("Expect ttft <= 1s\nExpect screen /F1/\nExpect file x /a/\n", tmp_path)
    assert [verdict.passed for verdict in report.expectations] == [False, True, False]
    assert report.failure is None


def test_figures_are_the_newest_turns(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"reply": "a b c d", "ttft": 0.2}\n')
    text = (
        'Set Script e.jsonl\nType "go"\nEnter\nWaitTurn\n'
        "Expect ttft >= 200ms\nExpect ttft <= 210ms\nExpect toks > 900 sim\n"
    )
    report = play(text, tmp_path)
    assert report.passed, report.complaint


def test_keys_are_a_typists(tmp_path: Path) -> None:
    report = play('Type "a-B"\nSpace\nType "é"\nSleep 100ms\nExpect screen /a-B é/\n', tmp_path)
    assert report.passed, report.complaint
    assert report.seconds == pytest.approx(5 * 0.03 + 0.1)


def test_after_leaving_nothing_can_be_typed(tmp_path: Path) -> None:
    report = play('Sleep 1s\nCtrl+Q\nSleep 1s\nExpect screen /F1/\nType "x"\n', tmp_path)
    assert report.failure is not None
    assert report.failure.reason == "the screen has been left"
    assert report.expectations[0].passed


def test_a_screen_above_the_screen_is_seen_too(tmp_path: Path) -> None:
    report = play("F1\nExpect screen /Esc closes/\nEscape\nExpectNot screen /Esc closes/", tmp_path)
    assert report.passed, report.complaint


def test_the_size_and_the_theme_are_the_scripts(tmp_path: Path) -> None:
    report = play("Set Size 60x20\nSet Theme spark-light\nMark here\n", tmp_path)
    (mark,) = report.marks
    rows = mark.screen.split("\n")
    assert len(rows) == 20
    assert max(map(len, rows)) <= 60


def test_what_a_script_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"test\.spark: 'calc\.py' does not exist"):
        play("Open calc.py\nEnter\n", tmp_path)
    with pytest.raises(UsageError, match="no-such"):
        play("Set Theme no-such\nEnter\n", tmp_path)


def test_another_folder_can_be_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "calc.py").write_text("chosen = 1\n")
    report = play("Open calc.py\nExpect screen /chosen/\n", tmp_path, workspace=folder)
    assert report.passed, report.complaint


def test_a_real_clock_can_be_hurried(tmp_path: Path) -> None:
    before = time.monotonic()
    # A loaded machine may take its time until the first frame, and the wait for it is hurried too.
    report = play("Set Clock real\nWait /F1/ 3000s\nSleep 90s\n", tmp_path, speed=100.0)
    assert time.monotonic() - before < 90
    assert report.passed, report.complaint
    assert (report.clock, report.seconds >= 90) == ("real", True)


# --- Textual's time -------------------------------------------------------------------------


def test_textual_reads_the_loops_time_and_gets_its_own_back() -> None:
    real = textual._time.get_time
    with textual_time(lambda: 7.0):
        assert textual._time.get_time() == 7.0
        assert events.Event().time == 7.0
        clock = TextualClock()
        assert clock.time == 0.0
        assert Notification("x", timeout=5).time_left == 5.0
        assert time.monotonic() != 7.0
    assert textual._time.get_time is real
    assert Notification("x", timeout=5).time_left == pytest.approx(5.0, abs=1.0)
    assert TextualClock()._get_time is time.monotonic


def test_textual_does_not_wait_for_an_idle_processor() -> None:
    async def idle() -> float:
        loop = asyncio.get_running_loop()
        await wait_for_idle(0)
        return loop.time()

    assert virtually(idle()) == pytest.approx(0.02)


# --- recordings -----------------------------------------------------------------------------


def record_virtually(
    path: Path, workspace: Workspace, inputs: list[Input], open_paths: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    """Record a user who presses ``inputs``, 40 ms apart; (phase, text) of each turn."""
    size = (100, 30)

    async def user(app: WatchedApp) -> None:
        async with app.run_test(size=size) as pilot:
            hands = Hands(app, pilot)
            for what in inputs:
                await hands.input(what)
                await asyncio.sleep(0.04)
            await app.session.wait_turn()
            await hands.resize(90, 25)
            await asyncio.sleep(0.5)
            turns.extend((turn.phase, turn.text + turn.patch) for turn in app.session.turns)

    async def whole() -> None:
        wire = MemoryWire(ScriptedEngine((SLOW, QUICK)), pace="sim", clock=LoopClock())
        take = Take(path, workspace, size, open_paths, secrets=("hunter2!",))
        await record(take, wire, user)
        await wire.close()

    turns: list[tuple[str, str]] = []
    virtually(whole())
    return turns


def keys(text: str) -> list[Input]:
    return [Key(character) for character in text]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    root.mkdir()
    (root / "calc.py").write_text("a = 1\n")
    return Workspace(root)


def test_a_recording_replays_to_the_same_turns(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.sparklog"
    inputs = [
        *keys("slow, please"),
        Key("enter"),
        *keys("wait"),
        Key("escape"),
        Pasted("\nnow (quick) hunter2!"),
        Key("enter"),
    ]
    turns = record_virtually(path, workspace, inputs, ("calc.py",))
    assert [phase for phase, _ in turns] == ["interrupted", "completed"]
    assert "hunter2!" not in path.read_text()

    tape = read_tape(path)
    pressed = [record.data for record in tape.records if record.code == "i"]
    assert pressed == [
        *(encode_input(what) for what in inputs[:-2]),
        "paste \nnow (quick) ***",
        "enter",
    ]
    first, second = (run_tape(tape, "a.sparklog", Options()) for _ in range(2))
    assert to_json(first) == to_json(second)
    assert first.passed
    assert [turn.phase for turn in first.turns] == ["interrupted", "completed"]
    assert first.turns[1].ttft == pytest.approx(0.05, abs=0.004)
    assert first.turns[1].sim_ttft == pytest.approx(0.05)
    assert first.engine == "scripted"


def test_a_tape_is_the_engine_of_a_script(tmp_path: Path, workspace: Workspace) -> None:
    record_virtually(tmp_path / "a.sparklog", workspace, [*keys("hello"), Key("enter")])
    text = 'Set Tape a.sparklog\nType "hello"\nEnter\nWaitTurn\nExpect screen /A quick answer/\n'
    report = play(text, tmp_path)
    assert report.passed, report.complaint


def test_a_tape_may_end_with_leaving(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.sparklog"
    record_virtually(path, workspace, [*keys("hello"), Key("enter")])
    tape = read_tape(path)
    leaving = (TapeRecord(0.5, "i", "ctrl+q"), TapeRecord(1.0, "i", "x"))
    report = run_tape(Tape(tape.header, tape.records + leaving), "a", Options())
    assert report.passed
    assert [turn.phase for turn in report.turns] == ["completed"]


def test_a_turn_that_outlasts_its_tape_is_a_failure(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.sparklog"
    record_virtually(path, workspace, [*keys("slow"), Key("enter")])
    tape = read_tape(path)
    deltas = [at for at, record in enumerate(tape.records) if "output_text.delta" in record.data]
    cut = Tape(tape.header, (*tape.records[: deltas[50]], TapeRecord(0.0, "r", "no size")))
    report = run_tape(cut, "a", Options())
    assert not report.passed
    assert report.failure is not None
    assert report.failure.reason == "the turn is not over within 60 s"
    assert [turn.phase for turn in report.turns] == ["streaming"]


def test_a_new_size_is_painted(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.sparklog"
    record_virtually(path, workspace, [*keys("hello"), Key("enter")])
    (end,) = run_tape(read_tape(path), "a", Options()).marks
    rows = end.screen.split("\n")
    assert (end.name, len(rows), max(map(len, rows))) == ("end", 25, 90)
    assert "A quick answer." in end.screen


def test_what_cannot_be_recorded_leaves_no_tape(tmp_path: Path, workspace: Workspace) -> None:
    async def never(app: WatchedApp) -> None:
        raise AssertionError("the screen was started")

    async def attempt(take: Take) -> None:
        wire = MemoryWire(ScriptedEngine(), pace="max", clock=LoopClock())
        await record(take, wire, never)

    path = tmp_path / "a.sparklog"
    with pytest.raises(UsageError, match="no-such"):
        asyncio.run(attempt(Take(path, workspace, (80, 24), theme="no-such")))
    assert not path.exists()
