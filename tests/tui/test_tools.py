"""Tools on the screen: what the model looks up, and the commands it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant.turn import begin, used
from sparkcode.tui.widgets.transcript import TurnRows
from tests.assistant.server import Engine
from tests.tui.support import CALC, PATCH, Table, table, virtually


async def asked_to_run(screen: Table, command: str) -> None:
    """The model has patched and asks to run ``command``; the question is armed."""
    await screen.ask("/task shorter")
    await screen.engine.use(("run_command", {"command": command}), patch=PATCH)
    await screen.wait(0.5)


def test_a_command_runs_only_after_y(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40), tools=True) as screen:
            await asked_to_run(screen, "grep -c sum calc.py")
            shown = screen.text()
            assert "? The model asks to run this in a copy of" in shown
            assert "  grep -c sum calc.py" in shown
            assert "± calc.py  +5 -4  so far" in shown
            assert "y run it" in screen.rows()[-1]
            await screen.press("y")
            request = await screen.engine.next()
            assert request["input"][-1]["output"] == "exit status 0\n2\n"
            assert (folder / "calc.py").read_text() == CALC
            await screen.engine.answer(text="It works.")
            await screen.wait(0.5)
            shown = screen.text()
            assert "› ran grep -c sum calc.py: exit status" in shown
            assert shown.index("› ran") < shown.index("It works.")
            assert "y accept" in screen.rows()[-1]
            await screen.press("y")
            await screen.wait()
            assert screen.edit == "accepted"

    virtually(work)


def test_n_refuses_the_command_and_not_the_edit(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40), tools=True) as screen:
            await asked_to_run(screen, "make")
            await screen.press("n")
            request = await screen.engine.next()
            await screen.wait()
            assert "does not allow" in request["input"][-1]["output"]
            assert screen.edit == "pending"
            assert "› not allowed: make" in screen.text()

    virtually(work)


def test_a_key_that_comes_with_the_question_is_no_answer(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, tools=True) as screen:
            await screen.ask("/task shorter")
            await screen.engine.use(("run_command", {"command": "make"}), patch=PATCH)
            await screen.wait(0.1)
            assert screen.session.asking == "make"
            await screen.press("y")
            assert screen.session.asking == "make"
            assert screen.stage.prompt.text == "y"

    virtually(work)


def test_escape_ends_the_turn_with_the_question(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, tools=True) as screen:
            await asked_to_run(screen, "make")
            await screen.press("escape")
            await screen.wait()
            assert (screen.session.asking, screen.edit) == ("", "pending")

    virtually(work)


def test_the_embedded_engine_is_given_no_task(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.name = "spark"
        async with table(folder, engine=engine, tools=True) as screen:
            await screen.type("/task shorter")
            assert "task in the whole folder" in screen.text()
            await screen.press("enter")
            await screen.wait()
            assert screen.session.turn is None
            assert screen.stage.notice.startswith("a task in the whole folder needs an engine")
            assert screen.stage.prompt.text == "/task shorter"

    virtually(work)


@pytest.mark.parametrize("width", [20, 60])
def test_tools_stand_where_they_were_used(width: int) -> None:
    from dataclasses import replace

    turn = begin(1, "go")
    rows = TurnRows(turn, width, first=True)
    seen: list[list[str]] = []
    states = [
        turn := replace(turn, text="Let me see."),
        turn := used(turn, "read a.py: 3 lines"),
        turn := used(turn, "searched /x/: 1 match"),
        turn := replace(turn, text=f"{turn.text}\n\n"),
        turn := replace(turn, text=f"{turn.text}Done."),
    ]
    for state in states:
        rows.update(state, ())
        seen.append([rows[at][0].strip() for at in range(1, len(rows))])
    whole = TurnRows(turn, width, first=True)
    whole.update(turn, ())
    assert seen[-1] == [whole[at][0].strip() for at in range(1, len(whole))]
    assert " ".join(row for row in seen[-1] if row) == (
        "Let me see. › read a.py: 3 lines › searched /x/: 1 match Done."
    )
