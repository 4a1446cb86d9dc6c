from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sparkcode.assistant.flight import Flight, Flights, error_code
from sparkcode.assistant.lifeline import Late, Lifeline, Lost, Message, Received, Up, Woken
from sparkcode.clock import LoopClock
from sparkcode.errors import EngineUnreachableError, RemoteProtocolError
from sparkcode.link.transport import Peer, Transport
from sparkcode.protocol.events import (
    ErrorBody,
    ErrorEvent,
    OutputTextDelta,
    Response,
    ResponseCreate,
    ResponseCreated,
    ResponseError,
    ResponseFailed,
)
from tests.assistant.server import virtually

PEER = Peer("memory", "memory")
CREATED = '{"type":"response.created","response":{"id":"r"}}'


class Wire:
    """A transport that brings the given frames and can be told to break."""

    def __init__(
        self, *frames: str, send: Exception | None = None, read: Exception | None = None
    ) -> None:
        self._frames = frames
        self._send = send
        self._read = read
        self.sent: list[str] = []
        self.closed = asyncio.Event()

    async def send(self, text: str) -> None:
        if self._send is not None:
            raise self._send
        self.sent.append(text)

    async def frames(self) -> AsyncIterator[str]:
        for frame in self._frames:
            yield frame
        if self._read is not None:
            raise self._read
        await self.closed.wait()

    async def close(self) -> None:
        self.closed.set()


class Wires:
    """A dialer that hands out wires in order, and then refuses."""

    def __init__(self, *wires: Wire) -> None:
        self.wires = list(wires)

    async def dial(self) -> tuple[Transport, Peer]:
        if not self.wires:
            raise EngineUnreachableError("no engine")
        return self.wires.pop(0), PEER


async def take(line: Lifeline, count: int) -> list[Message]:
    return [await anext(line) for _ in range(count)]


def test_a_send_that_fails_is_a_cut() -> None:
    async def work() -> None:
        broken = Wire(send=EngineUnreachableError("the engine closed the socket"))
        async with Lifeline(Wires(broken, Wire()), LoopClock()) as line:
            assert [line.up] == [False]
            await line.send(ResponseCreate())
            assert await take(line, 1) == [Up(PEER)]
            assert line.up
            await line.send(ResponseCreate())
            assert await take(line, 2) == [Lost("the engine closed the socket"), Up(PEER)]
            assert broken.closed.is_set()
            assert LoopClock().now() == pytest.approx(0.2)

    virtually(work)


@pytest.mark.parametrize("error", [RemoteProtocolError("too long"), OSError("too long")])
def test_a_read_that_fails_is_a_cut(error: Exception) -> None:
    async def work() -> None:
        async with Lifeline(Wires(Wire(read=error)), LoopClock()) as line:
            assert await take(line, 2) == [Up(PEER), Lost("too long")]

    virtually(work)


def test_frames_of_a_link_that_is_gone_are_not_read() -> None:
    async def work() -> None:
        async with Lifeline(Wires(Wire(CREATED, CREATED), Wire()), LoopClock()) as line:
            assert await take(line, 1) == [Up(PEER)]
            await line.send(ResponseCreate())
            await asyncio.sleep(1)
            await line.recycle("enough")
            await line.recycle("twice")
            assert await take(line, 2) == [Lost("enough"), Up(PEER)]

    virtually(work)


def test_only_a_frame_proves_a_link() -> None:
    async def work() -> None:
        wires = [Wire(read=EngineUnreachableError("bye")) for _ in range(3)]
        heard = Wire(CREATED, read=EngineUnreachableError("bye"))
        async with Lifeline(Wires(*wires, heard, Wire()), LoopClock()) as line:
            await take(line, 6)
            assert await take(line, 1) == [Up(PEER)]
            assert LoopClock().now() == pytest.approx(0.2 + 0.4 + 0.8)
            await line.send(ResponseCreate())
            event = ResponseCreated(response=Response(id="r"))
            assert await take(line, 2) == [Received(event, LoopClock().now()), Lost("bye")]
            assert await take(line, 1) == [Up(PEER)]
            assert LoopClock().now() == pytest.approx(1.4 + 0.2)

    virtually(work)


def test_what_waits_is_handled_before_the_end() -> None:
    async def work() -> None:
        line = Lifeline(Wires(Wire()), LoopClock())
        line.wake()
        line.close()
        async with line:
            assert [message async for message in line] == [Woken()]

    virtually(work)


def test_a_link_that_nobody_took_is_closed() -> None:
    async def work() -> None:
        wire = Wire()
        async with Lifeline(Wires(wire), LoopClock()):
            await asyncio.sleep(1)
        assert wire.closed.is_set()

    virtually(work)


def test_a_watch_rings_once() -> None:
    async def work() -> None:
        async with Lifeline(Wires(Wire()), LoopClock()) as line:
            assert await take(line, 1) == [Up(PEER)]
            flight = Flight(1)
            line.watch(flight, 60)
            assert await take(line, 1) == [Late(flight)]
            assert LoopClock().now() == pytest.approx(60)

    virtually(work)


def test_the_oldest_request_owns_what_arrives() -> None:
    flights = Flights()
    assert flights.receive(OutputTextDelta(delta="x")) is None
    first, second = Flight(1), Flight(2)
    flights.add(first)
    flights.add(second)
    assert flights.receive(ResponseCreated(response=Response(id="r"))) is first
    assert flights.receive(OutputTextDelta(delta="x")) is first
    flights.drop(2)
    assert flights.receive(ErrorEvent()) is first
    assert (first.response_id, first.heard, first.dropped) == ("r", True, False)
    assert (second.heard, second.dropped, len(flights)) == (False, True, 1)


def test_codes_of_failures() -> None:
    assert error_code(ErrorEvent(error=ErrorBody(code="c"))) == "c"
    assert error_code(ErrorEvent(error=ErrorBody(type="t"))) == "t"
    assert error_code(ResponseFailed(response=Response(error=ResponseError(code="c")))) == "c"
    assert error_code(ResponseFailed(response=Response())) == ""
