from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
import websockets.asyncio.client
from openai import DefaultHttpxClient, OpenAI
from websockets.exceptions import InvalidStatus

from sparkcode.engine.base import Message, Step
from sparkcode.errors import EngineError
from sparkcode.server import app
from sparkcode.server.service import Service
from tests.server.support import StepEngine, endless, running, words


class Door:
    """A gate of a test's own, so that an engine stops where the test wants."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def wait(self) -> None:
        assert self.open.wait(10)


@pytest.fixture
def engine() -> StepEngine:
    return StepEngine(lambda request: words(request.last_user_text))


@pytest.fixture
def url(engine: StepEngine) -> Iterator[str]:
    with running(engine) as (url, _):
        yield url


def post(url: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}/responses", json=body, headers=headers, trust_env=False)


def socket_url(url: str) -> str:
    return url.replace("http", "ws") + "/responses"


def sdk(url: str) -> OpenAI:
    return OpenAI(
        base_url=url, api_key="any", max_retries=0, http_client=DefaultHttpxClient(trust_env=False)
    )


def test_the_sdk_streams_an_answer_over_http(url: str) -> None:
    with sdk(url) as client:
        with client.responses.stream(model="spark", input="hello there world") as stream:
            text = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(text) == "hello there world "
        answer = client.responses.create(model="double-1.5b", input="hello again")
        assert answer.output_text == "hello again "
        assert answer.usage is not None
        assert answer.usage.input_tokens == 10
        chained = client.responses.create(
            model="spark", input="next", previous_response_id=answer.id
        )
        assert chained.previous_response_id == answer.id
        assert client.responses.retrieve(chained.id).output_text == "next "
        assert [model.id for model in client.models.list()] == ["double-1.5b", "spark"]


# The SDK uses an older form of ``websockets.connect``.
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager")
def test_the_sdk_chains_two_turns_over_a_websocket(url: str, engine: StepEngine) -> None:
    texts, previous = [], None
    with sdk(url) as client, client.responses.connect() as connection:
        for question in ("first turn", "second turn"):
            fields: dict[str, Any] = {"previous_response_id": previous} if previous else {}
            connection.response.create(model="spark", input=question, store=False, **fields)
            for event in connection:
                if event.type == "response.output_text.delta":
                    texts.append(event.delta)
                if event.type == "response.completed":
                    previous = event.response.id
                    break
    assert "".join(texts) == "first turn second turn "
    assert len(engine.requests[-1].items) == 3


def test_events_are_framed_as_server_sent_events(url: str) -> None:
    answer = post(url, input="a b", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-spark-model"] == "double-1.5b"
    blocks = answer.text.split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    for number, block in enumerate(blocks[:-2]):
        name, data = block.split("\n")
        event = msgspec.json.decode(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
    assert event["type"] == "response.completed"


def test_a_plain_get_answers_426(url: str) -> None:
    answer = httpx.get(f"{url}/responses", trust_env=False)
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert answer.json()["error"]["code"] == "upgrade_required"


def test_health_says_who_answers(url: str) -> None:
    health = httpx.get(url.removesuffix("/v1") + "/healthz", trust_env=False).json()
    assert health["status"] == "ok"
    assert health["server"] == "sparkcode"
    assert (health["engine"], health["model"]) == ("scripted", "double-1.5b")
    assert health["connections"] == 0


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "gpt-9", "input": "x"}, "model_not_found", "model"),
        ({"model": "spark"}, "missing_required_parameter", "input"),
        ({"input": 5}, "invalid_type", "input"),
        (
            {"input": "x", "previous_response_id": "resp_0"},
            "previous_response_not_found",
            "previous_response_id",
        ),
        ({"input": "x", "max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
    ],
)
def test_bad_requests_are_refused_with_code_and_parameter(
    url: str, body: dict[str, Any], code: str, param: str
) -> None:
    for stream in (False, True):
        answer = post(url, stream=stream, **body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "invalid_request_error",
            code,
            param,
        )


def test_a_compacted_conversation_starts_a_new_chain(url: str, engine: StepEngine) -> None:
    first = post(url, input="remember me").json()["id"]
    window = httpx.post(
        f"{url}/responses/compact",
        json={"model": "spark", "input": "and me", "previous_response_id": first},
        trust_env=False,
    ).json()
    assert window["object"] == "response.compaction"
    (item,) = window["output"]
    assert item["type"] == "compaction"
    assert post(url, input=[item, {"role": "user", "content": "go"}]).status_code == 200
    assert [item.text for item in engine.requests[-1].items if isinstance(item, Message)] == [
        "remember me",
        "remember me ",
        "and me",
        "go",
    ]
    item["encrypted_content"] = "?"
    assert post(url, input=[item]).json()["error"]["param"] == "input[0].encrypted_content"
    compact = f"{url}/responses/compact"
    missing = httpx.post(compact, json={"input": "x"}, trust_env=False)
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "model")


def test_other_paths_and_bodies(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert httpx.get(f"{url}/nowhere", trust_env=False).json()["error"]["message"] == (
        "Not Found: GET /v1/nowhere"
    )
    assert httpx.get(f"{url}/responses/resp_0", trust_env=False).status_code == 404
    bad = httpx.post(f"{url}/responses", content=b"{", trust_env=False)
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "invalid_json")
    monkeypatch.setattr(app, "MAX_MESSAGE_BYTES", 10)
    assert post(url, input="x" * 20).status_code == 413


@pytest.mark.parametrize(
    ("code", "status"),
    [("context_length_exceeded", 400), ("server_is_overloaded", 503), ("x", 500)],
)
def test_an_engine_failure_has_an_http_status(
    url: str, engine: StepEngine, code: str, status: int
) -> None:
    engine.steps, engine.error = (), EngineError("no", code)
    answer = post(url, input="x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_stream_that_cannot_begin_has_a_status() -> None:
    with running(StepEngine(words("a"))) as (url, service):
        service.hub._waiting = -1
        answer = post(url, input="x", stream=True)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_key_is_asked_for_where_there_is_one(engine: StepEngine) -> None:
    with running(engine, key="right") as (url, _):
        assert post(url, input="x").status_code == 401
        assert post(url, {"Authorization": "Bearer wrong"}, input="x").status_code == 401
        assert post(url, {"Authorization": "Bearer right"}, input="x").status_code == 200
        assert httpx.get(f"{url}/models", trust_env=False).status_code == 401
        assert httpx.get(f"{url}/responses", trust_env=False).status_code == 401
        assert httpx.get(f"{url}/responses/a", trust_env=False).status_code == 401
        health = url.removesuffix("/v1") + "/healthz"
        assert httpx.get(health, trust_env=False).status_code == 200

        async def connect() -> None:
            with pytest.raises(InvalidStatus) as refused:
                await websockets.asyncio.client.connect(socket_url(url), proxy=None)
            assert refused.value.response.status_code == 401
            async with websockets.asyncio.client.connect(
                socket_url(url), proxy=None, additional_headers={"Authorization": "Bearer right"}
            ) as connection:
                assert connection.response is not None
                assert connection.response.headers["x-spark-engine"] == "scripted"

        asyncio.run(connect())


def test_a_web_page_may_not_use_a_server_without_a_key(url: str) -> None:
    assert post(url, {"Origin": "https://example.com"}, input="x").status_code == 403
    assert post(url, {"Origin": "http://localhost:3000"}, input="x").status_code == 200


async def ask(connection: Any, **event: Any) -> None:
    await connection.send(msgspec.json.encode({"type": "response.create", **event}).decode())


async def until(connection: Any, kind: str) -> dict[str, Any]:
    while True:
        event = msgspec.json.decode(await connection.recv())
        if event["type"] == kind:
            assert isinstance(event, dict)
            return event


def test_messages_of_many_mebibytes_and_binary_frames(url: str, engine: StepEngine) -> None:
    async def main() -> None:
        async with websockets.asyncio.client.connect(
            socket_url(url), proxy=None, compression=None
        ) as connection:
            await ask(connection, input="x" * (15 * 1024 * 1024))
            engine.steps = words("fine")
            await until(connection, "response.completed")
            await connection.send(b"\x00")
            error = await until(connection, "error")
            assert (error["status"], error["error"]["code"]) == (400, "invalid_json")
            await ask(connection, input="after")
            await until(connection, "response.completed")

    engine.steps = words("fine")
    asyncio.run(main())


def test_a_dropped_socket_stops_the_engine_within_a_step() -> None:
    door = Door()
    engine = StepEngine(lambda _: endless(), before=lambda: time.sleep(0.005))

    async def main(url: str, service: Service) -> None:
        connection = await websockets.asyncio.client.connect(socket_url(url), proxy=None)
        await ask(connection, input="go")
        await until(connection, "response.output_text.delta")
        # No Close frame: the way Codex leaves.
        connection.transport.abort()
        assert await asyncio.to_thread(engine.closed.wait, 5)
        assert service.connections_total == 1

    with running(engine) as (url, service):
        asyncio.run(main(url, service))
        pulled = engine.pulled
        time.sleep(0.05)
        assert engine.pulled == pulled
        door.open.set()


@pytest.mark.parametrize("stream", [True, False])
def test_an_http_client_that_leaves_stops_the_engine(stream: bool) -> None:
    engine = StepEngine(lambda _: endless(), before=lambda: time.sleep(0.005))
    with running(engine) as (url, _):
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        body = msgspec.json.encode({"input": "go", "stream": stream})
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            while engine.pulled < 3:
                time.sleep(0.005)
        assert engine.closed.wait(5)


def test_the_loop_stays_free_while_the_engine_computes() -> None:
    door = Door()
    engine = StepEngine([Step(0.1, "late ", 1), *words("end")], before=door.wait)

    async def main(url: str) -> None:
        async with websockets.asyncio.client.connect(socket_url(url), proxy=None) as connection:
            await ask(connection, input="go")
            await until(connection, "response.in_progress")
            pong = await connection.ping()
            assert await asyncio.wait_for(pong, 5) < 5
            async with httpx.AsyncClient(trust_env=False) as http:
                health = await http.get(url.removesuffix("/v1") + "/healthz")
            assert health.json()["load"] == 1
            door.open.set()
            await until(connection, "response.completed")

    with running(engine) as (url, _):
        asyncio.run(main(url))


def test_a_first_delta_does_not_wait_for_an_acknowledgement() -> None:
    async def main(url: str) -> None:
        async with websockets.asyncio.client.connect(socket_url(url), proxy=None) as connection:
            times = []
            for _ in range(8):
                began = time.perf_counter()
                await ask(connection, input="go")
                await until(connection, "response.output_text.delta")
                times.append(time.perf_counter() - began)
                await until(connection, "response.completed")
            # A delayed acknowledgement takes 40 ms, each time.
            assert min(times) < 0.03

    with running(StepEngine(words("a"))) as (url, _):
        asyncio.run(main(url))


def test_a_stop_ends_a_running_response() -> None:
    engine = StepEngine(lambda _: endless(), before=lambda: time.sleep(0.005))

    async def main() -> None:
        with running(engine) as (url, _):
            async with websockets.asyncio.client.connect(socket_url(url), proxy=None) as connection:
                await ask(connection, input="go")
                await until(connection, "response.output_text.delta")

    asyncio.run(main())
    assert engine.closed.wait(5)
