from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sparkcode.engine.base import Message, ToolCall
from sparkcode.errors import EngineUnreachableError
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import (
    CustomToolCallItem,
    ErrorEvent,
    InterruptFailed,
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseSteer,
    SteerFailed,
    UnknownEvent,
)
from sparkcode.server import connection
from tests.server.support import (
    PATCH,
    Session,
    StepEngine,
    create,
    endless,
    make_service,
    running,
    tags,
    text_of,
    virtual,
    words,
)


def test_an_interrupt_ends_the_response_and_keeps_the_socket() -> None:
    async def main() -> None:
        engine = StepEngine(lambda _: endless())
        async with Session(make_service(engine)) as client:
            await client.send(create())
            await client.until(OutputTextDelta)
            await client.send(ResponseInterrupt(response_id=client.machine.response_id))
            events = await client.until(ResponseIncomplete)
            assert tags(events)[-3:] == [
                "interrupt.accepted",
                "output_item.interrupted",
                "incomplete",
            ]
            final = events[-1].response
            assert final.incomplete_details.reason == "interrupted"
            assert final.output == []
            assert final.usage.output_tokens >= 1
            await asyncio.sleep(1)
            assert engine.closed.is_set()
            engine.steps = words("again")
            await client.send(create(previous_response_id=final.id))
            assert text_of((await client.until(ResponseCompleted))[-1].response) == "again "
            assert engine.requests[-1].items == (Message("user", "hi"), Message("user", "hi"))

    virtual(main)


def test_an_interrupt_that_comes_too_late_is_not_answered_and_an_unknown_one_fails() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            await client.send(create())
            done = (await client.until(ResponseCompleted))[-1]
            await client.send(ResponseInterrupt(response_id=done.response.id))
            await client.send(ResponseInterrupt(response_id="resp_nobody"))
            event = await client.next()
            assert isinstance(event, InterruptFailed)
            assert event.response_id == "resp_nobody"

    virtual(main)


def test_an_interrupt_while_the_engine_is_busy_elsewhere_takes_effect_at_once() -> None:
    async def main() -> None:
        service = make_service(StepEngine(lambda _: endless()))
        async with Session(service) as first, Session(service) as second:
            await first.send(create())
            await first.until(OutputTextDelta)
            await second.send(create())
            await second.until(ResponseInProgress)
            await second.send(ResponseInterrupt(response_id=second.machine.response_id))
            events = await second.until(ResponseIncomplete)
            assert tags(events) == ["interrupt.accepted", "incomplete"]

    virtual(main)


def test_requests_are_answered_in_order() -> None:
    async def main() -> None:
        engine = StepEngine(lambda request: words(request.last_user_text))
        async with Session(make_service(engine)) as client:
            for name in ("one", "two", "three"):
                await client.send(create(name))
            assert client.machine.queued == 2
            answers = [
                text_of((await client.until(ResponseCompleted))[-1].response) for _ in range(3)
            ]
            assert answers == ["one ", "two ", "three "]

    virtual(main)


def test_a_warm_up_is_a_point_to_continue_from() -> None:
    async def main() -> None:
        engine = StepEngine(words("ok"))
        async with Session(make_service(engine)) as client:
            await client.send(
                create("context", generate=False, store=False, instructions="Be brief.")
            )
            events = await client.until(ResponseCompleted)
            assert tags(events) == ["created", "in_progress", "completed"]
            assert events[-1].response.output == []
            assert engine.warmed[0].items == (
                Message("system", "Be brief."),
                Message("user", "context"),
            )
            await client.send(create("go", previous_response_id=events[-1].response.id))
            await client.until(ResponseCompleted)
            assert engine.requests[0].items == (Message("user", "context"), Message("user", "go"))

    virtual(main)


