from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkcode.assistant.edits import Target
from sparkcode.errors import UsageError, WorkspaceError
from sparkcode.syntax.lines import Region
from tests.assistant.rig import CALC, FIXED, PATCH, TARGET, ready, running, text_of, until
from tests.assistant.server import Engine, virtually


def test_a_question_streams_and_completes(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            assert not session.submit("  What is this?  ").final
            await engine.next()
            await engine.answer(text="A \x1b[31mcalculator.", pieces=3)
            turn = await session.wait_turn()
            assert (turn.phase, turn.text) == ("completed", "A calculator.")
            assert turn.instruction == "What is this?"
            assert turn.usage is not None
            assert turn.usage.output_tokens == 3
            assert session.meter.stats(0.0).tokens == 6
            assert not session.busy
            assert session.turns == (turn,)
            assert session.edit == "none"
            assert session.link.peer is not None
            assert session.link.peer.engine == "scripted"
        assert session.link.state == "closed"

    virtually(work)


def test_an_edit_streams_is_accepted_and_undone(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.open("calc.py")
            turn = session.submit("Add, not subtract", TARGET)
            assert turn.target == "calc.py:1-2"
            request = await engine.next()
            assert text_of(request)[0] == (
                f"File: calc.py\nEdit region: lines 1-2\n```python\n{CALC}```\n\n"
                "Instruction: Add, not subtract"
            )
            await engine.created()
            await engine.open_call()
            await engine.patch(PATCH[:-20])
            await until(lambda: session.edit == "streaming", session)
            assert session.previews["calc.py"].added == 1
            await engine.patch(PATCH[-20:])
            done = {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch"}
            done |= {"input": PATCH}
            await engine.send("response.output_item.done", output_index=0, item=done)
            await engine.completed("resp_2", [done])
            await session.wait_turn()
            assert (session.edit, session.edits.note) == ("pending", "")
            assert (folder / "calc.py").read_text() == CALC
            assert session.accept() == ("calc.py",)
            assert (folder / "calc.py").read_text() == FIXED
            assert session.buffers["calc.py"].version == 2
            assert session.edit == "accepted"
            session.submit("Thanks")
            request = await engine.next()
            assert request["input"][0] == {
                "type": "custom_tool_call_output",
                "call_id": "call_1",
                "output": "Success. Updated the following files:\nM calc.py",
            }
            assert "File: calc.py" in text_of(request)[0]
            await engine.answer(text="Welcome")
            await session.wait_turn()
            assert session.undo() == ("calc.py",)
            assert (folder / "calc.py").read_bytes() == CALC.encode()

    virtually(work)


def test_a_rejected_edit_is_told_to_the_model(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("Add", TARGET)
            await engine.next()
            await engine.answer(patch=PATCH)
            await session.wait_turn()
            session.submit("Try again", TARGET)
            assert [session.edit] == ["none"]
            request = await engine.next()
            assert request["previous_response_id"] == "resp_2"
            assert request["input"][0]["output"] == "rejected by the user"
            await engine.answer(patch=PATCH)
            await session.wait_turn()
            session.reject()
            assert session.edit == "rejected"
            with pytest.raises(UsageError, match="no edit to accept"):
                session.accept()
            with pytest.raises(UsageError, match="no edit to reject"):
                session.reject()
            with pytest.raises(UsageError, match="no edit to undo"):
                session.undo()
            assert (folder / "calc.py").read_text() == CALC

    virtually(work)


def test_a_file_that_changed_on_disk_is_not_overwritten(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            session.submit("Add", TARGET)
            await engine.next()
            await engine.answer(patch=PATCH)
            await session.wait_turn()
            (folder / "calc.py").write_text("mine\n")
            with pytest.raises(WorkspaceError, match="changed on disk"):
                session.accept()
            assert session.edit == "pending"
            assert "changed on disk" in session.edit_error
            assert (folder / "calc.py").read_text() == "mine\n"

    virtually(work)


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        (PATCH.replace("a - b", "a * b"), "Failed to find expected lines"),
        (PATCH.replace("calc.py", "../calc.py"), "outside the workspace"),
        (PATCH.replace("calc.py", ".git/hooks/pre-commit"), "belongs to git"),
        (PATCH.replace("*** End Patch", ""), "last line of the patch"),
        ("no patch at all\nreally\n", "first line of the patch"),
        ("*** Begin Patch\n*** Delete File: none.py\n*** End Patch", "there is no file"),
    ],
)
def test_a_patch_that_does_not_fit_fails_the_edit(folder: Path, patch: str, error: str) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            session.submit("Add", TARGET)
            await engine.next()
            await engine.answer(patch=patch, pieces=7)
            turn = await session.wait_turn()
            assert turn.phase == "completed"
            assert session.edit == "failed"
            assert error in session.edit_error
            assert "\n" not in session.edit_error

    virtually(work)


def test_an_edit_outside_its_target_is_noted(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            session.submit("Add", Target("calc.py", Region(5, 6)))
            await engine.next()
            await engine.answer(patch=PATCH)
            await session.wait_turn()
            assert session.edit == "pending"
            assert session.edits.note == "the edit changes lines outside calc.py:5-6"

    virtually(work)


def test_an_edit_of_another_file_is_noted(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        (folder / "other.py").write_text("x\n")
        async with running(engine, folder) as session:
            session.submit("Add \udc80", Target("other.py", Region(1, 1)))
            assert text_of(await engine.next())[0].endswith("Instruction: Add ?")
            await engine.answer(patch=PATCH)
            await session.wait_turn()
            assert session.edit == "pending"
            assert session.edits.note == "the edit changes 'calc.py', which is not its target"

    virtually(work)


def test_an_interrupt_keeps_what_landed_and_the_socket(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("Add", TARGET)
            await engine.next()
            response_id = await engine.created()
            await engine.open_call()
            await engine.patch(PATCH[:100])
            await until(lambda: session.edit == "streaming", session)
            assert session.interrupt()
            turn = await session.wait_turn()
            assert (turn.phase, turn.patch) == ("interrupted", PATCH[:100])
            assert not session.interrupt()
            assert await engine.next() == {
                "type": "response.interrupt",
                "response_id": response_id,
                "mode": "discard_partial_items",
            }
            await engine.patch("late")
            await engine.interrupted(response_id)
            await asyncio.sleep(1)
            assert session.turn == turn
            assert session.edit == "none"
            assert session.previews["calc.py"].path == "calc.py"
            session.submit("Again", TARGET)
            request = await engine.next()
            assert request["previous_response_id"] == response_id
            assert len(request["input"]) == 1
            assert engine.dials == 1

    virtually(work)


def test_a_redirect_does_not_wait_for_the_old_answer(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            session.submit("Two")
            assert [turn.phase for turn in session.turns] == ["interrupted", "waiting"]
            second = await engine.next()
            assert text_of(second) == ["One", "Two"]
            old = await engine.created()
            assert (await engine.next())["response_id"] == old
            await engine.interrupted(old)
            await engine.answer(text="2")
            turn = await session.wait_turn()
            assert (turn.number, turn.text) == (2, "2")

    virtually(work)


def test_an_interrupt_before_the_link_is_up_sends_nothing(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.refusals = 1
        async with running(engine, folder) as session:
            session.submit("One")
            session.interrupt()
            await ready(session)
            session.submit("Two")
            assert text_of(await engine.next()) == ["Two"]

    virtually(work)


def test_a_patch_that_does_not_fit_is_told_to_the_model(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("Add", TARGET)
            await engine.next()
            await engine.answer(patch=PATCH.replace("a - b", "a * b"))
            await session.wait_turn()
            session.submit("Once more", TARGET)
            told = (await engine.next())["input"][0]["output"]
            assert told.startswith("failed: Failed to find expected lines in calc.py")

    virtually(work)


def test_a_refused_region_leaves_the_running_turn_alone(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            session.submit("One")
            await engine.next()
            with pytest.raises(UsageError):
                session.submit("Two", Target("calc.py", Region(99, 99)))
            assert session.busy

    virtually(work)


def test_what_cannot_be_asked(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            with pytest.raises(UsageError, match="empty"):
                session.submit(" \n ")
            with pytest.raises(UsageError, match="which has 6 lines"):
                session.submit("x", Target("calc.py", Region(3, 9)))
            with pytest.raises(WorkspaceError, match="does not exist"):
                session.submit("x", Target("none.py", Region(1, 1)))
            with pytest.raises(UsageError, match="no turn"):
                await session.wait_turn()
            assert session.turn is None
        with pytest.raises(UsageError, match="closed"):
            session.submit("x")

    virtually(work)
