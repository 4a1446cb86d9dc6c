from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sparkcode.engine.base import Message, ToolCall, ToolOutput
from sparkcode.protocol.events import MessageItem, OutputText, Response
from sparkcode.server.conversation import History
from sparkcode.server.store import ConnectionStore, ResponseStore, Stored


def stored(name: str, text: str = "x") -> Stored:
    return Stored(Response(id=name), History((Message("user", text),)))


def test_the_oldest_are_forgotten_first() -> None:
    store = ResponseStore(limit=2)
    for name in ("a", "b", "c"):
        store.put(stored(name))
    assert store.get("a") is None
    assert store.get("c") == stored("c")


def test_what_is_kept_is_bounded() -> None:
    store = ResponseStore(max_bytes=3000)
    store.put(stored("a", "x" * 1000))
    store.put(stored("b", "x" * 1000))
    assert store.get("a") is None
    store.put(stored("c", "x" * 3000))
    assert store.get("b") is None
    assert store.get("c") is None
    store.put(stored("d"))
    assert store.get("d") is not None


BIG = "x" * 1500
HISTORY = History((Message("user", "x"),))


@pytest.mark.parametrize(
    "big",
    [
        Stored(Response(id="1", instructions=BIG), HISTORY),
        Stored(Response(id="1", tools=[{"type": "function", "description": BIG}]), HISTORY),
        Stored(Response(id="1", tools=[{"type": "custom"}] * 100), HISTORY),
        Stored(Response(id="1", metadata={BIG: ""}), HISTORY),
        Stored(Response(id="1", metadata={"a": [[[[BIG]]]]}), HISTORY),
        Stored(Response(id="1", tool_choice={"name": BIG}), HISTORY),
        Stored(Response(id="1", text={"format": BIG}), HISTORY),
        Stored(Response(id="1", user=BIG), HISTORY),
        Stored(Response(id="1", output=[MessageItem(content=[OutputText(text=BIG)])]), HISTORY),
        Stored(Response(id="1"), History((ToolCall("c", BIG, ""),))),
        Stored(Response(id="1"), History((ToolOutput("c", BIG),))),
        Stored(Response(id="1"), History((), frozenset({BIG}))),
    ],
)
def test_everything_that_is_kept_counts(big: Stored) -> None:
    store = ResponseStore(max_bytes=3000)
    store.put(big)
    assert store.get("1") == big
    store.put(replace(big, response=msgspec.structs.replace(big.response, id="2")))
    assert store.get("1") is None


def test_a_connection_knows_the_newest_of_each_lane() -> None:
    store = ConnectionStore(ResponseStore())
    store.put(None, stored("a"), shared=False)
    store.put("side", stored("b"), shared=False)
    store.put(None, stored("c"), shared=False)
    assert store.get("a") is None
    assert store.get("b") == store.get("c")
    store.evict("side", "c")
    assert store.get("c") is not None
    store.evict(None, "c")
    assert store.get("c") is None
    assert store.get("b") is not None
    store.evict("another", "b")
    assert store.get("b") is not None
