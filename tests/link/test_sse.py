"""HTTP with server-sent events: a link that looks like a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.dialer import UrlDialer
from sparkcode.link.sse import SseTransport, _root, connect_sse
from sparkcode.link.transport import Endpoint, reason_of
from sparkcode.protocol.codec import decode_server_event, encode
from sparkcode.protocol.events import (
    ErrorEvent,
    InterruptAccepted,
    InterruptFailed,
    MessageItem,
    OutputItemAdded,
    OutputItemInterrupted,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseIncomplete,
    ServerEvent,
)
from tests.link.loopback import listening

Body = dict[str, Any]
Answer = Callable[[Body, asyncio.StreamWriter], Awaitable[None]]
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WHO = b"x-spark-engine: scripted\r\nx-spark-model: m\r\n"


def sse(event: ServerEvent) -> bytes:
    text = encode(event)
    return f"event: {json.loads(text)['type']}\ndata: {text}\n\n".encode()


def response(status: Any = "completed", number: int = 1) -> Response:
    return Response(id=f"resp_{number}", status=status)


@dataclass
class Server:
    """A small HTTP server; ``answer`` writes what follows a POST."""

    answer: Answer
    upgrade: int = 426
    models: int = 200
    url: str = ""
    requests: list[tuple[str, dict[str, str], Body]] = field(default_factory=list)

    @property
    def posts(self) -> list[Body]:
        return [body for line, _, body in self.requests if line.startswith("POST")]

    @property
    def lines(self) -> list[str]:
        return [line for line, _, _ in self.requests]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(
            (head[0].removesuffix(" HTTP/1.1"), headers, json.loads(body) if body else {})
        )
        if body:
            await self.answer(self.requests[-1][2], writer)
        else:
            status = self.upgrade if "upgrade" in headers else self.models
            line = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n"
            writer.write(line.encode() + WHO + b"\r\n")


@asynccontextmanager
async def serving(answer: Answer, **fields: Any) -> AsyncIterator[Server]:
    server = Server(answer, **fields)
    async with listening(server.handle) as port:
        server.url = f"http://127.0.0.1:{port}/v1"
        yield server


@asynccontextmanager
async def linked(server: Server) -> AsyncIterator[tuple[SseTransport, AsyncIterator[ServerEvent]]]:
    transport, _ = await connect_sse(Endpoint(server.url, "sk-1"))
    try:
        yield transport, (decode_server_event(text) async for text in transport.frames())
    finally:
        await transport.close()


def whole(status: int, kind: str, body: bytes) -> Answer:
    async def answer(_: Body, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)

    return answer


async def complete(body: Body, writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM + sse(ResponseCreated(response=response("in_progress"))))
    await writer.drain()
    writer.write(sse(OutputTextDelta(sequence_number=1, delta=str(body["input"]))))
    writer.write(sse(ResponseCompleted(sequence_number=2, response=response())))
    writer.write(b"data: [DONE]\n\n")


CREATE = '{"type":"response.create","model":"m","input":"hi","stream_id":"main"}'


async def test_a_response_arrives_as_the_frames_of_a_socket() -> None:
    async with serving(complete) as server, linked(server) as (transport, events):
        await transport.send(CREATE)
        await transport.send(CREATE.replace("hi", "again"))
        kinds = [type(await anext(events)) for _ in range(3)]
        assert kinds == [ResponseCreated, OutputTextDelta, ResponseCompleted]
        assert isinstance(await anext(events), ResponseCreated)
        delta = await anext(events)
        assert isinstance(delta, OutputTextDelta)
        assert delta.delta == "again"
    assert server.posts[0] == {"model": "m", "input": "hi", "stream": True}
    _, headers, _ = server.requests[-1]
    assert headers["authorization"] == "Bearer sk-1"
    assert headers["accept"] == "text/event-stream"
    assert headers["x-spark-timing"] == "true"


async def test_a_warm_up_completes_without_a_request() -> None:
    async with serving(complete) as server, linked(server) as (transport, events):
        await transport.send('{"type":"response.create","model":"m","generate":false}')
        assert isinstance(await anext(events), ResponseCreated)
        completed = await anext(events)
        assert isinstance(completed, ResponseCompleted)
        assert (completed.response.id, completed.response.model) == ("", "m")
        await transport.send('{"type":"response.create","input":"hi","generate":true}')
        assert isinstance(await anext(events), ResponseCreated)
    assert server.posts == [{"input": "hi", "stream": True}]


async def test_an_interrupt_closes_the_stream_and_ends_the_response() -> None:
    gone = asyncio.Event()

    async def endless(_: Body, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + sse(ResponseCreated(response=response("in_progress"))))
        writer.write(sse(OutputItemAdded(sequence_number=1, item=MessageItem(id="msg_1"))))
        try:
            while not writer.transport.is_closing():
                writer.write(sse(OutputTextDelta(sequence_number=2, delta="x")))
                await writer.drain()
                await asyncio.sleep(0.005)
        finally:
            gone.set()

    async with serving(endless) as server, linked(server) as (transport, events):
        await transport.send(CREATE)
        seen = [await anext(events) for _ in range(4)]
        await transport.send('{"type":"response.interrupt","response_id":"resp_1"}')
        while not isinstance(seen[-1], ResponseIncomplete):
            seen.append(await anext(events))
        assert [type(event) for event in seen[-3:]] == [
            InterruptAccepted,
            OutputItemInterrupted,
            ResponseIncomplete,
        ]
        await asyncio.wait_for(gone.wait(), 2)
        # The same link serves the next turn.
        server.answer = complete
        await transport.send(CREATE)
        assert isinstance(await anext(events), ResponseCreated)
        kinds = [type(await anext(events)) for _ in range(2)]
        assert kinds == [OutputTextDelta, ResponseCompleted]
        # Too late: nothing is said.
        await transport.send('{"type":"response.interrupt","response_id":"resp_1"}')
        await transport.send('{"type":"response.interrupt","response_id":"resp_9"}')
        failed = await anext(events)
        assert isinstance(failed, InterruptFailed)
        assert failed.response_id == "resp_9"


async def test_frames_without_an_http_form_are_dropped() -> None:
    async with serving(complete) as server, linked(server) as (transport, events):
        await transport.send('{"type":"response.processed","response_id":"resp_1"}')
        await transport.send(CREATE)
        assert isinstance(await anext(events), ResponseCreated)
    assert len(server.posts) == 1


NOT_FOUND = b'{"error":{"message":"gone","type":"t","code":"previous_response_not_found"}}'


@pytest.mark.parametrize(
    ("status", "kind", "body", "seen", "message"),
    [
        (400, "application/json", NOT_FOUND, 400, "gone"),
        (502, "text/html", b"<h1>Bad\n gateway</h1>", 502, "HTTP 502: '<h1>Bad gateway</h1>'"),
        (200, "application/json", b'{"id":"resp_1"}', 502, "HTTP 200"),
        (500, "text/plain", b"x" * 300_000, 500, "xxx"),
        (400, "application/json", b'{"a":' + b"[" * 20_000, 400, "[[["),
    ],
)
async def test_an_http_error_is_an_error_frame_with_its_status(
    status: int, kind: str, body: bytes, seen: int, message: str
) -> None:
    async with serving(whole(status, kind, body)) as server, linked(server) as (transport, events):
        await transport.send(CREATE)
        event = await anext(events)
        assert isinstance(event, ErrorEvent)
        assert event.status == seen
        assert message in event.error.message
        assert len(event.error.message) < 500
        server.answer = complete
        await transport.send(CREATE)
        assert isinstance(await anext(events), ResponseCreated)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        sse(OutputTextDelta(delta="x")),
        b"data: no json\n\n",
        b'data: {"type":"x","a":' + b"[" * 100_000 + b"\n\n",
    ],
    ids=["0", "1", "no json", "too deep"],
)
async def test_a_stream_that_breaks_off_ends_the_link(rest: bytes) -> None:
    async def broken(_: Body, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + sse(ResponseCreated(response=response("in_progress"))) + rest)

    async with serving(broken) as server, linked(server) as (transport, events):
        await transport.send(CREATE)
        assert isinstance(await anext(events), ResponseCreated)
        assert all([isinstance(event, OutputTextDelta) async for event in events])
        with pytest.raises(EngineUnreachableError, match="closed"):
            await transport.send(CREATE)


async def test_a_server_that_goes_away_ends_the_link() -> None:
    async with serving(complete) as server:
        transport, _ = await connect_sse(Endpoint(server.url))
    await transport.send(CREATE)
    assert [frame async for frame in transport.frames()] == []
    await transport.close()


async def test_closing_in_the_middle_of_a_stream_drops_the_connection() -> None:
    gone = asyncio.Event()

    async def silent(_: Body, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + sse(ResponseCreated(response=response("in_progress"))))
        await writer.drain()
        while not writer.transport.is_closing():
            writer.write(b": ping\n\n")
            await asyncio.sleep(0.005)
        gone.set()

    async with serving(silent) as server:
        transport, _ = await connect_sse(Endpoint(server.url))
        await transport.send(CREATE)
        frames = transport.frames()
        await anext(frames)
        await transport.close()
        await transport.close()
        assert [frame async for frame in frames] == []
        await asyncio.wait_for(gone.wait(), 2)


# --- the dialer's fallback ------------------------------------------------------------------


@pytest.mark.parametrize("status", [426, 404, 405])
async def test_a_dialer_falls_back_at_once_and_stays(status: int) -> None:
    async with serving(complete, upgrade=status) as server:
        dialer = UrlDialer(server.url, "sk-1")
        for _ in range(2):
            transport, peer = await dialer.dial()
            assert isinstance(transport, SseTransport)
            assert (peer.kind, peer.url, peer.engine) == ("sse", dialer.url, "scripted")
            assert peer.note == f"SSE: the server refused a WebSocket (HTTP {status})"
            await transport.close()
    assert server.lines == ["GET /v1/responses", "GET /v1/models", "GET /v1/models"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_http_refuses_is_reported(status: int) -> None:
    async with serving(complete, upgrade=403, models=status) as server:
        dialer = UrlDialer(server.url, "sk-1")
        with pytest.raises(EngineUnreachableError, match="SPARKCODE_API_KEY"):
            await dialer.dial()
        # A fallback that did not work is not kept.
        server.upgrade, server.models = 401, 200
        with pytest.raises(EngineUnreachableError, match="HTTP 401"):
            await dialer.dial()


def test_several_failed_addresses_have_one_reason() -> None:
    error = httpx.ConnectError("all failed")
    error.__cause__ = ExceptionGroup("two", [ConnectionRefusedError(111, "no"), OSError("x")])
    assert reason_of(_root(error)) == "refused"
    assert reason_of(_root(httpx.ReadError(""))) == "ReadError"


def test_a_failure_in_a_group_is_told_and_not_its_group() -> None:
    group = ExceptionGroup("unhandled", [ExceptionGroup("x", [OverflowError("port too large")])])
    assert reason_of(_root(group)) == "port too large"


async def test_http_that_is_refused_says_so() -> None:
    async with serving(complete) as server:
        pass
    with pytest.raises(EngineUnreachableError, match=r"no engine answers at .* \(refused\)"):
        await connect_sse(Endpoint(server.url))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, "no answer in time"), (b"", "disconnected"), (b"?\r\n", "no engine answers")],
)
async def test_something_else_on_the_port_is_no_engine(answer: bytes | None, reason: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        writer.write(answer or b"")

    async with listening(handle) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", timeout=0.1)
        with pytest.raises(EngineUnreachableError, match=reason) as caught:
            await connect_sse(endpoint)
    assert "\n" not in str(caught.value)