def test_a_tool_call_can_be_answered_in_the_next_turn() -> None:
    async def main() -> None:
        engine = StepEngine(words("*** patch", PATCH))
        async with Session(make_service(engine)) as client:
            await client.send(create(store=False))
            events = await client.until(ResponseCompleted)
            assert tags(events)[2:6] == [
                "output_item.added",
                "custom_tool_call_input.delta",
                "custom_tool_call_input.delta",
                "custom_tool_call_input.done",
            ]
            (item,) = events[-1].response.output
            assert isinstance(item, CustomToolCallItem)
            assert (item.name, item.input) == ("apply_patch", "*** patch ")
            output = {
                "type": "custom_tool_call_output",
                "call_id": item.call_id,
                "output": "Success.",
            }
            engine.steps = words("done")
            await client.send(
                ResponseCreate(input=[output], previous_response_id=events[-1].response.id)
            )
            await client.until(ResponseCompleted)
            assert engine.requests[-1].items[1] == ToolCall(
                item.call_id, "apply_patch", "*** patch "
            )

    virtual(main)


def test_a_failed_continuation_evicts_what_it_continued() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            await client.send(create(store=False))
            first = (await client.until(ResponseCompleted))[-1].response.id
            stray = {"type": "function_call_output", "call_id": "call_x", "output": "1"}
            await client.send(
                ResponseCreate(input=[stray], previous_response_id=first, store=False)
            )
            error = (await client.until(ErrorEvent))[-1]
            assert error.status == 400
            assert "No tool call found" in error.error.message
            await client.send(create(previous_response_id=first, store=False))
            error = (await client.until(ErrorEvent))[-1]
            assert error.error.code == "previous_response_not_found"
            assert error.error.param == "previous_response_id"
            await client.send(create())
            await client.until(ResponseCompleted)

    virtual(main)


def test_store_false_lives_on_its_connection_only_and_store_true_everywhere() -> None:
    async def main() -> None:
        service = make_service(StepEngine(words("a")))
        ids = []
        async with Session(service) as client:
            for store in (False, True):
                await client.send(create(store=store))
                ids.append((await client.until(ResponseCompleted))[-1].response.id)
        async with Session(service) as client:
            await client.send(create(previous_response_id=ids[0]))
            assert (await client.until(ErrorEvent))[-1].error.code == "previous_response_not_found"
            await client.send(create(previous_response_id=ids[1]))
            await client.until(ResponseCompleted)

    virtual(main)


def test_bad_frames_are_answered_in_their_turn_and_the_connection_stays_open() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            await client.send(create())
            await client.end.send("{not json")
            await client.end.send('{"type":"response.create","input":5}')
            await client.send(UnknownEvent(type="response.append", raw={}))
            await client.until(ResponseCompleted)
            # The client's machine asked once more only: for the unknown frame.
            errors = [await client.raw() for _ in range(3)]
            assert [error["status"] for error in errors] == [400, 400, 400]
            codes = [error["error"]["code"] for error in errors]
            assert codes == ["invalid_json", "invalid_type", "invalid_value"]
            assert errors[1]["error"]["param"] == "input"
            await client.send(create())
            await client.until(ResponseCompleted)

    virtual(main)


def test_what_cannot_be_steered_is_said_and_processed_is_ignored() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            await client.send(ResponseProcessed(response_id="resp_1"))
            await client.send(ResponseSteer(previous_response_id="resp_1", input="shorter"))
            event = await client.next()
            assert isinstance(event, SteerFailed)
            assert event.error.code == "response_not_found"
            assert event.steer == {"previous_response_id": "resp_1", "input": "shorter"}
            await client.send(create())
            done = (await client.until(ResponseCompleted))[-1].response.id
            await client.send(ResponseSteer(previous_response_id=done, input="shorter"))
            assert (await client.next()).error.code == "response_already_completed"

    virtual(main)


def test_a_client_that_leaves_stops_the_engine_within_a_step() -> None:
    async def main() -> None:
        engine = StepEngine(lambda _: endless())
        service = make_service(engine)
        session = Session(service)
        async with session as client:
            await client.send(create())
            await client.until(OutputTextDelta)
        await asyncio.sleep(0.1)
        assert engine.closed.is_set()
        assert service.hub.load == 0

    virtual(main)


