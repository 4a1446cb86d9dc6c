"""A tape in the place of an engine: which answer, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from sparkcode.clock import LoopClock, VirtualTimeLoop
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.replay import ReplayDialer, ReplayTransport, connections
from sparkcode.link.tape import Tape, TapeHeader, TapeRecord
from sparkcode.protocol.codec import decode_server_event
from sparkcode.protocol.events import ResponseCompleted

CREATE = '{"type":"response.create","input":"hi"}'
WARM_UP = '{"type":"response.create","generate":false}'
INTERRUPT = '{"type":"response.interrupt","response_id":"resp_1"}'
LINK = 'link {"kind":"websocket","engine":"spark","model":"m","profile":"wse3"}'

TURNS = (
    TapeRecord(0, "m", LINK),
    TapeRecord(0, "q", CREATE),
    TapeRecord(0.5, "e", "a1"),
    TapeRecord(0.25, "i", "x"),
    TapeRecord(0.25, "e", "a2"),
    TapeRecord(10, "q", CREATE),
    TapeRecord(0.1, "e", "b1"),
)

T = TypeVar("T")


def on_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def arrivals(transport: ReplayTransport) -> list[tuple[float, str]]:
    clock = LoopClock()
    return [(round(clock.now(), 6), frame) async for frame in transport.frames()]


def play(
    records: tuple[TapeRecord, ...], *sent: tuple[float, str], until: float = 60
) -> list[tuple[float, str]]:
    """(time, frame) of all that arrives when frames are sent at given times, in seconds."""

    async def main() -> list[tuple[float, str]]:
        clock = LoopClock()
        transport = ReplayTransport(records, clock)
        reader = asyncio.create_task(arrivals(transport))
        for when, text in sent:
            await clock.sleep_until(when)
            await transport.send(text)
        await clock.sleep_until(until)
        await transport.close()
        return await reader

    return on_virtual_time(main())


def test_answers_keep_their_distance_from_the_frame_they_answer() -> None:
    seen = play(TURNS, (2, CREATE), (5, CREATE))
    assert seen == [(2.5, "a1"), (3, "a2"), (5.1, "b1")]


def test_nothing_arrives_before_the_client_speaks() -> None:
    assert play(TURNS) == []


def test_a_turn_asked_for_early_waits_for_the_one_before() -> None:
    assert play(TURNS, (0, CREATE), (0.1, CREATE)) == [(0.5, "a1"), (1, "a2"), (1, "b1")]


def test_what_the_engine_said_unasked_comes_first() -> None:
    records = (TapeRecord(0, "m", LINK), TapeRecord(0.5, "e", "hello"), *TURNS[1:])
    assert play(records, (0, CREATE))[:2] == [(0.5, "hello"), (0.5, "a1")]


def test_an_interrupt_on_the_tape_gates_what_followed_it() -> None:
    records = (
        TapeRecord(0, "q", CREATE),
        TapeRecord(1, "e", "a1"),
        TapeRecord(1, "q", INTERRUPT),
        TapeRecord(0.1, "e", "stopped"),
    )
    assert play(records, (0, CREATE), (3, INTERRUPT)) == [(1, "a1"), (3.1, "stopped")]


def test_an_interrupt_that_the_tape_lacks_has_no_answer() -> None:
    assert play(TURNS, (0, CREATE), (0.1, INTERRUPT), (0.2, "no json"), (5, CREATE)) == [
        (0.5, "a1"),
        (1, "a2"),
        (5.1, "b1"),
    ]


def test_recorded_frames_that_the_client_does_not_send_are_passed_over() -> None:
    records = (
        TapeRecord(0, "q", WARM_UP),
        TapeRecord(1, "e", "warm"),
        *TURNS[1:],
    )
    assert play(records, (0, CREATE)) == [(0.5, "a1"), (1, "a2")]


def test_a_warm_up_is_answered_by_its_own_record_or_completes_empty() -> None:
    records = (TapeRecord(0, "q", WARM_UP), TapeRecord(1, "e", "warm"), *TURNS[1:])
    assert play(records, (0, WARM_UP)) == [(1, "warm")]
    (_, created), (when, completed) = play(TURNS, (2, WARM_UP))
    assert "response.created" in created
    event = decode_server_event(completed)
    assert isinstance(event, ResponseCompleted)
    assert (when, event.response.id) == (2, "")


def test_a_turn_beyond_the_tape_is_an_error() -> None:
    with pytest.raises(EngineUnreachableError, match="no answer to a further turn"):
        play(TURNS, (0, CREATE), (1, CREATE), (2, CREATE))


def test_a_cut_ends_the_link_after_the_last_frame() -> None:
    async def main() -> list[tuple[float, str]]:
        transport = ReplayTransport((*TURNS, TapeRecord(0, "m", "cut")), LoopClock())
        await transport.send(CREATE)
        await transport.send(CREATE)
        seen = await arrivals(transport)
        with pytest.raises(EngineUnreachableError, match="closed"):
            await transport.send(CREATE)
        return seen

    assert on_virtual_time(main())[-1] == (1, "b1")


def test_closing_in_the_middle_of_a_gap_ends_at_once() -> None:
    assert play(TURNS, (0, CREATE), until=0.7) == [(0.5, "a1")]


def test_a_frame_due_after_the_close_is_dropped() -> None:
    async def main() -> str:
        clock = LoopClock()
        transport = ReplayTransport(TURNS, clock)
        await transport.send(CREATE)
        frames = transport.frames()
        first = await anext(frames)
        await transport.close()
        await clock.sleep_until(5)
        return first + "".join([frame async for frame in frames])

    assert on_virtual_time(main()) == "a1"


def test_each_dial_gives_the_next_connection_and_its_peer() -> None:
    second = 'link {"kind":"sse","engine":"other"}'
    records = (
        TapeRecord(0, "i", "enter"),
        *TURNS,
        TapeRecord(0, "m", "cut"),
        TapeRecord(3, "m", second),
        TapeRecord(1, "q", CREATE),
        TapeRecord(1, "e", "c1"),
        TapeRecord(1, "m", "link broken json"),
        TapeRecord(1, "x", "0"),
    )

    async def main() -> None:
        dialer = ReplayDialer(Tape(TapeHeader(), records), LoopClock(), url="t.sparklog")
        _, peer = await dialer.dial()
        assert (peer.kind, peer.url, peer.engine) == ("tape", "t.sparklog", "spark")
        assert (peer.model, peer.profile, peer.note) == ("m", "wse3", "recorded over websocket")
        transport, peer = await dialer.dial()
        assert (peer.engine, peer.note) == ("other", "recorded over sse")
        await transport.send(CREATE)
        assert await anext(transport.frames()) == "c1"
        assert (await dialer.dial())[1].note == "recorded"
        with pytest.raises(EngineUnreachableError, match="no further connection"):
            await dialer.dial()

    on_virtual_time(main())
    assert [part.cut for part in connections(records)] == [True, False, False]


def test_a_tape_without_links_is_one_connection() -> None:
    assert len(connections(TURNS[1:])) == 1
    assert len(connections([])) == 1
    assert len(ReplayDialer(iter(TURNS), LoopClock())._left) == 1
