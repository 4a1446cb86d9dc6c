"""HTTP connections with an end to patience: who dawdles, or comes in crowds, is let go.

The server's own protocol waits for ever for the rest of a request's headers, so that connections
which send a byte now and then could hold all that a process may open.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS: Final = 10.0
"""From a connection, or a request's first byte, to the end of its headers."""

MAX_CONNECTIONS: Final = 512
"""Connections of one address at once, sockets included."""

_CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)


def _address(connection: object) -> str:
    """Where it comes from, without its port."""
    client = getattr(connection, "client", None)
    return client[0] if client else ""


class PatientProtocol(H11Protocol):
    """One HTTP connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        alike = [each for each in self.connections if _address(each) == _address(self)]
        if len(alike) > MAX_CONNECTIONS:
            transport.write(_CROWDED)
            transport.close()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE or self.transport.get_protocol() is not self:
            self._come()
        elif self._waiting is None:
            self._wait()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _come(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
