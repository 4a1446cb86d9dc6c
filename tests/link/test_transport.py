"""The in-memory link and the reading of URLs; what needs a server is in test_websocket."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import EngineUnreachableError, UsageError
from sparkcode.link.transport import (
    Endpoint,
    FramePipe,
    base_url,
    memory_pair,
    reason_of,
)


async def test_both_ends_see_what_the_other_sent_in_order() -> None:
    client, server = memory_pair()
    for number in range(3):
        await client.send(f"c{number}")
        await server.send(f"s{number}")
    await client.close()
    assert [frame async for frame in server.frames()] == ["c0", "c1", "c2"]
    assert [frame async for frame in client.frames()] == ["s0", "s1", "s2"]


@pytest.mark.parametrize("closer", [0, 1])
async def test_closing_one_end_ends_both(closer: int) -> None:
    ends = memory_pair()
    await ends[closer].close()
    await ends[closer].close()
    for end in ends:
        assert [frame async for frame in end.frames()] == []
        with pytest.raises(EngineUnreachableError, match="closed"):
            await end.send("late")


async def test_a_full_pipe_makes_the_sender_wait_until_there_is_room() -> None:
    pipe = FramePipe(capacity=2)
    await pipe.put("1")
    await pipe.put("2")
    third = asyncio.create_task(pipe.put("3"))
    await asyncio.sleep(0)
    assert not third.done()
    frames = pipe.frames()
    assert await anext(frames) == "1"
    await third
    assert await anext(frames) == "2"
    assert await anext(frames) == "3"


async def test_closing_wakes_every_waiting_sender() -> None:
    pipe = FramePipe(capacity=1)
    await pipe.put("1")
    waiting = [asyncio.create_task(pipe.put("x")) for _ in range(3)]
    await asyncio.sleep(0)
    pipe.close()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, EngineUnreachableError) for result in results)
    assert pipe.closed
    assert [frame async for frame in pipe.frames()] == ["1"]


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        ("http://127.0.0.1:8900/v1", "http://127.0.0.1:8900/v1"),
        ("http://127.0.0.1:8900/v1///", "http://127.0.0.1:8900/v1"),
        ("http://127.0.0.1:8900", "http://127.0.0.1:8900/v1"),
        ("127.0.0.1:8900", "http://127.0.0.1:8900/v1"),
        ("localhost:8900/", "http://localhost:8900/v1"),
        ("localhost", "http://localhost/v1"),
        ("[::1]:8900", "http://[::1]:8900/v1"),
        ("127.1.2.3:80", "http://127.1.2.3:80/v1"),
        ("gpu-box:8000", "https://gpu-box:8000/v1"),
        ("http://gpu-box:8000", "http://gpu-box:8000/v1"),
        ("10.0.0.1:8900", "https://10.0.0.1:8900/v1"),
        ("localhost.example.com:80", "https://localhost.example.com:80/v1"),
        ("api.example.com", "https://api.example.com/v1"),
        ("api.example.com:443/v1", "https://api.example.com:443/v1"),
        ("ws://h:1/v1", "http://h:1/v1"),
        ("wss://api.x.ai/v1/responses", "https://api.x.ai/v1"),
        ("https://h/openai/v1/responses/", "https://h/openai/v1"),
        ("http://[::1]:8900", "http://[::1]:8900/v1"),
        ("  http://h:1/v1\n", "http://h:1/v1"),
    ],
)
def test_the_usual_ways_to_write_a_url_are_understood(given_url: str, expected: str) -> None:
    assert base_url(given_url) == expected
    assert base_url(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://h/v1",
        "http://user:pw@h/v1",
        "http://h/v1?a=b",
        "http://h/v1#x",
        "http://h:port/v1",
        "http://h h/v1",
        "http://h\r\nx: y/v1",
        "http://[::1/v1",
    ],
)
def test_anything_else_is_a_usage_error_that_shows_a_right_one(url: str) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:8900/v1"):
        base_url(url)


@given(st.text())
def test_no_text_breaks_the_reading_of_urls(text: str) -> None:
    with suppress(UsageError):
        url = base_url(text)
        assert base_url(url) == url


def test_headers_ask_for_simulated_time_and_carry_the_key_only_if_there_is_one() -> None:
    headers = Endpoint("http://h/v1", "k", extra={"x-a": "b"}).headers
    assert headers["Authorization"] == "Bearer k"
    assert headers["x-spark-timing"] == "true"
    assert headers["x-responsesapi-include-timing-metrics"] == "true"
    assert headers["User-Agent"].startswith("sparkcode/")
    assert headers["x-a"] == "b"
    assert "Authorization" not in Endpoint("http://h/v1").headers
    assert "secret" not in repr(Endpoint("http://h/v1", "secret"))


def test_a_peers_labels_are_printable_and_short() -> None:
    peer = Endpoint("http://h/v1").peer("sse", {"x-spark-engine": "\x1b[31m" + "e" * 200})
    assert peer.engine == ("[31m" + "e" * 200)[:80]
    assert peer.model == ""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("10.0.0.1", False), ("h", False)],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert Endpoint(f"http://{host}:1/v1").loopback is loopback


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "Connect call failed"), "refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed, ..."), "refused"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host"),
        (OSError(113, "No route to host"), "No route to host"),
        (OSError("one\ntwo"), "one"),
        (OSError(), "OSError"),
        (UnicodeError("label empty or too long"), "no valid name of a host"),
        (ValueError("bad port\nmore"), "bad port"),
        (ImportError("x" * 900), "x" * 200),
    ],
)
def test_connection_failures_have_short_reasons(error: Exception, expected: str) -> None:
    assert reason_of(error) == expected


def test_importing_the_link_imports_no_network_library() -> None:
    modules = "chain, local, replay, tape, transport"
    check = f"import sys; from sparkcode.link import {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert not {"websockets", "httpx", "anyio"} & set(done.stdout.split())
