"""A server of the Responses API as an engine of ours.

Sockets stay open, and only what is new is sent where the server remembers the rest
(:mod:`sparkcode.upstream.pool`); over HTTP each request holds everything, unless the server is
known to keep its responses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from sparkcode.clock import Clock
from sparkcode.engine.base import EngineInfo, GenerateRequest, Step
from sparkcode.errors import EngineError, EngineUnreachableError
from sparkcode.link.transport import Dialer, KeyRefusedError, Peer
from sparkcode.protocol.events import ResponseCreate
from sparkcode.upstream import faults
from sparkcode.upstream.attempt import OURS, AskAgainError, Attempt
from sparkcode.upstream.items import Manner, create_of
from sparkcode.upstream.pool import Link, Pool
from sparkcode.upstream.terms import CONCURRENT, Terms

ATTEMPTS: Final = 4
"""An aged link, no custom tools, no state: each shows once."""


class ResponsesUpstream:
    """An :class:`~sparkcode.engine.base.AsyncEngine`."""

    def __init__(self, dialer: Dialer, terms: Terms, clock: Clock) -> None:
        self._terms = terms
        self._stores = terms.stores
        self._functions_only = terms.free_form is False
        self._pool = Pool(dialer, clock, self._keeps)
        self._peer: Peer | None = None

    @property
    def info(self) -> EngineInfo:
        model = self._terms.model
        info = EngineInfo("upstream", model.known, model.context_length, concurrent=CONCURRENT)
        peer = self._peer
        return info if peer is None else replace(info, behind=peer.engine, profile=peer.profile)

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        return self._asked(request, warm=False)

    def warm(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        """Prepares the server where it can be: over a socket, which is opened for it."""
        return self._asked(request, warm=True)

    async def meet(self) -> None:
        """Ask for what is not known of the server yet, and open a link; EngineError if it fails."""
        await self._terms.model.get()
        await self._pool.give_back(await self._reached(self._pool.dial()))

    async def close(self) -> None:
        await self._pool.close()

    async def _asked(self, request: GenerateRequest, *, warm: bool) -> AsyncGenerator[Step, None]:
        try:
            async with aclosing(self._ask(request, warm=warm)) as steps:
                async for step in steps:
                    yield step
        except EngineError as error:
            raise faults.without(self._terms.key, error) from error

    async def _ask(self, request: GenerateRequest, *, warm: bool) -> AsyncGenerator[Step, None]:
        """Asks again where an attempt shows that the server is to be asked otherwise."""
        model = await self._terms.model.get()
        fresh = False
        for _ in range(ATTEMPTS):
            link = await self._link(request, model, fresh=fresh)
            attempt = Attempt(
                self._pool,
                link,
                request,
                self._manner(model, link.peer),
                self._terms.url,
                self._terms.silence,
                warm,
            )
            try:
                async with aclosing(attempt.steps()) as steps:
                    async for step in steps:
                        yield step
            except AskAgainError as again:
                self._functions_only |= again.functions_only
                self._stores &= not again.stateless
                fresh = not again.usable
            else:
                return
        raise faults.cut(self._terms.url)

    async def _link(self, request: GenerateRequest, model: str, *, fresh: bool) -> Link:
        def full(peer: Peer) -> ResponseCreate:
            return create_of(request, self._manner(model, peer))

        return await self._reached(self._pool.dial() if fresh else self._pool.take(full))

    async def _reached(self, getting: Awaitable[Link]) -> Link:
        """A link, and who answers there; EngineError if it cannot be had."""
        try:
            link = await getting
        except KeyRefusedError as error:
            raise faults.key_refused(self._terms.url) from error
        except EngineUnreachableError as error:
            raise faults.unreachable(error) from error
        self._peer = link.peer
        return link

    def _keeps(self, peer: Peer) -> bool:
        return _persistent(peer) or self._stores

    def _manner(self, model: str, peer: Peer) -> Manner:
        knows = self._terms.free_form or _persistent(peer) or peer.engine in OURS
        return Manner(
            model,
            free_form=knows and not self._functions_only,
            stores=self._stores and not _persistent(peer),
        )


def _persistent(peer: Peer) -> bool:
    return peer.kind in ("websocket", "memory")
