"""Open links to one server, each at a point from which a conversation can go on.

A server on a persistent socket remembers the newest response of each connection. So a question goes
out on the idle link whose conversation it continues, and then holds only what is new; any other
question gets a link of its own. Nothing ties our clients' connections to these links: what is
matched is what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sparkcode.clock import Clock
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.chain import Chain
from sparkcode.link.transport import Dialer, Peer, Transport
from sparkcode.protocol.events import ResponseCreate

MAX_IDLE: Final = 32
"""Links that are kept while nobody uses them; the one that was idle longest goes first."""

MAX_AGE_SECONDS: Final = 55 * 60.0
"""Servers end a connection after an hour."""


class Link:
    """One connection."""

    def __init__(self, transport: Transport, peer: Peer, chain: Chain, opened_at: float) -> None:
        self.peer: Final = peer
        self.chain: Final = chain
        self.opened_at: Final = opened_at
        self.used = False
        """Whether it has brought an answer: then a failure may only mean that it has grown old."""
        self._transport = transport
        self._frames = transport.frames()
        self._reading: asyncio.Task[str | None] | None = None

    async def send(self, text: str) -> None:
        """EngineUnreachableError if the link is gone."""
        await self._transport.send(text)

    async def next(self, seconds: float) -> str | None:
        """The next frame, or None at the end; TimeoutError if nothing comes in time.

        Who is cancelled while waiting loses no frame.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        done, _ = await asyncio.wait({self._reading}, timeout=seconds)
        if not done:
            raise TimeoutError
        frame, self._reading = self._reading.result(), None
        return frame

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        await self._transport.close()

    async def _read(self) -> str | None:
        return await anext(self._frames, None)


@dataclass(slots=True)
class Pool:
    """Links to what ``dialer`` reaches."""

    dialer: Dialer
    clock: Clock
    keeps: Callable[[Peer], bool]
    """Whether a server remembers the responses of a connection."""
    _idle: list[Link] = field(default_factory=list)
    """Oldest use first."""

    async def take(self, full: Callable[[Peer], ResponseCreate]) -> Link:
        """The best link for a request, which ``full`` writes for a peer.

        EngineUnreachableError if a new one is needed and cannot be had.
        """
        await self._drop_old()
        shared = {link: link.chain.shared(full(link.peer)) for link in self._idle}
        best = max(self._idle, key=lambda link: shared[link], default=None)
        if best is not None and shared[best] < 0:
            best = next((link for link in self._idle if not link.chain.continuable), None)
        if best is None:
            return await self.dial()
        self._idle.remove(best)
        return best

    async def dial(self) -> Link:
        """A new link."""
        transport, peer = await self.dialer.dial()
        chain = Chain()
        chain.reset(incremental=self.keeps(peer))
        return Link(transport, peer, chain, self.clock.now())

    async def give_back(self, link: Link) -> None:
        """``link`` is idle again."""
        link.used = True
        self._idle.append(link)
        while len(self._idle) > MAX_IDLE:
            await self._idle.pop(0).close()

    async def close(self) -> None:
        """Closes what is idle."""
        idle, self._idle = self._idle, []
        for link in idle:
            await link.close()

    async def _drop_old(self) -> None:
        limit = self.clock.now() - MAX_AGE_SECONDS
        old = [link for link in self._idle if link.opened_at < limit]
        self._idle = [link for link in self._idle if link.opened_at >= limit]
        for link in old:
            await link.close()


async def send_quietly(link: Link, text: str) -> bool:
    """Whether ``text`` could be sent."""
    try:
        await link.send(text)
    except EngineUnreachableError:
        return False
    return True
