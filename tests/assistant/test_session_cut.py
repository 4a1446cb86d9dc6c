"""Turns whose link is cut."""

from __future__ import annotations

from pathlib import Path

from sparkcode.assistant.flight import RESENDS
from sparkcode.assistant.session import Session
from sparkcode.assistant.turn import Turn
from tests.assistant.rig import PATCH, TARGET, ready, running, text_of, until
from tests.assistant.server import Engine, virtually


def heard(session: Session) -> Turn:
    """The newest turn."""
    assert session.turn is not None
    return session.turn


def test_a_cut_before_anything_arrived_is_repaired(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            await engine.answer(text="1")
            await session.wait_turn()
            session.submit("Two")
            await engine.next()
            await engine.cut()
            again = await engine.next()
            assert "previous_response_id" not in again
            assert text_of(again) == ["One", "Two"]
            assert session.link.reconnects == 1
            for _ in range(RESENDS - 1):
                await engine.cut()
                await engine.next()
            await engine.cut()
            turn = await session.wait_turn()
            assert turn.phase == "failed"
            assert turn.error == "the link was lost: the engine closed the link"
            await until(lambda: session.link.state == "ready", session)

    virtually(work)


def test_a_cut_in_mid_answer_is_resumed_below_a_mark(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            for number in range(1, RESENDS + 2):
                await engine.created()
                await engine.message("partly", 1)
                await until(lambda: heard(session).text.endswith("partly"), session)
                await engine.cut()
                if number <= RESENDS:
                    again = await engine.next()
                    assert (len(heard(session).uses), heard(session).phase) == (number, "waiting")
                    assert text_of(again) == ["One"]
                    assert "previous_response_id" not in again
            turn = await session.wait_turn()
            assert turn.phase == "failed"
            assert turn.text == "\n\n".join(["partly"] * (RESENDS + 1))
            assert [use.said for use in turn.uses] == ["the link was cut; asked again"] * RESENDS
            assert [use.at for use in turn.uses] == [6, 14, 22]
            assert "the link was lost" in turn.error
            await ready(session)
            session.submit("Two")
            assert text_of(await engine.next()) == ["Two"]

    virtually(work)


def test_an_edit_that_was_cut_begins_anew(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("Edit", TARGET)
            await engine.next()
            await engine.created()
            await engine.open_call()
            await engine.patch(PATCH[: len(PATCH) // 2])
            await until(lambda: session.edit == "streaming", session)
            await engine.cut()
            await until(lambda: bool(heard(session).uses), session)
            assert (session.edit, heard(session).patch) == ("none", "")
            await engine.next()
            await engine.answer(patch=PATCH)
            turn = await session.wait_turn()
            assert (turn.phase, turn.patch, session.edit) == ("completed", PATCH, "pending")

    virtually(work)

    virtually(work)
