"""What a server must do, since a real client breaks without it: a test for each, in their order.

The list is that of the protocol's notes; clients are named where one was seen to depend on it.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from sparkcode.engine.base import GenerateRequest, Message
from sparkcode.errors import EngineError
from tests.server.support import StepEngine, endless, running, words

MIB = 1 << 20


def echo(request: GenerateRequest) -> Any:
    return words(request.last_user_text or "nothing")


@contextmanager
def joined(url: str, **headers: str) -> Iterator[ClientConnection]:
    with connect(
        url.replace("http", "ws") + "/responses",
        proxy=None,
        max_size=32 * MIB,
        additional_headers=headers,
    ) as client:
        yield client


def ask(client: ClientConnection, text: str = "hi", **fields: Any) -> None:
    client.send(json.dumps({"type": "response.create", "input": text, **fields}))


def answer(client: ClientConnection, text: str) -> dict[str, Any]:
    """The terminal event of one request."""
    ask(client, text)
    return until(client, "response.completed")[-1]


def until(client: ClientConnection, *kinds: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in kinds:
        events.append(json.loads(client.recv(timeout=20)))
    return events


def test_1_one_port_serves_it_all_and_what_is_unknown_is_ignored() -> None:
    with running(StepEngine(echo)) as (url, _):
        body = {
            "input": [
                {"type": "additional_tools", "id": "at_1", "tools": []},
                {"type": "message", "role": "user", "content": "hi", "id": "msg_x", "extra": 1},
            ],
            "tools": [{"type": "namespace", "name": "n"}, {"type": "web_search"}, {"type": "new"}],
            "client_metadata": {"a": "b"},
            "prompt_cache_key": "k",
            "include": ["reasoning.encrypted_content"],
            "reasoning": None,
            "field_of_tomorrow": [1],
        }
        answer = httpx.post(f"{url}/responses", json=body, trust_env=False)
        assert answer.status_code == 200
        name = answer.json()["id"]
        assert httpx.get(f"{url}/responses/{name}", trust_env=False).json()["id"] == name
        assert httpx.get(f"{url}/models", trust_env=False).json()["object"] == "list"
        compact = {"model": "spark", "input": "hi"}
        told = httpx.post(f"{url}/responses/compact", json=compact, trust_env=False)
        assert told.json()["object"] == "response.compaction"
        with joined(url) as client:
            ask(client, tools=body["tools"], client_metadata=body["client_metadata"])
            until(client, "response.completed")


def test_2_events_are_numbered_and_in_order() -> None:
    with running(StepEngine(echo)) as (url, _), joined(url) as client:
        ask(client, "one two")
        events = until(client, "response.completed")
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        added, done = "response.output_item.added", "response.output_item.done"
        assert kinds.index(added) < kinds.index("response.output_text.delta") < kinds.index(done)
        assert events[kinds.index(done)]["item"]["content"][0]["text"] == "one two "
        assert kinds.count("response.completed") == 1


def test_3_a_failed_turn_has_a_status_or_is_response_failed() -> None:
    engine = StepEngine(words("a")[:-1], error=EngineError("gave up"))
    with running(engine) as (url, _), joined(url) as client:
        ask(client, previous_response_id="resp_none")
        assert until(client, "error")[-1]["status"] == 400
        client.send("{")
        assert isinstance(until(client, "error")[-1]["status"], int)
        ask(client)
        assert until(client, "response.failed")[-1]["response"]["error"]["message"] == "gave up"


def test_4_a_warm_up_is_a_point_to_go_on_from() -> None:
    engine = StepEngine(echo)
    with running(engine) as (url, _), joined(url) as client:
        developer = {"type": "message", "role": "developer", "content": "Be brief."}
        client.send(
            json.dumps({"type": "response.create", "generate": False, "input": [developer]})
        )
        warm = until(client, "response.completed")
        assert [event["type"] for event in warm][:2] == [
            "response.created",
            "response.in_progress",
        ]
        assert warm[-1]["response"]["output"] == []
        assert engine.warmed[-1].items == (Message("system", "Be brief."),)
        ask(client, previous_response_id=warm[-1]["response"]["id"], store=False)
        until(client, "response.completed")
        assert engine.requests[-1].items == (Message("system", "Be brief."), Message("user", "hi"))


def test_5_a_connection_knows_its_newest_response_without_store() -> None:
    with running(StepEngine(echo)) as (url, _), joined(url) as client:
        ask(client, store=False)
        first = until(client, "response.completed")[-1]["response"]["id"]
        ask(client, previous_response_id="resp_none", store=False)
        error = until(client, "error")[-1]
        assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
        ask(client, previous_response_id=first, store=False)
        second = until(client, "response.completed")[-1]["response"]["id"]
        # A continuation that fails forgets what it went on from.
        ask(client, previous_response_id=second, store=False, model="gpt-9")
        assert until(client, "error")[-1]["error"]["code"] == "model_not_found"
        ask(client, previous_response_id=second, store=False)
        assert until(client, "error")[-1]["error"]["code"] == "previous_response_not_found"
        ask(client)
        until(client, "response.completed")


def test_6_a_get_that_is_no_upgrade_is_refused_with_426() -> None:
    with running(StepEngine(echo)) as (url, _):
        assert httpx.get(f"{url}/responses", trust_env=False).status_code == 426


def test_7_pings_are_answered_while_the_engine_computes() -> None:
    door = threading.Event()

    def wait() -> None:
        assert door.wait(20)

    engine = StepEngine(echo, before=wait)
    with running(engine) as (url, _), joined(url) as client:
        ask(client)
        until(client, "response.in_progress")
        assert client.ping().wait(5)
        door.set()
        until(client, "response.completed")


def test_8_a_client_that_is_gone_without_a_word_stops_the_engine() -> None:
    engine = StepEngine(lambda _: endless())
    with running(engine) as (url, service):
        parts = urlsplit(url)
        assert parts.hostname is not None
        raw = socket.create_connection((parts.hostname, parts.port or 80))
        client = connect(
            url.replace("http", "ws") + "/responses", sock=raw, proxy=None, close_timeout=0
        )
        with client as joined_client:
            ask(joined_client)
            until(joined_client, "response.output_text.delta")
            raw.shutdown(socket.SHUT_RDWR)
        assert engine.closed.wait(5)
        deadline = time.monotonic() + 5
        while service.hub.load and time.monotonic() < deadline:
            time.sleep(0.01)
        assert service.hub.load == 0


def test_9_messages_may_have_16_mib_and_no_more() -> None:
    with running(StepEngine(words("ok"))) as (url, _):
        with joined(url) as client:
            frame = json.dumps({"type": "response.create", "input": ""})
            ask(client, "x" * (16 * MIB - len(frame)))
            until(client, "response.completed")
        with joined(url) as client:
            with pytest.raises(ConnectionClosed) as caught:
                answer(client, "x" * 17 * MIB)
            # Who still writes may see the connection go before the reason.
            assert caught.value.rcvd is None or caught.value.rcvd.code == 1009
        with joined(url) as client:
            ask(client)
            until(client, "response.completed")


@pytest.mark.parametrize("asked", [False, True])
def test_10_private_frames_are_for_those_who_ask(asked: bool) -> None:
    headers = {"x-responsesapi-include-timing-metrics": "true"} if asked else {}
    with running(StepEngine(echo)) as (url, _), joined(url, **headers) as client:
        ask(client)
        events = until(client, "response.completed")
        private = [event for event in events if not event["type"].startswith("response.")]
        assert bool(private) is asked
        assert all("spark" not in event for event in events)
