"""The socket against a real server on loopback, and what a dialer does without one."""

from __future__ import annotations

import asyncio
import http
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.dialer import UrlDialer
from sparkcode.link.transport import MAX_FRAME_BYTES, Endpoint, UpgradeRefusedError
from sparkcode.link.websocket import WebSocketTransport, connect_websocket
from tests.link.loopback import listening

Handler = Callable[[ServerConnection], Awaitable[None]]

SPARK = {"x-spark-engine": "spark", "x-spark-model": "qwen", "x-spark-profile": "wse3"}


async def echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)


@asynccontextmanager
async def server(
    handler: Handler = echo, *, status: int = 0, seen: list[Request] | None = None
) -> AsyncIterator[str]:
    """A socket server's base URL; with ``status`` it refuses each upgrade so."""

    def on_request(connection: ServerConnection, request: Request) -> Response | None:
        if seen is not None:
            seen.append(request)
        return connection.respond(http.HTTPStatus(status), "no\n") if status else None

    def on_response(_: ServerConnection, __: Request, response: Response) -> None:
        response.headers.update(SPARK)

    async with serve(
        handler,
        "127.0.0.1",
        0,
        process_request=on_request,
        process_response=on_response,
        max_size=MAX_FRAME_BYTES,
    ) as running:
        yield f"http://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/v1"


async def test_frames_go_both_ways_over_one_socket() -> None:
    seen: list[Request] = []
    async with server(seen=seen) as url:
        transport, peer = await UrlDialer(url, "sk-1", headers={"x-more": "1"}).dial()
        assert isinstance(transport, WebSocketTransport)
        assert (peer.kind, peer.url, peer.note) == ("websocket", url, "")
        assert (peer.engine, peer.model, peer.profile) == ("spark", "qwen", "wse3")
        frames = transport.frames()
        big = "x" * (2 * 1024 * 1024)
        for text in ("one", "zwei €", big):
            await transport.send(text)
            assert await anext(frames) == text
        await transport.close()
        assert [frame async for frame in frames] == []
    (request,) = seen
    assert request.path == "/v1/responses"
    assert request.headers["Authorization"] == "Bearer sk-1"
    assert request.headers["x-spark-timing"] == "true"
    assert request.headers["x-responsesapi-include-timing-metrics"] == "true"
    assert request.headers["x-more"] == "1"
    assert request.headers["User-Agent"].startswith("sparkcode/")
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_a_cut_in_the_middle_of_a_stream_ends_the_frames() -> None:
    async def cut(connection: ServerConnection) -> None:
        await connection.send("a")
        await connection.recv()
        connection.transport.abort()

    async with server(cut) as url:
        transport, _ = await UrlDialer(url).dial()
        frames = transport.frames()
        assert await anext(frames) == "a"
        await transport.send("go")
        assert [frame async for frame in frames] == []
        with pytest.raises(EngineUnreachableError, match="closed the socket"):
            await transport.send("late")
        await transport.close()


async def test_a_binary_frame_ends_the_link() -> None:
    closed: list[int | None] = []

    async def binary(connection: ServerConnection) -> None:
        await connection.send(b"\x00")
        await connection.wait_closed()
        closed.append(connection.close_code)

    async with server(binary) as url:
        transport, _ = await UrlDialer(url).dial()
        assert [frame async for frame in transport.frames()] == []
    assert closed == [1003]


async def test_a_refused_key_is_not_a_reason_for_http() -> None:
    async with server(status=401) as url:
        with pytest.raises(EngineUnreachableError, match=r"refused the API key .*set MY_KEY or"):
            await UrlDialer(url, "sk-1", key_env="MY_KEY").dial()
        with pytest.raises(EngineUnreachableError, match="a request without an API key"):
            await UrlDialer(url).dial()


async def test_a_server_in_trouble_is_not_a_reason_for_http() -> None:
    async with server(status=503) as url:
        with pytest.raises(EngineUnreachableError, match=r"no engine answers at .*\(HTTP 503\)"):
            await UrlDialer(url).dial()


@pytest.mark.parametrize("status", [426, 404, 405, 403, 400, 501])
async def test_other_refusals_ask_for_http_at_once(status: int) -> None:
    seen: list[Request] = []
    async with server(status=status, seen=seen) as url:
        with pytest.raises(UpgradeRefusedError, match=f"HTTP {status}"):
            await connect_websocket(Endpoint(url))
    assert len(seen) == 1


async def test_a_port_where_nobody_listens_is_refused() -> None:
    async with server() as url:
        pass
    with pytest.raises(EngineUnreachableError) as caught:
        await UrlDialer(url).dial()
    assert str(caught.value) == f"no engine answers at {url} (refused)"


@asynccontextmanager
async def tcp(answer: bytes | None) -> AsyncIterator[Endpoint]:
    """A server that answers any request with these bytes; None never answers."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)

    async with listening(handle) as port:
        yield Endpoint(f"http://127.0.0.1:{port}/v1", timeout=0.1)


async def test_a_handshake_without_an_answer_asks_for_http() -> None:
    async with tcp(None) as endpoint:
        with pytest.raises(UpgradeRefusedError, match=r"no WebSocket handshake within 0\.1 s"):
            await connect_websocket(endpoint)


async def test_something_that_speaks_no_http_is_no_engine() -> None:
    async with tcp(b"SSH-2.0-OpenSSH\r\n\r\n") as endpoint:
        with pytest.raises(EngineUnreachableError, match="no engine answers") as caught:
            await connect_websocket(endpoint)
    assert not isinstance(caught.value, UpgradeRefusedError)
    assert "\n" not in str(caught.value)


async def test_a_broken_handshake_asks_for_http() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    async with tcp(answer) as endpoint:
        with pytest.raises(UpgradeRefusedError, match="SSE: "):
            await connect_websocket(endpoint)
