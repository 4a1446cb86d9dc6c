"""The screen without an edit: its link, its keys, and leaving it."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from textual import events

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import Peer, Transport
from tests.assistant.server import Engine
from tests.tui.support import table, virtually


def test_without_files_it_is_a_conversation(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, paths=()) as screen:
            assert "✦ sparkcode" in screen.text()
            assert "─ ask ─" in screen.text()
            await screen.press("tab")
            assert screen.stage.prompt.has_focus
            await screen.ask("hello")
            await screen.engine.answer(text="word " * 400, pieces=7)
            await screen.wait()
            assert "❯ hello" not in screen.text()
            assert "wall:" in screen.text()
            await screen.press("pageup", "pageup")
            await screen.wait()
            assert "more below" in screen.text()
            await screen.press("pagedown", "pagedown")
            await screen.wait()
            assert "more below" not in screen.text()

    virtually(work)


def test_an_instruction_before_the_link_is_sent_when_it_is_there(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            pass
        engine = screen.engine
        engine.refusals = 2
        async with table(folder, engine=engine) as again:
            await again.type("go")
            await again.press("enter")
            assert "❯ go" in again.text()
            await again.engine.next()
            await again.engine.answer(text="gone")
            await again.wait()
            assert "gone" in again.text()

    virtually(work)


def test_no_engine_is_said(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            pass
        screen.engine.refusals = 1000
        async with table(folder, engine=screen.engine, size=(120, 40)) as again:
            again.app.say("loading weights")
            await again.type("go")
            await again.press("enter")
            await again.wait(30)
            assert "✗ down" in again.text()
            assert "no engine answers at memory" in again.text()
            assert "loading weights" in again.text()

    virtually(work)


def test_control_c_clears_then_leaves(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.type("draft")
            await screen.press("ctrl+c")
            await screen.wait()
            assert screen.stage.prompt.text == ""
            assert "Ctrl+C again leaves" in screen.text()
            await screen.wait(2.5)
            assert "Ctrl+C again leaves" not in screen.text()
            await screen.press("up")
            assert screen.stage.prompt.text == "draft"
            await screen.press("ctrl+c")
            assert screen.app.is_running
            await screen.press("ctrl+c")
            await screen.wait()
            assert not screen.app.is_running

    virtually(work)


def test_control_c_promises_back_only_what_was_typed(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.press("ctrl+c")
            await screen.wait()
            assert "Ctrl+C again leaves" in screen.text()
            assert "Up brings" not in screen.text()
            await screen.wait(2.5)
            assert "Ctrl+C again leaves" not in screen.text()
            await screen.type("draft")
            await screen.press("ctrl+c")
            await screen.wait()
            assert "Ctrl+C again leaves (Up brings the prompt back)" in screen.text()

    virtually(work)


class Refusing(Engine):
    """One that cannot be reached, for a reason that takes several rows."""

    async def dial(self) -> tuple[Transport, Peer]:
        raise EngineUnreachableError("no engine answers; " + "start one or name another; " * 7)


@pytest.mark.parametrize("asked", [False, True])
def test_why_there_is_no_engine_is_seen_in_80_by_24(folder: Path, asked: bool) -> None:
    async def work() -> None:
        async with table(folder, engine=Refusing()) as screen:
            if asked:
                await screen.type("go")
                await screen.press("enter")
            await screen.wait(30)
            assert "✗ no engine answers; start one" in screen.text()
            screen.app.say("loading weights")
            await screen.wait()
            # Wrapped, not cut: the reason's last words stand above the progress.
            rows = screen.rows()
            at = next(y for y, row in enumerate(rows) if "loading weights" in row)
            assert "✗ no engine answers; start one" in screen.text()
            assert rows[at + 1].startswith("╭")
            assert "another;" in rows[at - 1]
            assert "…" not in screen.text()
            screen.stage.transcript.page(-1)
            await screen.wait()
            screen.app.say("loading more")
            await screen.wait()
            assert "loading more" not in screen.text()

    virtually(work)


def test_control_c_stops_a_turn(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.ask("go")
            await screen.engine.created()
            await screen.wait()
            await screen.press("ctrl+c")
            assert screen.session.turn is not None
            assert screen.session.turn.phase == "interrupted"

    virtually(work)


def test_files_are_switched(folder: Path) -> None:
    (folder / "b.py").write_text("b = 2\n")

    async def work() -> None:
        async with table(folder, paths=("calc.py", "b.py")) as screen:
            await screen.press("ctrl+o")
            await screen.wait()
            assert "b = 2" in screen.text()
            assert "▌b.py" in screen.rows()[0]
            await screen.press("tab", "left_square_bracket")
            await screen.wait()
            assert "def add" in screen.text()

    virtually(work)


def test_help_lists_every_key_and_closes(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(100, 50)) as screen:
            await screen.press("question_mark")
            await screen.wait()
            text = screen.text()
            assert "Accept the edit and write it" in text
            assert "New line in the prompt" in text
            await screen.press("escape")
            await screen.wait()
            assert len(screen.app.screen_stack) == 1

    virtually(work)


def test_the_palette_runs_commands_and_changes_colours(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            titles = [each.title for each in screen.app.get_system_commands(screen.app.screen)]
            assert "Theme: spark-light" in titles
            assert "Accept the edit and write it" not in titles
            await screen.press("ctrl+p")
            await screen.wait(1)
            assert len(screen.app.screen_stack) == 2
            await screen.type("spark-light")
            await screen.wait(1)
            await screen.press("enter")
            await screen.wait(0.5)
            if screen.app.theme == "spark-dark":
                await screen.press("enter")
                await screen.wait(0.5)
            assert screen.app.theme == "spark-light"
            assert "def add" in screen.text()

    virtually(work)


class SlowEngine(Engine):
    """One that takes very long to start."""

    async def dial(self) -> tuple[Transport, Peer]:
        await asyncio.sleep(1000)
        return await super().dial()


def test_leaving_does_not_wait_for_an_engine_that_starts(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, engine=SlowEngine()) as screen:
            await screen.type("go")
            await screen.press("enter", "ctrl+q")
            await screen.wait()
            assert not screen.app.is_running
        assert asyncio.get_running_loop().time() < 100

    virtually(work)


def test_a_fault_of_the_session_is_not_hidden(folder: Path) -> None:
    class Broken(Engine):
        async def dial(self) -> tuple[Transport, Peer]:
            raise RuntimeError("a fault")

    async def work() -> None:
        async with table(folder, engine=Broken()) as screen:
            await screen.wait()

    with pytest.raises(BaseExceptionGroup):
        virtually(work)


def test_keys_in_one_burst_go_where_a_slow_typists_would(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            for key in ("tab", *["down"] * 8, "tab"):
                screen.app.post_message(events.Key(key, None))
            for char in "shorter":
                screen.app.post_message(events.Key(char, char))
            screen.app.post_message(events.Key("enter", None))
            await screen.wait(0.5)
            turn = screen.session.turn
            assert turn is not None
            assert (turn.instruction, turn.target) == ("shorter", "calc.py:8-12")

    virtually(work)


def test_garbage_is_collected_again_after_the_first_frame(folder: Path) -> None:
    async def work() -> None:
        gc.disable()
        async with table(folder):
            assert gc.isenabled()

    virtually(work)
