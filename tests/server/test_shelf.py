"""Responses that outlive their server."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sparkcode.engine.base import Message, ToolCall, ToolOutput
from sparkcode.protocol.events import MessageItem, OutputText, Response
from sparkcode.server import shelf as module
from sparkcode.server.conversation import History
from sparkcode.server.shelf import Shelf, decoded, encoded
from sparkcode.server.store import ResponseStore, Stored

HISTORY = History(
    (
        Message("system", "Be kind."),
        Message("user", "é\u2028"),
        ToolCall("c1", "apply_patch", "*** Begin"),
        ToolOutput("c1", "ok"),
        ToolCall("c2", "f", "{}", "function_call"),
    ),
    frozenset({"c1", "c2", "c3"}),
)


def stored(name: str, text: str = "Hi") -> Stored:
    item = MessageItem(id="msg", status="completed", content=[OutputText(text=text)])
    return Stored(Response(id=name, status="completed", output=[item]), HISTORY)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_comes_back_as_it_was() -> None:
    assert decoded(encoded(stored("r"))) == stored("r")


def test_a_response_outlives_its_server(tmp_path: Path) -> None:
    path = tmp_path / "state" / "responses.sqlite"
    first = Shelf(path, Clock())
    assert first.get("r1") is None
    assert not path.exists()
    first.put(stored("r1"))
    first.close()
    assert path.stat().st_mode & 0o777 == 0o600
    second = Shelf(path, Clock())
    assert second.get("r1") == stored("r1")
    assert second.get("r2") is None
    second.delete("r1")
    assert second.get("r1") is None
    second.close()
    assert Shelf(path, Clock()).get("r1") is None
    second.close()


def test_age_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "MAX_BYTES", 3 * len(encoded(stored("r0"))))
    shelf = Shelf(tmp_path / "r.sqlite", clock)
    for number in range(5):
        clock.now += 1
        shelf.put(stored(f"r{number}"))
        shelf.close()
    assert [shelf.get(f"r{number}") is not None for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    clock.now += module.MAX_AGE_SECONDS - 1
    assert shelf.get("r2") is None
    assert shelf.get("r4") is not None
    shelf.put(stored("new"))
    shelf.close()
    with sqlite3.connect(tmp_path / "r.sqlite") as connection:
        names = {row[0] for row in connection.execute("SELECT id FROM responses")}
    assert names == {"r4", "new"}


def test_trouble_with_the_file_costs_no_turn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"this is no database, and long enough to be read as one" * 40)
    shelf = Shelf(path, Clock())
    shelf.put(stored("r1"))
    shelf.close()
    assert shelf.get("r1") is None
    assert "cannot store a response" in caplog.text
    assert "cannot read the stored responses" in caplog.text
    good = Shelf(tmp_path / "good.sqlite", Clock())
    good.put(stored("r1"))
    good.close()
    with sqlite3.connect(tmp_path / "good.sqlite") as connection:
        connection.execute("UPDATE responses SET content = x'7b7d'")
    assert good.get("r1") is None


def test_the_memory_asks_the_shelf(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "r.sqlite", Clock())
    store = ResponseStore(limit=1, keeper=shelf)
    for name in ("a", "b"):
        store.put(stored(name))
    shelf.close()
    assert store.get("a") == stored("a")
    assert store.delete("a")
    assert store.delete("b")
    assert not store.delete("a")
    assert store.get("b") is None
    shelf.close()
    plain = ResponseStore()
    plain.put(stored("x"))
    assert (plain.delete("x"), plain.delete("x")) == (True, False)
