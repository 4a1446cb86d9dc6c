"""Turns of several responses: what the model looks up, patches and runs on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkcode.assistant.helping import MAX_ROUNDS, check_able
from sparkcode.assistant.tools import TOOLS
from sparkcode.errors import UsageError
from sparkcode.link.transport import Peer
from tests.assistant.helped import helped, outputs, strong
from tests.assistant.rig import CALC, FIXED, PATCH, TARGET, running, text_of, until
from tests.assistant.server import Engine, Json, virtually

OTHER = PATCH.replace("def add", "def sub")
BOTH = CALC.replace("a - b", "a + b")
NEW = "*** Begin Patch\n*** Add File: new.py\n+x = 1\n*** End Patch\n"


def test_tools_are_offered_to_others_than_the_embedded_engine(folder: Path) -> None:
    async def work(name: str, offered: int) -> None:
        engine = Engine()
        engine.name = name
        async with helped(folder, engine) as session:
            session.submit("Hi")
            request = await engine.next()
            assert len(request["tools"]) == 1 + offered
            assert request["tools"] == engine.requests[0]["tools"]
            assert ("list_files" in request["instructions"]) == bool(offered)

    for name, offered in (("spark", 0), ("scripted", len(TOOLS)), ("", len(TOOLS))):
        virtually(lambda name=name, offered=offered: work(name, offered))  # type: ignore[misc]


def test_without_a_helper_nothing_is_offered_and_calls_end_the_turn(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with running(engine, folder) as session:
            session.submit("Hi")
            assert len((await engine.next())["tools"]) == 1
            await engine.use(("read_file", {"path": "calc.py"}), text="Let me see.")
            assert (await session.wait_turn()).phase == "completed"

    virtually(work)


def test_what_is_read_leads_to_the_answer(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine) as session:
            session.submit("What is in there?")
            await engine.next()
            await engine.use(
                ("read_file", {"path": "calc.py", "last_line": 1}),
                ("search", {"pattern": "def sub"}),
                text="Let me see.",
            )
            request = await engine.next()
            assert request["previous_response_id"] == "resp_2"
            assert [item["type"] for item in request["input"]] == ["function_call_output"] * 2
            assert outputs(request) == [
                "calc.py, lines 1-1 of 6:\ndef add(a, b):",
                "calc.py:5: def sub(a, b):",
            ]
            assert session.turn is not None
            assert session.turn.phase == "working"
            await engine.answer(text="Two functions.")
            turn = await session.wait_turn()
            assert turn.text == "Let me see.\n\nTwo functions."
            assert [(use.at, use.said) for use in turn.uses] == [
                (11, "read calc.py:1-1: 1 line"),
                (11, "searched /def sub/: 1 match"),
            ]
            assert (turn.round, session.edit) == (2, "none")
            assert turn.usage is not None
            assert turn.usage.input_tokens == 20
            assert session.meter.stats(0.0).tokens == 15
            session.submit("Thanks")
            assert text_of(await engine.next()) == ["Thanks"]

    virtually(work)


def test_patches_of_a_turn_become_one_edit(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix everything")
            await engine.next()
            await engine.answer(patch=PATCH, pieces=9)
            request = await engine.next()
            assert outputs(request) == ["Success. Updated the following files:\nM calc.py"]
            assert (session.edit, session.previews["calc.py"].added) == ("pending", 1)
            await engine.use(("read_file", {"path": "calc.py"}), patch=OTHER)
            patched, read = outputs(await engine.next())
            assert patched.startswith("Success")
            assert read.endswith(BOTH.rstrip("\n"))
            await engine.answer(patch=NEW)
            await engine.next()
            await engine.answer(text="Done.")
            turn = await session.wait_turn()
            assert (folder / "calc.py").read_text() == CALC
            assert session.edit == "pending"
            assert session.edits.patch == turn.patch
            assert list(session.previews) == ["calc.py", "new.py"]
            assert session.previews["calc.py"].added == 2
            assert session.accept() == ("calc.py", "new.py")
            assert (folder / "calc.py").read_text() == BOTH
            assert (folder / "new.py").read_text() == "x = 1\n"
            assert session.undo() == ("calc.py", "new.py")
            assert (folder / "calc.py").read_text() == CALC
            assert not (folder / "new.py").exists()

    virtually(work)


def test_the_patch_of_a_region_is_the_answer(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix it", TARGET)
            await engine.next()
            await engine.answer(patch=PATCH)
            assert (await session.wait_turn()).round == 1
            assert session.edit == "pending"

    virtually(work)


def test_a_patch_that_does_not_fit_is_told_and_the_edit_stays(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        wrong = PATCH.replace("a - b", "nowhere")
        async with helped(folder, engine) as session:
            session.submit("Fix it")
            await engine.next()
            await engine.answer(patch=wrong)
            assert outputs(await engine.next())[0].startswith("error: ")
            assert [session.edit] == ["failed"]
            await engine.answer(patch=PATCH)
            await engine.next()
            await engine.answer(patch=wrong)
            assert outputs(await engine.next())[0].startswith("error: ")
            assert session.edit == "pending"
            assert session.edits.unfit.startswith("a later patch does not fit: ")
            # The same again would not fit either: the turn is over.
            await engine.answer(patch=wrong)
            assert (await session.wait_turn()).phase == "completed"
            assert session.edit == "pending"
            session.accept()
            assert (folder / "calc.py").read_text() == FIXED

    virtually(work)


def test_a_patch_that_is_taken_back_leaves_no_edit(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        back = (
            "*** Begin Patch\n*** Update File: calc.py\n@@\n def add(a, b):\n"
            "-    return a + b\n+    return a - b\n*** End Patch\n"
        )
        async with helped(folder, engine) as session:
            session.submit("Fix it")
            await engine.next()
            await engine.answer(patch=PATCH)
            await engine.next()
            await engine.answer(patch=back)
            await engine.next()
            assert session.edit == "none"
            await engine.answer(text="As it was.")
            await session.wait_turn()
            assert (session.edit, session.edits.patch) == ("none", "")

    virtually(work)


def test_an_edit_can_be_taken_before_the_turn_is_over(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix it")
            await engine.next()
            await engine.answer(patch=PATCH)
            await engine.next()
            await engine.created("slow")
            await until(lambda: session.edit == "pending", session)
            session.accept()
            assert session.turn is not None
            assert (session.turn.phase, session.edit) == ("interrupted", "accepted")
            assert (folder / "calc.py").read_text() == FIXED

    virtually(work)


def test_what_is_whole_stays_when_the_turn_is_stopped(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix it")
            await engine.next()
            await engine.answer(patch=PATCH)
            await engine.next()
            await engine.created("second")
            await engine.open_call()
            await engine.patch(OTHER[:-30])
            await until(lambda: session.edit == "streaming", session)
            assert session.interrupt()
            assert (session.edit, list(session.edits.staged)) == ("pending", ["calc.py"])
            session.reject()
            await engine.next()
            await engine.interrupted("second")
            session.submit("And now?")
            said = text_of(await engine.next())[-1]
            assert said.endswith(
                "(The user did not take that edit: the files are as they were before it.)\nAnd now?"
            )

    virtually(work)


def test_a_turn_that_is_stopped_while_it_looks_answers_its_calls_later(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine) as session:
            session.submit("Run it")
            await engine.next()
            await engine.use(("run_command", {"command": "pytest"}))
            await until(lambda: session.asking != "", session)
            assert session.interrupt()
            assert session.asking == ""
            session.allow(True)
            session.submit("Go on")
            request = await engine.next()
            assert outputs(request) == ["not done: the user has stopped the turn"]
            assert not session.previews

    virtually(work)


def test_calls_that_there_are_no_tools_for(folder: Path) -> None:
    async def work() -> None:
        engine = strong()
        async with helped(folder, engine) as session:
            session.submit("Fix")
            await engine.next()
            await engine.created("many")
            items: list[Json] = []
            for number, name in enumerate(("apply_patch", "apply_patch", "shell")):
                item = {"type": "custom_tool_call", "id": f"i{number}", "call_id": f"c{number}"}
                item |= {"name": name, "input": PATCH}
                await engine.send("response.output_item.done", output_index=number, item=item)
                items.append(item)
            await engine.completed("many", items)
            told = outputs(await engine.next())
            assert told[0].startswith("Success")
            assert told[1].startswith("error: one patch at a time")
            assert told[2] == "error: no tool 'shell' here"

    virtually(work)


def test_a_model_that_never_ends_is_stopped(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine) as session:
            session.submit("Look around")
            for _ in range(MAX_ROUNDS):
                await engine.next()
                await engine.use(("list_files", {}))
            turn = await session.wait_turn()
            assert turn.phase == "failed"
            assert turn.error == "the model asked for tools more than 39 times"

    virtually(work)


def test_a_link_that_is_cut_between_two_responses(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with helped(folder, engine) as session:
            session.submit("Look around")
            await engine.next()
            await engine.use(("list_files", {}))
            await engine.next()
            await engine.cut()
            request = await engine.next()
            assert "previous_response_id" not in request
            kinds = [item["type"] for item in request["input"]]
            assert kinds == ["message", "function_call", "function_call_output"]
            await engine.answer(text="Here.")
            assert (await session.wait_turn()).text == "Here."

    virtually(work)


def test_the_embedded_engine_does_no_tasks() -> None:
    def peer(**who: Any) -> Peer:
        return Peer("websocket", "u", **who)

    check_able(None)
    check_able(peer())
    check_able(peer(engine="scripted"))
    with pytest.raises(UsageError, match="uses tools"):
        check_able(peer(engine="spark"))
