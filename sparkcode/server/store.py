"""Where conversations can be continued from. Pure.

A connection remembers the newest response of each lane, whatever ``store`` said; that is all that
a persistent socket needs. Responses with ``store`` (the default) are also kept for everyone, in
memory and bounded: the oldest are forgotten first, and clients recover from that by sending
everything. What is bounded is all that is kept, so a response counts with what it echoes of its
request (instructions, tools, metadata) and a history with the names and ids in it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from sparkcode.protocol.events import Response
from sparkcode.server.conversation import History

MAX_STORED: Final = 512
"""Responses kept for everyone."""

MAX_STORED_BYTES: Final = 64 * 1024 * 1024
"""JSON of what is kept for everyone, counted as if histories shared nothing."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A response that is over, and the conversation up to its end."""

    response: Response
    history: History


class Keeper(Protocol):
    """Where responses are kept beyond the memory."""

    def put(self, stored: Stored) -> None:
        """Keep a response."""
        ...

    def get(self, response_id: str) -> Stored | None:
        """The response of that id, if it is kept."""
        ...

    def delete(self, response_id: str) -> None:
        """Forget a response."""
        ...


class ResponseStore:
    """The newest responses with ``store``, by id; older ones as ``keeper`` has them."""

    def __init__(
        self,
        limit: int = MAX_STORED,
        max_bytes: int = MAX_STORED_BYTES,
        keeper: Keeper | None = None,
    ) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._keeper = keeper
        self._held = 0
        self._stored: OrderedDict[str, tuple[Stored, int]] = OrderedDict()

    def get(self, response_id: str) -> Stored | None:
        found = self._stored.get(response_id)
        if found is not None:
            return found[0]
        return None if self._keeper is None else self._keeper.get(response_id)

    def delete(self, response_id: str) -> bool:
        """Forget a response; whether there was one."""
        known = self.get(response_id) is not None
        if response_id in self._stored:
            self._held -= self._stored.pop(response_id)[1]
        if known and self._keeper is not None:
            self._keeper.delete(response_id)
        return known

    def put(self, stored: Stored) -> None:
        if self._keeper is not None:
            self._keeper.put(stored)
        size = len(msgspec.json.encode(stored))
        self._stored[stored.response.id] = (stored, size)
        self._held += size
        while len(self._stored) > self._limit or self._held > self._max_bytes:
            self._held -= self._stored.popitem(last=False)[1][1]


class ConnectionStore:
    """What one connection may continue from; falls back to the ``shared`` store."""

    def __init__(self, shared: ResponseStore) -> None:
        self._shared = shared
        self._newest: dict[str | None, tuple[str, History]] = {}

    def get(self, response_id: str) -> History | None:
        for known, history in self._newest.values():
            if known == response_id:
                return history
        stored = self._shared.get(response_id)
        return stored.history if stored else None

    def put(self, lane: str | None, stored: Stored, *, shared: bool) -> None:
        """``stored`` becomes the newest response of ``lane``."""
        self._newest[lane] = (stored.response.id, stored.history)
        if shared:
            self._shared.put(stored)

    def evict(self, lane: str | None, response_id: str | None) -> None:
        """A continuation in ``lane`` failed: it forgets the response that it referred to.

        Where that is another lane's, it was a fork, and the other lane keeps it.
        """
        if lane in self._newest and self._newest[lane][0] == response_id:
            del self._newest[lane]
