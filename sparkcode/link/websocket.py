"""The persistent socket: one connection for a whole session, one JSON object in a text frame.

Importing this module imports ``websockets`` (0.1 s); :class:`~sparkcode.link.dialer.UrlDialer`
does so at its first attempt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    SecurityError,
)

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import (
    MAX_FRAME_BYTES,
    Endpoint,
    Peer,
    UpgradeRefusedError,
    reason_of,
)

CLOSE_TIMEOUT = 1.0
"""Seconds to wait for the peer's half of the closing handshake."""

_UNUSABLE = (InvalidURI, ValueError, OverflowError, ImportError)
"""What becomes of host names, ports and proxies that can be written but not used: UnicodeError is
a ValueError, and a proxy may need a package that is not installed."""


class WebSocketTransport:
    """Frames over an open connection of ``websockets``."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise EngineUnreachableError(f"the engine closed the socket ({error})") from error

    async def frames(self) -> AsyncIterator[str]:
        while True:
            try:
                frame = await self._connection.recv()
            except ConnectionClosed:
                return
            if isinstance(frame, bytes):
                await self._connection.close(code=1003, reason="text frames only")
                return
            yield frame

    async def close(self) -> None:
        await self._connection.close()


async def connect_websocket(endpoint: Endpoint) -> tuple[WebSocketTransport, Peer]:
    """One handshake with ``endpoint``.

    UpgradeRefusedError when something answers there that is no WebSocket server, or not in time;
    EngineUnreachableError when nothing does, the key is refused (401) or the server is in trouble.
    """
    try:
        connection = await connect(
            endpoint.url.replace("http", "ws", 1) + "/responses",
            # On one machine compression only costs processor time.
            compression=None if endpoint.loopback else "deflate",
            proxy=None if endpoint.loopback else True,
            max_size=MAX_FRAME_BYTES,
            open_timeout=endpoint.timeout,
            close_timeout=CLOSE_TIMEOUT,
            user_agent_header=None,
            additional_headers=endpoint.headers,
        )
    except InvalidStatus as error:
        raise _refusal(endpoint, error.response.status_code) from error
    except TimeoutError as error:
        note = f"SSE: no WebSocket handshake within {endpoint.timeout:g} s"
        raise UpgradeRefusedError(note) from error
    except OSError as error:
        raise endpoint.unreachable(reason_of(error)) from error
    except InvalidProxy as error:
        # Without the address, which may hold a password.
        raise endpoint.unreachable(f"proxy of the environment: {error.msg}") from error
    except (InvalidMessage, ProxyError, SecurityError, *_UNUSABLE) as error:
        raise endpoint.unreachable(reason_of(error)) from error
    except InvalidHandshake as error:
        raise UpgradeRefusedError(f"SSE: {reason_of(error)}") from error
    answer = connection.response
    return WebSocketTransport(connection), endpoint.peer(
        "websocket", {} if answer is None else answer.headers
    )


def _refusal(endpoint: Endpoint, status: int) -> EngineUnreachableError:
    """What an HTTP status in place of an upgrade means.

    A 403 is also what ASGI servers without any WebSocket route answer, so HTTP has to tell.
    """
    if status == 401:
        return endpoint.key_refused(status)
    if status >= 500 and status != 501:
        return endpoint.unreachable(f"HTTP {status}")
    return UpgradeRefusedError(f"SSE: the server refused a WebSocket (HTTP {status})")
