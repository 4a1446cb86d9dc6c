from __future__ import annotations

from sparkcode.engine.base import Message
from sparkcode.protocol.events import Response
from sparkcode.server.conversation import History
from sparkcode.server.store import MAX_LANES, ConnectionStore, ResponseStore, Stored


def stored(name: str, text: str = "x") -> Stored:
    return Stored(Response(id=name), History((Message("user", text),)))


def test_the_oldest_are_forgotten_first() -> None:
    store = ResponseStore(limit=2)
    for name in ("a", "b", "c"):
        store.put(stored(name))
    assert store.get("a") is None
    assert store.get("c") == stored("c")


def test_the_text_that_is_kept_is_bounded() -> None:
    store = ResponseStore(characters=10)
    store.put(stored("a", "x" * 6))
    store.put(stored("b", "x" * 6))
    assert store.get("a") is None
    store.put(stored("c", "x" * 20))
    assert store.get("b") is None
    assert store.get("c") is None
    store.put(stored("d"))
    assert store.get("d") is not None


def test_a_connection_knows_the_newest_of_each_lane() -> None:
    store = ConnectionStore(ResponseStore())
    store.put(None, stored("a"), shared=False)
    store.put("side", stored("b"), shared=False)
    store.put(None, stored("c"), shared=False)
    assert store.get("a") is None
    assert store.get("b") == store.get("c")
    store.evict("c")
    assert store.get("c") is None
    assert store.get("b") is not None


def test_a_connection_has_room_for_so_many_lanes() -> None:
    store = ConnectionStore(ResponseStore())
    store.put(None, stored("default"), shared=False)
    for lane in range(MAX_LANES):
        assert store.has_room(str(lane))
        store.put(str(lane), stored(f"r{lane}"), shared=False)
    assert not store.has_room("another")
    assert store.has_room("3")
    assert store.has_room(None)