def test_lanes_are_named_checked_and_limited() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            await client.send(create(stream_id="main"))
            events = await client.until(ResponseCompleted)
            assert {event.stream_id for event in events} == {"main"}
            await client.send(create(stream_id="no spaces"))
            error = await client.next()
            assert (error.error.code, error.stream_id) == ("invalid_stream_id", "no spaces")
            for lane in range(31):
                await client.send(create(stream_id=f"lane{lane}"))
                await client.until(ResponseCompleted)
            await client.send(create(stream_id="one-more"))
            error = (await client.until(ErrorEvent))[-1].error
            assert error.code == "websocket_stream_limit_reached"

    virtual(main)


def test_a_crowd_of_requests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_QUEUED", 1)

    async def main() -> None:
        async with Session(make_service(StepEngine(words("a b")))) as client:
            await client.send(create())
            await client.until(ResponseCreated)
            await client.send(create())
            await client.send(create())
            await client.until(ResponseCompleted)
            await client.until(ResponseCompleted)
            event = await client.next()
            assert isinstance(event, ErrorEvent)
            assert event.status == 429

    virtual(main)


@pytest.mark.parametrize(
    "frame", ["no json", '{"type":"x"}', '{"type":"response.create","model":5}', encode(create())]
)
def test_a_client_that_only_sends_is_cut_off(frame: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_QUEUED", 2)
    monkeypatch.setattr(connection, "MAX_WAITING", 4)

    async def main() -> None:
        engine = StepEngine(lambda _: endless())
        session = Session(make_service(engine))
        async with session as client:
            await client.send(create())
            await client.until(ResponseCreated)
            for _ in range(4):
                await client.end.send(frame)
            await asyncio.sleep(0.1)
            assert not session.serving.done()
            await client.end.send(frame)
            await session.serving
            await asyncio.sleep(0.1)
            assert engine.closed.is_set()
            with pytest.raises(EngineUnreachableError):
                await client.end.send(frame)

    virtual(main)


def test_each_refusal_is_an_error_of_its_own() -> None:
    # One that is raised again and again would drag along what it went through before.
    assert connection._crowded() is not connection._crowded()
    assert not [
        name for name, value in vars(connection).items() if isinstance(value, BaseException)
    ]


def test_json_nested_too_deeply_is_an_error_frame_and_the_socket_stays() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            for levels in (300, 900, 100_000):
                deep = "[" * levels + "]" * levels
                for body in (f'"input":"x","metadata":{{"a":{deep}}}', f'"input":{deep}'):
                    await client.end.send(f'{{"type":"response.create",{body}}}')
                    event = await client.next()
                    assert isinstance(event, ErrorEvent)
                    assert (event.status, event.error.code) == (400, "invalid_json")
            await client.send(create())
            await client.until(ResponseCompleted)

    virtual(main)


def test_a_socket_is_closed_when_its_client_only_sends() -> None:
    engine = StepEngine(lambda _: endless())
    with running(engine, pace="sim") as (url, _):
        address = url.replace("http", "ws") + "/responses"
        with connect(address, proxy=None) as socket:
            socket.send(encode(create()))
            while "delta" not in str(socket.recv(5)):
                pass
            with suppress(ConnectionClosed):
                for _ in range(10 * connection.MAX_WAITING):
                    socket.send("no json")
            with pytest.raises(ConnectionClosed):
                deque(iter(lambda: socket.recv(5), None), maxlen=0)
        assert engine.closed.wait(5)


def test_ids_do_not_repeat() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a")))) as client:
            seen = set()
            for _ in range(3):
                await client.send(create())
                seen.add((await client.until(ResponseCompleted))[-1].response.id)
            assert len(seen) == 3

    virtual(main)


def test_a_fault_of_the_server_is_not_swallowed() -> None:
    async def main() -> None:
        service = make_service(StepEngine(words("a")))
        no_ids: dict[str, str] = {}
        service.ids = no_ids.__getitem__
        session = Session(service)
        await session.__aenter__()
        await session.client.send(create())
        with pytest.raises(KeyError):
            await session.serving

    virtual(main)
