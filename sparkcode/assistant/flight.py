"""Requests that are under way on one connection, oldest first. Pure.

A server answers in the order of the requests, and its deltas do not say which response they belong
to. So the oldest request owns whatever arrives until its terminal event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sparkcode.assistant.context import Exchange
from sparkcode.link.transport import Peer
from sparkcode.protocol.events import (
    ErrorEvent,
    OutputItem,
    OutputItemDone,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInterrupt,
    ServerEvent,
)

ConnectionState = Literal["connecting", "ready", "reconnecting", "down", "closed"]

FIRST_EVENT_SECONDS: Final = 60.0
"""How long a sent turn may stay without any event."""

STOP_SECONDS: Final = 5.0
"""How long an interrupted response may go on before the link is given up for it."""

RENEW_SECONDS: Final = 55 * 60.0
"""Age at which an idle link is renewed: the public service ends one after 60 minutes."""

BUSY_SECONDS: Final = 10.0
"""How much later, while a turn runs."""

RESENDS: Final = 3
"""How often one question is sent again after cuts."""

DOWN_AFTER: Final = 3
"""Failed attempts in a row after which the link counts as down."""


@dataclass(frozen=True, slots=True)
class Link:
    """The state of the connection."""

    state: ConnectionState
    peer: Peer | None = None
    reconnects: int = 0
    """How often the link was lost."""
    error: str = ""
    """Why it is not ready, in one line."""


LINK_LIMIT: Final = "websocket_connection_limit_reached"
"""The error code of a server that wants a new connection."""


@dataclass(slots=True, eq=False)
class Flight:
    """One request and what is known of its response."""

    turn: int
    """Number of the turn; 0 for a warm-up."""
    exchange: Exchange | None = None
    response_id: str = ""
    heard: bool = False
    """Whether anything of the response has arrived."""
    dropped: bool = False
    """Whether the user has stopped it: what still arrives is not shown."""
    told: bool = False
    """Whether the server was asked to stop it."""
    items: tuple[OutputItem, ...] = ()
    """Whole items so far."""


class Flights:
    """The queue of one connection."""

    def __init__(self) -> None:
        self._flights: deque[Flight] = deque()

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights)

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, flight: Flight) -> None:
        self._flights.append(flight)

    def drop(self, turn: int) -> None:
        """The user has stopped a turn."""
        for flight in self._flights:
            flight.dropped = flight.dropped or flight.turn == turn

    def receive(self, event: ServerEvent) -> Flight | None:
        """The flight that ``event`` belongs to; a terminal event also ends it."""
        if not self._flights:
            return None
        flight = self._flights[0]
        flight.heard = True
        match event:
            case ResponseCreated(response=response):
                flight.response_id = response.id
            case OutputItemDone(item=item):
                flight.items = (*flight.items, item)
            case _ if is_terminal(event):
                self._flights.popleft()
            case _:
                pass
        return flight


def stop(flight: Flight) -> ResponseInterrupt:
    """The frame that ends the response but not the link; its whole items stay history."""
    return ResponseInterrupt(response_id=flight.response_id, mode="discard_partial_items")


def ended(event: ServerEvent) -> Response | None:
    """The final response in ``event``, if the event brings one that a conversation can go on from.

    A failed response is none.
    """
    match event:
        case ResponseCompleted(response=response) | ResponseIncomplete(response=response):
            return response
        case _:
            return None


def error_code(event: ServerEvent) -> str:
    """The code of a failure, "" if ``event`` is none."""
    match event:
        case ErrorEvent(error=body):
            return body.code or body.type
        case ResponseFailed(response=response) if response.error is not None:
            return response.error.code
        case _:
            return ""


def is_terminal(event: ServerEvent) -> bool:
    """Whether ``event`` ends the response in flight."""
    return isinstance(event, ResponseCompleted | ResponseIncomplete | ResponseFailed | ErrorEvent)
