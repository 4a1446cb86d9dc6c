"""Commands that a model asks for: none runs without the user's word."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant.helping import Helping, begins_with
from sparkcode.assistant.workspace import Workspace
from tests.assistant.helped import helped, outputs, strong
from tests.assistant.rig import FIXED, PATCH, until
from tests.assistant.server import Engine, virtually


@pytest.mark.parametrize("yes", [True, False])
def test_a_command_waits_for_the_user(folder: Path, yes: bool) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix and test")
            await engine.next()
            command = "cat calc.py; echo hi > made; exit 3"
            await engine.use(("run_command", {"command": command}), patch=PATCH)
            await until(lambda: session.asking == command, session)
            assert session.edit == "pending"
            session.allow(yes)
            ran = outputs(await engine.next())[1]
            assert session.asking == ""
            assert not (folder / "made").exists()
            if yes:
                assert ran == f"exit status 3\n{FIXED}"
            else:
                assert ran.startswith("error: the user does not allow")
            await engine.answer(text="Done.")
            turn = await session.wait_turn()
            first = f"ran {command}: exit status 3" if yes else f"not allowed: {command}"
            assert [use.said for use in turn.uses] == [first]

    virtually(work)


def test_commands_that_were_allowed_beforehand_run_at_once(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine, begins_with(["echo"])) as session:
            session.submit("Say it")
            await engine.next()
            await engine.use(
                ("run_command", {"command": "echo one"}),
                ("run_command", {"command": "echo one; rm -rf /"}),
                ("run_command", {"command": "a\nb"}),
                ("run_command", {}),
            )
            one, two, three, four = outputs(await engine.next())
            assert one == "exit status 0\none\n"
            assert two.startswith("error: the user does not allow")
            assert three.startswith("error: a command is one printable line")
            assert "missing required field" in four

    virtually(work)


def test_a_command_in_a_folder_that_cannot_be_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkcode.assistant.trial.COPY_FILES", 0)

    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine, begins_with(["ls"])) as session:
            session.submit("List")
            await engine.next()
            await engine.use(("run_command", {"command": "ls"}))
            assert "too large to be copied" in outputs(await engine.next())[0]

    virtually(work)


@pytest.mark.parametrize(
    ("command", "may"),
    [
        ("pytest -q", True),
        ("pytest -q tests/test_a.py::test[1]", True),
        ("pytest -qx", False),
        ("pytest", False),
        ("pytest -q; ls", False),
        ("pytest -q $(ls)", False),
        ("pytest -q > out", False),
        ("make a && make b", True),
        ("make a && make b c", False),
    ],
)
def test_what_a_command_may_begin_with(command: str, may: bool) -> None:
    assert begins_with(["pytest -q", "make a && make b"])(command) is may


def test_a_word_that_nobody_waits_for(folder: Path) -> None:
    helping = Helping(Workspace(folder), lambda command: None)
    helping.decide(True)
    helping.stop()
    assert helping.asking == ""
