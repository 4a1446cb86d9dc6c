"""What both transports share: who answers, what is remembered, and how a request becomes a turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sparkcode.protocol.events import ResponseCreate, Usage
from sparkcode.server.compaction import compact
from sparkcode.server.conversation import (
    BadRequestError,
    History,
    answered,
    check_model,
    extend,
    generate_request,
    previous_not_found,
)
from sparkcode.server.hub import Hub
from sparkcode.server.narrator import IdSource, Narrator, Wishes, random_id
from sparkcode.server.responder import Responder
from sparkcode.server.store import ConnectionStore, ResponseStore, Stored


@dataclass(slots=True)
class Turn:
    """A request that can be answered."""

    create: ResponseCreate
    history: History
    """The conversation up to the request, the request's own items included."""
    responder: Responder
    store: ConnectionStore
    brief: bool = False
    """Whether the client wants no event that only repeats others."""

    def settle(self) -> None:
        """To be called when the response is over: remembers it, or forgets what it went on from."""
        final = self.responder.final
        if final is None or final.status == "failed":
            self.store.evict(self.create.stream_id, self.create.previous_response_id)
            return
        stored = Stored(final, answered(self.history, final.output))
        self.store.put(self.create.stream_id, stored, shared=self.create.store is not False)


@dataclass(slots=True)
class Service:
    """One engine's server without its sockets."""

    hub: Hub
    wall_time: Callable[[], float]
    """Unix seconds."""
    ids: IdSource = random_id
    responses: ResponseStore = field(default_factory=ResponseStore)
    connections_total: int = 0
    """WebSocket connections accepted so far."""

    def connection_store(self) -> ConnectionStore:
        return ConnectionStore(self.responses)

    @property
    def headers(self) -> dict[str, str]:
        """Who answers: response headers of every handshake and answer."""
        info = self.hub.info
        return {
            "x-spark-engine": info.engine,
            "x-spark-model": _latin(info.model),
            "x-spark-profile": _latin(info.profile),
            **({"x-spark-behind": _latin(info.behind)} if info.behind else {}),
        }

    def compact(self, create: ResponseCreate) -> dict[str, Any]:
        """The window that stands for a conversation: its object has one opaque item."""
        if create.model is None:
            raise BadRequestError(
                "Missing required parameter: 'model'.", "missing_required_parameter", "model"
            )
        check_model(create.model, self.hub.info)
        history = extend(self._before(create, self.connection_store()), create)
        item = {
            "type": "compaction",
            "id": self.ids("cmp"),
            "encrypted_content": compact(history.items),
        }
        return {
            "id": self.ids("resp"),
            "object": "response.compaction",
            "created_at": int(self.wall_time()),
            "output": [item],
            "usage": Usage(),
        }

    def open(self, create: ResponseCreate, store: ConnectionStore, wishes: Wishes) -> Turn:
        """The turn that ``create`` asks for; BadRequestError if it cannot be answered."""
        try:
            return self._open(create, store, wishes)
        except BadRequestError:
            store.evict(create.stream_id, create.previous_response_id)
            raise

    @staticmethod
    def _before(create: ResponseCreate, store: ConnectionStore) -> History:
        if create.previous_response_id is None:
            return History()
        found = store.get(create.previous_response_id)
        if found is None:
            raise previous_not_found(create.previous_response_id)
        return found

    def _open(self, create: ResponseCreate, store: ConnectionStore, wishes: Wishes) -> Turn:
        check_model(create.model, self.hub.info)
        history = extend(self._before(create, store), create)
        if self.hub.full:
            message = f"{self.hub.load} turns are queued already; try again later."
            raise BadRequestError(message, "server_is_overloaded", status=503)
        request = generate_request(history, create)
        if not self.hub.info.simulates:
            wishes = replace(wishes, timing=False)
        narrator = Narrator(
            create,
            model=self.hub.info.model,
            ids=self.ids,
            created_at=int(self.wall_time()),
            wishes=wishes,
        )
        responder = Responder(
            self.hub,
            narrator,
            request,
            warm=create.generate is False,
            metrics=wishes.metrics,
            wall_time=self.wall_time,
        )
        return Turn(create, history, responder, store, wishes.brief)


def _latin(text: str) -> str:
    """``text`` as a header may carry it."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)
