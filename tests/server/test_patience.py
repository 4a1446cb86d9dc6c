"""Clients that dawdle, crowd or fall silent hold nothing for ever."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from sparkcode.engine.base import GenerateRequest, Step
from sparkcode.protocol.events import ResponseCompleted
from sparkcode.server import app, connection, patience, streaming
from tests.server.support import (
    Session,
    StepEngine,
    create,
    make_service,
    running,
    virtual,
    words,
)


def dial(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)


def whole(end: socket.socket) -> bytes:
    """An answer of JSON."""
    received = b""
    while not received.endswith(b"}"):
        part = end.recv(65536)
        assert part, received
        received += part
    return received


def ends(end: socket.socket) -> bytes:
    """Everything that comes until the server closes; TimeoutError if it does not."""
    received = b""
    while part := end.recv(65536):
        received += part
    return received


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-"])
def test_headers_that_never_end(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.1)
    with running(StepEngine()) as (url, _), dial(url) as end:
        end.sendall(begun)
        assert ends(end) == b""


def test_headers_that_dawdle_in_a_second_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", 1.0)
    with running(StepEngine()) as (url, _), dial(url) as end:
        end.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert whole(end).startswith(b"HTTP/1.1 200")
        end.sendall(b"GET /")
        assert ends(end) == b""


def test_a_long_answer_is_not_dawdling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.5)
    engine = StepEngine(words("a b c d"), before=lambda: time.sleep(0.2))
    with running(engine) as (url, _):
        answer = httpx.post(f"{url}/responses", json={"input": "x"}, trust_env=False)
        assert answer.status_code == 200


def test_a_crowd_from_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MAX_CONNECTIONS", 3)
    with running(StepEngine()) as (url, _):
        with ExitStack() as stack:
            crowd = [stack.enter_context(dial(url)) for _ in range(3)]
            with dial(url) as late:
                assert ends(late).startswith(b"HTTP/1.1 503")
            crowd[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert whole(crowd[0]).startswith(b"HTTP/1.1 200")
        deadline = time.monotonic() + 10
        while True:
            with dial(url) as end:
                end.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if ends(end).startswith(b"HTTP/1.1 200"):
                    break
            assert time.monotonic() < deadline


def test_a_body_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)
    with running(StepEngine()) as (url, _), dial(url) as end:
        head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        end.sendall(head.encode())
        answer = whole(end)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"request_timeout" in answer


def test_a_client_that_reads_nothing_of_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALLED_SECONDS", 0.2)

    def flood(_: GenerateRequest) -> Iterator[Step]:
        while True:
            yield Step(sim_time=0.0, text="x" * 100_000, tokens=1)

    engine = StepEngine(flood)
    with running(engine) as (url, _), dial(url) as end:
        body = b'{"input":"x","stream":true}'
        head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        end.sendall(head.encode() + body)
        assert engine.closed.wait(10)


def test_a_socket_that_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 100.0)

    async def main() -> None:
        engine = StepEngine(lambda _: words("a b c d", rate=0.01))
        async with Session(make_service(engine)) as client:
            loop = asyncio.get_running_loop()
            await client.send(create())
            # Longer than the limit, but it was no idleness.
            await client.until(ResponseCompleted)
            over = loop.time()
            assert over > 300
            with pytest.raises(StopAsyncIteration):
                await client.next()
            assert 90 <= loop.time() - over <= 200

    virtual(main)
