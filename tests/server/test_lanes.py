"""Lanes of one connection, and steering."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sparkcode.engine.base import Channel, GenerateRequest, Message, ToolOutput
from sparkcode.engine.scripted import ScriptedEngine, parse_script
from sparkcode.protocol.events import (
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseIncomplete,
    ResponseInterrupt,
    ResponseSteer,
    SteerAccepted,
    SteerFailed,
    SteerPending,
)
from sparkcode.server import connection, steering
from tests.server.support import (
    Client,
    Session,
    StepEngine,
    create,
    make_service,
    tags,
    text_of,
    virtual,
    words,
)


def slow(request: GenerateRequest) -> Any:
    """The last words said, one in ten simulated seconds where they are to be slow."""
    rate = 0.1 if "slow" in request.last_user_text else 100.0
    return words(request.last_user_text, rate=rate)


def engine(steps: Any = slow) -> StepEngine:
    return StepEngine(steps, concurrent=8)


async def begun(client: Client, text: str, **fields: Any) -> str:
    """The id of a response that streams."""
    await client.send(create(text, **fields))
    return str((await client.until(ResponseCreated))[-1].response.id)


def test_lanes_run_beside_each_other_and_each_in_order() -> None:
    async def main() -> None:
        async with Session(make_service(engine())) as client:
            await client.send(create("slow slow slow", stream_id="a"))
            await client.send(create("one", stream_id="b"))
            await client.send(create("two", stream_id="b"))
            await client.send(create("default"))
            done = [(await client.until(ResponseCompleted))[-1] for _ in range(4)]
            assert [text_of(event.response) for event in done][-1] == "slow slow slow "
            lanes = [getattr(event, "stream_id", None) or None for event in done]
            texts = [text_of(event.response) for event in done if event.stream_id == "b"]
            assert texts == ["one ", "two "]
            assert lanes[-1] == "a"

    virtual(main)


def test_a_lane_can_be_forked_and_a_failed_fork_keeps_the_parent() -> None:
    async def main() -> None:
        spark = engine()
        async with Session(make_service(spark)) as client:
            await client.send(create("root", store=False))
            root = (await client.until(ResponseCompleted))[-1].response.id
            stray = {"type": "function_call_output", "call_id": "call_x", "output": "1"}
            await client.send(
                ResponseCreate(input=[stray], previous_response_id=root, stream_id="bad")
            )
            assert "No tool call found" in (await client.next()).error.message
            for lane in ("left", "right"):
                await client.send(
                    create(lane, previous_response_id=root, stream_id=lane, store=False)
                )
                await client.until(ResponseCompleted)
                said = [item.text for item in spark.requests[-1].items if isinstance(item, Message)]
                assert said == ["root", "root ", lane]

    virtual(main)


def test_only_so_many_lanes_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_IN_FLIGHT", 1)

    async def main() -> None:
        async with Session(make_service(engine())) as client:
            await client.send(create("slow slow", stream_id="a"))
            await client.until(OutputTextDelta)
            await client.send(create("quick", stream_id="b"))
            first = (await client.until(ResponseCompleted))[-1]
            assert first.stream_id == "a"
            assert (await client.until(ResponseCompleted))[-1].stream_id == "b"

    virtual(main)


def test_an_interrupt_finds_its_lane() -> None:
    async def main() -> None:
        async with Session(make_service(engine())) as client:
            one = await begun(client, "slow slow slow", stream_id="a")
            await begun(client, "slow slow", stream_id="b")
            await client.send(ResponseInterrupt(response_id=one))
            assert (await client.until(ResponseIncomplete))[-1].stream_id == "a"
            assert (await client.until(ResponseCompleted))[-1].stream_id == "b"

    virtual(main)


def test_a_steer_becomes_the_next_response() -> None:
    async def main() -> None:
        spark = engine()
        async with Session(make_service(spark)) as client:
            one = await begun(client, "slow slow", stream_id="a", instructions="Be kind.")
            await client.until(OutputTextDelta)
            messages = [{"role": "user", "content": "and soft"}]
            for given in ("be short", messages):
                await client.send(ResponseSteer(previous_response_id=one, input=given))
            accepted = [(await client.until(SteerAccepted))[-1] for _ in range(2)]
            assert {event.stream_id for event in accepted} == {"a"}
            assert {event.steer.previous_response_id for event in accepted} == {one}
            await client.send(create("later", stream_id="a"))
            assert (await client.until(ResponseCompleted))[-1].response.id == one
            events = await client.until(ResponseCompleted)
            assert tags(events)[0] == "created"
            assert events[0].response.previous_response_id == one
            assert text_of(events[-1].response) == "and soft "
            said = [item.text for item in spark.requests[1].items if isinstance(item, Message)]
            assert said == ["Be kind.", "slow slow", "slow slow ", "be short", "and soft"]
            assert text_of((await client.until(ResponseCompleted))[-1].response) == "later "
            assert client.lanes.machine("a").state == "idle"

    virtual(main)


@pytest.mark.parametrize(
    "given",
    [
        "",
        [],
        3,
        None,
        ["hi"],
        [{"role": "assistant", "content": "x"}],
        [{"role": "user"}],
        [{"type": "function_call_output", "call_id": "c", "output": "x"}],
        "x" * (connection.MAX_STEER_BYTES + 1),
    ],
)
def test_input_that_cannot_steer(given: Any) -> None:
    async def main() -> None:
        async with Session(make_service(engine())) as client:
            one = await begun(client, "slow slow")
            await client.send(ResponseSteer(previous_response_id=one, input=given))
            failed = (await client.until(SteerFailed))[-1]
            assert failed.error.code == "invalid_input"
            assert "id" not in failed.steer
            await client.until(ResponseCompleted)
            assert client.machine.state == "idle"

    virtual(main)


def test_only_so_many_steers_wait() -> None:
    async def main() -> None:
        async with Session(make_service(engine())) as client:
            one = await begun(client, "slow slow")
            for _ in range(steering.MAX_STEERS + 1):
                await client.send(ResponseSteer(previous_response_id=one, input="more"))
            failed = (await client.until(SteerFailed))[-1]
            assert failed.error.code == "too_many_pending_steers"

    virtual(main)


def test_a_steer_of_a_response_that_is_stopped_gives_its_input_back() -> None:
    async def main() -> None:
        async with Session(make_service(engine())) as client:
            one = await begun(client, "slow slow")
            await client.send(ResponseSteer(previous_response_id=one, input="more"))
            await client.until(SteerAccepted)
            await client.send(ResponseInterrupt(response_id=one))
            await client.until(ResponseIncomplete)
            failed = await client.next()
            assert isinstance(failed, SteerFailed)
            assert failed.error.code == "response_not_active"
            assert failed.steer["input"] == [{"type": "message", "role": "user", "content": "more"}]
            assert client.machine.state == "idle"
            await client.send(create("again"))
            await client.until(ResponseCompleted)

    virtual(main)


def test_a_steer_waits_for_what_the_client_owes() -> None:
    async def main() -> None:
        call = Channel("function_call", "look")
        spark = engine(
            lambda request: (
                words("{}", call, ttft=5.0) if request.last_user_text == "find" else words("found")
            )
        )
        async with Session(make_service(spark)) as client:
            one = await begun(client, "find")
            await client.send(ResponseSteer(previous_response_id=one, input="only here"))
            await client.until(SteerAccepted)
            done = (await client.until(ResponseCompleted))[-1].response
            pending = await client.next()
            assert isinstance(pending, SteerPending)
            assert pending.reason == "waiting_for_required_input"
            call_id = done.output[0].call_id
            assert pending.required_input == [
                {"type": "function_call_output", "call_id": call_id, "name": "look"}
            ]
            output = {"type": "function_call_output", "call_id": call_id, "output": "7"}
            await client.send(ResponseCreate(input=[output], previous_response_id=one))
            await client.until(ResponseCompleted)
            items = spark.requests[-1].items
            assert items[-2:] == (Message("user", "only here"), ToolOutput(call_id, "7"))
            await client.send(create("find"))
            await client.until(ResponseCompleted)
            assert spark.requests[-1].items == (Message("user", "find"),)

    virtual(main)


def test_what_the_client_owes() -> None:
    from sparkcode.protocol.events import CustomToolCallItem, MessageItem, Response

    response = Response(output=[MessageItem(), CustomToolCallItem(call_id="c", name="apply_patch")])
    assert steering.required_input(response) == [
        {"type": "custom_tool_call_output", "call_id": "c"}
    ]
    assert steering.input_of([], "text") == [{"type": "message", "role": "user", "content": "text"}]


def test_a_successor_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        service = make_service(engine())
        async with Session(service) as client:
            one = await begun(client, "slow slow", store=False)
            await client.send(ResponseSteer(previous_response_id=one, input="more"))
            await client.until(SteerAccepted)
            monkeypatch.setattr(
                steering, "successor", lambda create, final, accepted: create_missing()
            )
            await client.until(ResponseCompleted)
            failed = await client.next()
            assert isinstance(failed, SteerFailed)
            assert failed.error.code == "successor_creation_failed"
            assert client.machine.state == "idle"

    def create_missing() -> ResponseCreate:
        return create("more", previous_response_id="resp_nobody")

    virtual(main)


def test_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_QUEUED_BYTES", 1000)

    async def main() -> None:
        async with Session(make_service(engine())) as client:
            await begun(client, "slow slow")
            await client.send(create("x" * 600))
            await client.send(create("y" * 600))
            await client.until(ResponseCompleted)
            await client.until(ResponseCompleted)
            assert (await client.next()).error.code == "rate_limit_exceeded"

    virtual(main)


def test_scripted_answers_are_each_told_at_their_own_pace() -> None:
    async def main() -> None:
        rules = parse_script(['{"reply": "one two three four", "tokens_per_second": 1}'], "x")
        async with Session(make_service(ScriptedEngine(rules))) as client:
            began = asyncio.get_running_loop().time()
            for lane in ("a", "b", "c", "d"):
                await client.send(create("x", stream_id=lane))
            for _ in range(4):
                await client.until(ResponseCompleted)
            took = asyncio.get_running_loop().time() - began
            # One after another it would be four times as long.
            assert took == pytest.approx(3.1, abs=0.1)

    virtual(main)
