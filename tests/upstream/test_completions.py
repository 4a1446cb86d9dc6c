"""A gateway to a chat completions server, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sparkcode.engine.base import GenerateRequest
from sparkcode.errors import EngineError
from sparkcode.link.chat import ChatClient
from sparkcode.link.transport import Endpoint
from sparkcode.upstream.completions import ChatUpstream
from sparkcode.upstream.terms import Model, Terms, first_model
from tests.link.loopback import listening
from tests.upstream.support import question, told
from tests.upstream.test_chat import delta

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
SECRET = "sk-very-secret"


def events(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def plain(status: int, body: Any, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} X", "connection: close", f"content-length: {len(content)}"]
    return "\r\n".join([*head, *headers, "", ""]).encode() + content


WHOLE = STREAM + events(delta(content="Hi"), delta("stop")) + b"data: [DONE]\n\n"


@asynccontextmanager
async def gateway(
    *answers: bytes, silence: float = 5.0, hang: bool = False, model: str = "m"
) -> AsyncIterator[tuple[ChatUpstream, list[tuple[str, dict[str, str], Any]]]]:
    """An engine whose server gives these answers in turn, and what it was sent."""
    seen: list[tuple[str, dict[str, str], Any]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen.append((first, headers, json.loads(body) if body else None))
        writer.write(answers[min(len(seen), len(answers)) - 1])
        await writer.drain()
        if hang:
            await reader.read()

    async with listening(handle) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", SECRET)
        terms = Terms(endpoint.url, Model(endpoint, model), SECRET, silence)
        engine = ChatUpstream(ChatClient(endpoint), terms)
        try:
            yield engine, seen
        finally:
            await engine.close()


async def failure(engine: ChatUpstream, request: GenerateRequest | None = None) -> EngineError:
    with pytest.raises(EngineError) as raised:
        await told(engine.generate(request or question("a")))
    assert SECRET not in str(raised.value)
    return raised.value


async def test_a_question_and_its_answer() -> None:
    async with gateway(WHOLE) as (engine, seen):
        assert await told(engine.generate(question("a", "b", "c"))) == "Hi"
    first, headers, body = seen[0]
    assert first.startswith("POST /v1/chat/completions ")
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert [message["content"] for message in body["messages"]] == ["a", "b", "c"]
    assert body["model"] == "m"


async def test_the_model_is_asked_for_where_nobody_named_it() -> None:
    listing = plain(200, {"data": [{"id": "big", "max_model_len": 9000}, {"id": "other"}]})
    async with gateway(listing, WHOLE, model="") as (engine, seen):
        assert engine.info.model == "upstream"
        await engine.meet()
        assert (engine.info.model, engine.info.context_length) == ("big", 9000)
        await told(engine.generate(question("a")))
        assert [line.split()[1] for line, _, _ in seen] == ["/v1/models", "/v1/chat/completions"]
        assert seen[1][2]["model"] == "big"


async def test_a_warm_up_has_nothing_to_prepare() -> None:
    async with gateway(WHOLE) as (engine, seen):
        (step,) = [step async for step in engine.warm(question("a"))]
        assert (step.finish_reason, seen) == ("stop", [])


@pytest.mark.parametrize(
    ("listing", "code"),
    [
        (plain(200, {"data": []}), "upstream_error"),
        (plain(404, b"no"), "upstream_error"),
        (plain(401, b"no"), "upstream_unauthorized"),
    ],
)
async def test_a_server_without_a_list_of_models(listing: bytes, code: str) -> None:
    async with gateway(listing, model="") as (engine, _):
        assert (await failure(engine)).code == code


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (plain(401, {"error": {"message": f"bad key {SECRET}"}}), "upstream_unauthorized", "KEY"),
        (
            plain(429, {"error": {"message": "slow"}}, "retry-after: 7"),
            "rate_limit_exceeded",
            "try again in 7s",
        ),
        (plain(503, b"busy"), "server_is_overloaded", "busy"),
        (plain(500, {"error": "oops"}), "upstream_error", "oops"),
        (plain(404, {"detail": "Not Found"}), "upstream_error", "--wire"),
        (plain(400, {"error": {"message": f"{SECRET} odd"}}), "invalid_prompt", "*** odd"),
        (plain(200, b"<html>"), "upstream_error", "no answer"),
        (plain(200, {"choices": []}), "upstream_error", "broke off"),
        (STREAM + events(delta(content="a")), "upstream_error", "broke off"),
        (
            STREAM.replace(b"connection: close", b"content-length: 999")
            + events(delta(content="a")),
            "upstream_error",
            "broke off",
        ),
        (STREAM + b"data: {\n\n", "upstream_error", "no answer"),
        (STREAM + b"x" * (17 << 20), "upstream_error", "no answer"),
        (b"garbage\r\n\r\n", "upstream_unreachable", "no engine answers"),
        (b"", "upstream_unreachable", "no engine answers"),
    ],
)
async def test_faults_are_errors_of_the_protocol(answer: bytes, code: str, said: str) -> None:
    async with gateway(answer) as (engine, _):
        error = await failure(engine)
        assert error.code == code
        assert said in str(error)


async def test_nothing_answers() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1")
    engine = ChatUpstream(ChatClient(endpoint), Terms(endpoint.url, Model(endpoint, "m")))
    error = await failure(engine)
    assert (error.code, "refused" in str(error)) == ("upstream_unreachable", True)
    engine = ChatUpstream(ChatClient(endpoint), Terms(endpoint.url, Model(endpoint)))
    assert (await failure(engine)).code == "upstream_unreachable"
    await engine.close()


@pytest.mark.parametrize("answer", [b"", STREAM, STREAM + events(delta(content="a"))])
async def test_silence_ends_after_its_time(answer: bytes) -> None:
    async with gateway(answer, silence=0.1, hang=True) as (engine, _):
        assert (await failure(engine)).code == "upstream_timeout"


async def test_a_stream_that_breaks_off_after_its_last_word_was_whole() -> None:
    cut = STREAM.replace(b"connection: close", b"content-length: 9999")
    async with gateway(cut + events(delta(content="Hi"), delta("stop"))) as (engine, _):
        assert await told(engine.generate(question("a"))) == "Hi"


async def test_leaving_closes_the_connection() -> None:
    async with gateway(STREAM + events(delta(content="a")), hang=True) as (engine, _):
        steps = engine.generate(question("a"))
        assert (await anext(steps)).text == "a"
        # The server hangs until its reader ends; leaving the block waits for it.
        await steps.aclose()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"id": "a"}]}, ("a", 131_072)),
        ({"data": [{"id": 3}, {"id": "b", "context_length": 5}]}, ("b", 5)),
        ({"models": [{"name": "c"}]}, ("c", 131_072)),
        ({"data": [{"id": "d", "meta": {"n_ctx": 7}}]}, ("d", 7)),
        ({"data": "x"}, None),
        ([], None),
    ],
)
def test_lists_of_models(body: Any, found: tuple[str, int] | None) -> None:
    assert first_model(json.dumps(body).encode()) == found
