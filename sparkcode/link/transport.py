"""What carries frames between the assistant and an engine, and how such a link is made.

A :class:`Transport` moves whole JSON texts both ways and knows nothing about their meaning. A
socket, an HTTP stream, a pair of queues and a recorded tape are peers behind it, so that replay
replaces the link and nothing else. A :class:`Dialer` makes one attempt to get a transport; who
wants another attempt asks again.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from sparkcode import __version__
from sparkcode.config import API_KEY_ENV
from sparkcode.errors import EngineUnreachableError, UsageError

PeerKind = Literal["websocket", "sse", "memory", "tape"]

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""The largest frame either side may send, as in the public service (then close code 1009)."""


class Transport(Protocol):
    """A link that carries frames; each frame is one JSON object as text."""

    async def send(self, text: str) -> None:
        """Hand over one client frame; EngineUnreachableError if the link is gone."""
        ...

    def frames(self) -> AsyncIterator[str]:
        """The peer's frames in order; ends when the link closes. To be called once."""
        ...

    async def close(self) -> None:
        """Close the link; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Who answers at the other end, and over what."""

    kind: PeerKind
    url: str
    engine: str = ""
    model: str = ""
    profile: str = ""
    note: str = ""
    """One line for the user: why there is no WebSocket, which process was started."""
    behind: str = ""
    """The engine behind a gateway, as its server calls it; empty where there is none."""

    @property
    def maker(self) -> str:
        """The engine that makes the answers, be it behind a gateway."""
        return self.behind or self.engine


class Dialer(Protocol):
    """Something that can get a link."""

    async def dial(self) -> tuple[Transport, Peer]:
        """One attempt; EngineUnreachableError says in one line why it failed."""
        ...


# --- in memory ------------------------------------------------------------------------------


class FramePipe:
    """Frames in one direction: bounded, closable from both sides.

    A full pipe makes the sender wait. After :meth:`close` what is already inside is still read.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(capacity)
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    async def put(self, text: str) -> None:
        """Add one frame; EngineUnreachableError once the pipe is closed."""
        if not self._closed:
            await self._room.acquire()
        if self._closed:
            # Each sender that waited for room wakes the next one.
            self._room.release()
            raise EngineUnreachableError("the link to the engine is closed")
        self._frames.put_nowait(text)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._frames.put_nowait(None)
        self._room.release()

    async def frames(self) -> AsyncIterator[str]:
        while (text := await self._frames.get()) is not None:
            self._room.release()
            yield text


class MemoryTransport:
    """One end of a pair of pipes in one process; both ends satisfy :class:`Transport`."""

    def __init__(self, incoming: FramePipe, outgoing: FramePipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def send(self, text: str) -> None:
        await self._outgoing.put(text)

    def frames(self) -> AsyncIterator[str]:
        return self._incoming.frames()

    async def close(self) -> None:
        """Closes both directions, so that the other end sees it too."""
        self._outgoing.close()
        self._incoming.close()


def memory_pair(capacity: int = 1024) -> tuple[MemoryTransport, MemoryTransport]:
    """(client end, server end) of a link that holds up to ``capacity`` frames each way."""
    up, down = FramePipe(capacity), FramePipe(capacity)
    return MemoryTransport(down, up), MemoryTransport(up, down)


# --- by URL ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an engine is and how to ask it; ``url`` is the base as :func:`base_url` gives it."""

    url: str
    api_key: str = field(default="", repr=False)
    key_env: str = API_KEY_ENV
    """The environment variable that a message about a refused key names."""
    timeout: float = 5.0
    """Seconds for a connection and its handshake."""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def loopback(self) -> bool:
        """Whether the engine is on this machine: then no compression and no proxy."""
        return _is_loopback(urlsplit(self.url).hostname or "")

    @property
    def headers(self) -> dict[str, str]:
        """Request headers for an upgrade and for a POST alike."""
        headers = {
            "User-Agent": f"sparkcode/{__version__}",
            "x-spark-timing": "true",
            "x-spark-brief": "true",
            "x-responsesapi-include-timing-metrics": "true",
            **self.extra,
        }
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers

    def peer(self, kind: PeerKind, headers: Mapping[str, str]) -> Peer:
        """The peer that the response ``headers`` describe."""
        return Peer(
            kind=kind,
            url=self.url,
            engine=_label(headers.get("x-spark-engine")),
            model=_label(headers.get("x-spark-model")),
            profile=_label(headers.get("x-spark-profile")),
            behind=_label(headers.get("x-spark-behind")),
        )

    def unreachable(self, reason: str) -> EngineUnreachableError:
        return EngineUnreachableError(f"no engine answers at {self.url} ({reason})")

    def key_refused(self, status: int) -> KeyRefusedError:
        given = "the API key" if self.api_key else "a request without an API key"
        return KeyRefusedError(
            f"the engine at {self.url} refused {given} (HTTP {status});"
            f" set {self.key_env} or --api-key"
        )


class UpgradeRefusedError(EngineUnreachableError):
    """The server answered, but not with a WebSocket; the message is a :attr:`Peer.note`."""


class KeyRefusedError(EngineUnreachableError):
    """The server answered that the key, or having none, is no admission."""


def base_url(url: str) -> str:
    """``url`` as ``http(s)://host[:port]/path`` without a final slash; UsageError otherwise.

    Accepts ``host:port``, ``ws(s)://`` and a URL that ends in ``/responses``. Without a path it is
    ``/v1``. Without a scheme it is ``http`` for this machine and ``https`` for every other, so
    that no key leaves in clear text by omission.
    """
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad_url(url) from error
    if not host or not _printable(text) or parts.query or parts.fragment or "@" in parts.netloc:
        raise _bad_url(url)
    plain = "http" if _is_loopback(host) else "https"
    scheme = {"": plain, "http": "http", "ws": "http", "https": "https", "wss": "https"}.get(
        parts.scheme
    )
    if scheme is None:
        raise _bad_url(url)
    name = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/").removesuffix("/responses").rstrip("/") or "/v1"
    return f"{scheme}://{name}{f':{port}' if port else ''}{path}"


def reason_of(error: Exception) -> str:
    """A connection failure in a few words."""
    text = str(error)
    if isinstance(error, OSError):
        # Several addresses of one name fail together in an error that only has a text.
        if error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in text:
            return "refused"
        if isinstance(error, socket.gaierror):
            return "unknown host"
        text = error.strerror or text
    if isinstance(error, UnicodeError):
        return "no valid name of a host"
    return (text.strip() or type(error).__name__).splitlines()[0][:200]


def _bad_url(url: str) -> UsageError:
    return UsageError(f"{url!r} is no engine URL; it looks like http://127.0.0.1:8900/v1")


def _printable(text: str) -> bool:
    return all("!" <= char <= "~" for char in text)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _label(value: str | None) -> str:
    """A header that is shown to the user: printable, short."""
    return "".join(char for char in value or "" if char.isprintable())[:80]
