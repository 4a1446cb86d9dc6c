from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkcode.assistant.flight import RENEW_SECONDS
from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import LoopClock
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import Peer, Transport
from tests.assistant.rig import ready, running, text_of, until
from tests.assistant.server import Engine, Json, virtually


def test_the_warm_up_is_what_the_first_turn_continues(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            warm = engine.requests[0]
            assert warm["generate"] is False
            assert warm["tools"][0]["name"] == "apply_patch"
            session.submit("Hello")
            request = await engine.next()
            assert request["previous_response_id"] == "warm"
            assert text_of(request) == ["Hello"]
            await engine.answer(text="Hi")
            await session.wait_turn()
            session.submit("And?")
            second = await engine.next()
            assert second["previous_response_id"] == "resp_2"
            assert text_of(second) == ["And?"]
            assert engine.dials == 1

    virtually(work)


def test_over_http_nothing_is_warmed_up_or_continued(folder: Path) -> None:
    async def work() -> None:
        engine = Engine("sse")
        async with running(engine, folder) as session:
            await ready(session)
            assert engine.requests == []
            session.submit("Hello")
            await engine.next()
            await engine.answer(text="Hi")
            await session.wait_turn()
            session.submit("And?")
            second = await engine.next()
            assert "previous_response_id" not in second
            assert text_of(second) == ["Hello", "And?"]
            assert second["input"][1] == {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hi"}],
            }

    virtually(work)


def test_dialling_backs_off_from_a_fifth_of_a_second_to_eight(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.refusals = 9
        clock = LoopClock()
        async with running(engine, folder) as session:
            await until(lambda: session.link.state == "down", session)
            assert "refused" in session.link.error
            assert clock.now() == pytest.approx(0.2 + 0.4)
            await until(lambda: session.link.state == "ready", session)
            assert clock.now() == pytest.approx(0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 8 + 8 + 8)
            assert session.link.error == ""

    virtually(work)


def test_limited_attempts_fail_the_turn(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.refusals = 5
        async with running(engine, folder, attempts=2) as session:
            session.submit("One")
            turn = await session.wait_turn()
            assert turn.phase == "failed"
            assert "no engine answers" in turn.error
            assert session.link.state == "down"
            assert engine.dials == 2

    virtually(work)


def test_no_answer_within_a_minute_fails_the_turn_and_recycles_the_link(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            turn = await session.wait_turn()
            assert turn.error == "no answer within 60 s"
            assert LoopClock().now() == pytest.approx(60)
            await until(lambda: session.link.state == "ready", session)
            assert engine.dials == 2

    virtually(work)


def test_a_slow_answer_that_has_begun_is_no_timeout(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            response_id = await engine.created()
            await asyncio.sleep(500)
            await engine.completed(response_id, [await engine.message("late", 4)])
            assert (await session.wait_turn()).text == "late"

    virtually(work)


def test_a_lost_response_is_repaired_once_with_the_full_context(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        error = {"code": "previous_response_not_found", "message": "Previous response \x1b[1m gone"}
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            assert (await engine.next())["previous_response_id"] == "warm"
            await engine.send("error", status=400, error=error)
            again = await engine.next()
            assert "previous_response_id" not in again
            await engine.send("error", status=400, error=error)
            turn = await session.wait_turn()
            assert (turn.phase, turn.error) == ("failed", "Previous response gone")
            assert engine.dials == 1

    virtually(work)


def test_a_conversation_that_is_too_long_starts_over(folder: Path) -> None:
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
            failure: Json = {"id": "resp_9", "status": "failed"}
            failure |= {"error": {"code": "context_length_exceeded", "message": "too long"}}
            await engine.send("response.failed", response=failure)
            assert text_of(await engine.next()) == ["Two"]
            await engine.send("response.failed", response=failure)
            assert (await session.wait_turn()).error == "too long"

    virtually(work)


def test_the_engine_limits_the_life_of_a_link(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        error = {"code": "websocket_connection_limit_reached", "message": "60 minutes"}
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            await engine.send("error", status=400, error=error)
            assert text_of(await engine.next()) == ["One"]
            assert engine.dials == 2
            await engine.send("error", status=400, error=error)
            assert (await session.wait_turn()).error == "60 minutes"
            await until(lambda: session.link.state == "ready", session)
            assert engine.dials == 3

    virtually(work)


def test_a_peer_that_breaks_the_protocol_is_dropped(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            await engine.ends[-1].send("stray garbage while idle")
            await asyncio.sleep(1)
            session.submit("One")
            await engine.next()
            await engine.created()
            await engine.ends[-1].send("garbage")
            turn = await session.wait_turn()
            assert "broke the protocol" in turn.error
            await until(lambda: session.link.state == "ready", session)
            assert engine.dials == 2

    virtually(work)


def test_an_engine_that_does_not_stop_loses_its_link(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            session.submit("One")
            await engine.next()
            await engine.created()
            await asyncio.sleep(1)
            session.submit("Two")
            assert (await engine.next())["type"] == "response.interrupt"
            assert text_of(await engine.next()) == ["One", "Two"]
            assert text_of(await engine.next()) == ["One", "Two"]
            assert LoopClock().now() == pytest.approx(1 + 5 + 0.2)
            assert engine.dials == 2
            await engine.answer(text="2")
            assert (await session.wait_turn()).text == "2"

    virtually(work)


def test_a_warm_up_that_fails_is_no_failure(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.warm = False
        async with running(engine, folder) as session:
            await until(lambda: session.link.state == "ready", session)
            await engine.send("error", status=400, error={"code": "c", "message": "m"})
            await asyncio.sleep(1)
            session.submit("One")
            assert "previous_response_id" not in await engine.next()
            await engine.answer(text="1")
            assert (await session.wait_turn()).phase == "completed"

    virtually(work)


def test_a_cancelled_run_closes_the_link(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        session = Session(dialer=engine, clock=LoopClock(), workspace=Workspace(folder))
        task = asyncio.create_task(session.run())
        await ready(session)
        session.submit("One")
        await engine.next()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await session.wait_turn()).phase == "interrupted"
        with pytest.raises(EngineUnreachableError):
            await engine.text("anybody?")

    virtually(work)


class SlowEngine(Engine):
    """Takes ten seconds to be reached."""

    async def dial(self) -> tuple[Transport, Peer]:
        link = await super().dial()
        await asyncio.sleep(10)
        return link


def test_closing_does_not_wait_for_a_dial(folder: Path) -> None:
    async def work() -> None:
        async with running(SlowEngine(), folder) as session:
            session.submit("One")
            await asyncio.sleep(1)
        assert LoopClock().now() == pytest.approx(1)

    virtually(work)


def test_an_unanswered_warm_up_does_not_hold_up_a_turn(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        engine.warm = False
        async with running(engine, folder) as session:
            await until(lambda: session.link.state == "ready", session)
            await asyncio.sleep(1)
            session.submit("One")
            assert "previous_response_id" not in await engine.next()

    virtually(work)


def test_closing_interrupts_the_turn(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            session.submit("One")
            await engine.next()
        turn = await session.wait_turn()
        assert turn.phase == "interrupted"

    virtually(work)


def test_an_old_link_is_renewed_between_two_turns(folder: Path) -> None:
    async def work() -> None:
        engine = Engine()
        async with running(engine, folder) as session:
            await ready(session)
            await asyncio.sleep(RENEW_SECONDS - 5)
            session.submit("Hi")
            await engine.next()
            await engine.created("slow")
            await asyncio.sleep(8)
            assert engine.dials == 1
            await engine.completed("slow")
            assert (await session.wait_turn()).phase == "completed"
            await until(lambda: session.link.state == "reconnecting", session)
            await ready(session)
            assert (engine.dials, session.link.reconnects) == (2, 1)
            session.submit("Again")
            request = await engine.next()
            # The new link knows nothing: the whole conversation goes out again.
            assert text_of(request) == ["Hi", "Again"]
            await engine.answer(text="Yes.")
            assert (await session.wait_turn()).text == "Yes."

    virtually(work)


def test_a_stream_over_http_has_no_age(folder: Path) -> None:
    async def work() -> None:
        engine = Engine("sse")
        async with running(engine, folder) as session:
            await until(lambda: session.link.state == "ready", session)
            await asyncio.sleep(2 * RENEW_SECONDS)
            assert engine.dials == 1

    virtually(work)
