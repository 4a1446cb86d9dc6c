"""Stored responses on disk, so that a conversation can go on after the server was started anew.

One SQLite file in WAL mode, which several servers may share. What is put there is written by a
thread of its own, in order; nothing waits for the disk. What is older than :data:`MAX_AGE_SECONDS`,
and the oldest beyond :data:`MAX_BYTES`, goes with the next write. The file is made with the first
response that is to be kept, for this user's eyes only.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from sparkcode.engine.base import Item, Message, Role, ToolCall, ToolOutput
from sparkcode.protocol.events import Response
from sparkcode.server.conversation import History
from sparkcode.server.store import Stored

MAX_BYTES: Final = 256 << 20
MAX_AGE_SECONDS: Final = 30 * 86_400.0
BUSY_SECONDS: Final = 5.0
"""How long another server may hold the file."""

logger = logging.getLogger(__name__)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, created REAL NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON responses (created);
"""


class _Said(msgspec.Struct, frozen=True, tag="message"):
    role: Role
    text: str


class _Called(msgspec.Struct, frozen=True, tag="call"):
    call_id: str
    name: str
    input: str
    custom: bool


class _Returned(msgspec.Struct, frozen=True, tag="output"):
    call_id: str
    output: str


class _Content(msgspec.Struct, frozen=True):
    response: Response
    items: list[_Said | _Called | _Returned]
    call_ids: list[str]


_DECODER: Final = msgspec.json.Decoder(_Content)


class Shelf:
    """See the module. ``wall_time`` gives Unix seconds."""

    def __init__(self, path: Path, wall_time: Callable[[], float]) -> None:
        self._path = path
        self._wall_time = wall_time
        self._work: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._gone: set[str] = set()
        """Deleted, and perhaps still in the file."""
        self._thread: threading.Thread | None = None

    def put(self, stored: Stored) -> None:
        """Keep a response; what cannot be written is only logged."""
        self._do(stored.response.id, encoded(stored))

    def get(self, response_id: str) -> Stored | None:
        """The response of that id; None where there is none, or none that can be read."""
        if response_id in self._gone or not self._path.exists():
            return None
        try:
            with closing(self._open()) as connection:
                row = connection.execute(
                    "SELECT content FROM responses WHERE id = ? AND created > ?",
                    (response_id, self._wall_time() - MAX_AGE_SECONDS),
                ).fetchone()
            return None if row is None else decoded(row[0])
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            logger.warning("cannot read the stored responses in %s: %s", self._path, error)
            return None

    def delete(self, response_id: str) -> None:
        """Forget a response."""
        self._gone.add(response_id)
        self._do(response_id, b"")

    def close(self) -> None:
        """Write what waits."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None

    def _do(self, response_id: str, content: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="shelf", daemon=True)
            self._thread.start()
        self._work.put((response_id, content))

    def _write_all(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                with closing(self._open(make=True)) as connection, connection:
                    self._write(connection, *work)
                if not work[1]:
                    self._gone.discard(work[0])
            except (sqlite3.Error, OSError) as error:
                logger.warning("cannot store a response in %s: %s", self._path, error)

    def _write(self, connection: sqlite3.Connection, response_id: str, content: bytes) -> None:
        if not content:
            connection.execute("DELETE FROM responses WHERE id = ?", (response_id,))
            return
        now = self._wall_time()
        row = (response_id, now, len(content), content)
        connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?)", row)
        connection.execute("DELETE FROM responses WHERE created <= ?", (now - MAX_AGE_SECONDS,))
        connection.execute(
            "DELETE FROM responses WHERE id IN (SELECT id FROM (SELECT id, SUM(size) OVER"
            " (ORDER BY created DESC, id) AS held FROM responses) WHERE held > ?)",
            (MAX_BYTES,),
        )

    def _open(self, *, make: bool = False) -> sqlite3.Connection:
        if make and not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
        if make:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        return connection


def encoded(stored: Stored) -> bytes:
    """A response and its conversation as JSON."""
    items = [_packed(item) for item in stored.history.items]
    content = _Content(stored.response, items, sorted(stored.history.call_ids))
    return msgspec.json.encode(content)


def decoded(content: bytes) -> Stored:
    """What :func:`encoded` made; MsgspecError for anything else."""
    found = _DECODER.decode(content)
    items = tuple(_unpacked(item) for item in found.items)
    return Stored(found.response, History(items, frozenset(found.call_ids)))


def _packed(item: Item) -> _Said | _Called | _Returned:
    match item:
        case Message(role=role, text=text):
            return _Said(role, text)
        case ToolCall(call_id=call_id, name=name, input=text, kind=kind):
            return _Called(call_id, name, text, kind == "custom_tool_call")
        case ToolOutput(call_id=call_id, output=output):
            return _Returned(call_id, output)


def _unpacked(item: _Said | _Called | _Returned) -> Item:
    match item:
        case _Said(role=role, text=text):
            return Message(role, text)
        case _Called(call_id=call_id, name=name, input=text, custom=custom):
            return ToolCall(call_id, name, text, "custom_tool_call" if custom else "function_call")
        case _Returned(call_id=call_id, output=output):
            return ToolOutput(call_id, output)
