"""One request on one link, from its first byte to what becomes of the link.

Some failures only show that the server is to be asked otherwise: a socket that had gone while it
was idle, a response that the server no longer knows, a kind of tool that it does not know. As long
as our client has seen nothing these end in :class:`AskAgainError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from sparkcode.engine.base import GenerateRequest, Step
from sparkcode.errors import EngineError, EngineUnreachableError, RemoteProtocolError
from sparkcode.protocol.codec import decode_server_event, encode
from sparkcode.protocol.events import (
    ErrorEvent,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInterrupt,
    ServerEvent,
)
from sparkcode.upstream import faults
from sparkcode.upstream.answer import Answer
from sparkcode.upstream.items import Manner, create_of, item_objects
from sparkcode.upstream.pool import Link, Pool, send_quietly

INTERRUPT_SECONDS: Final = 1.0
"""How long an interrupted server may take to say so, before its link is dropped."""

OURS: Final = ("spark", "scripted", "upstream")
"""What servers of our kind call their engines; they know ``response.interrupt``."""

_AGED: Final = "websocket_connection_limit_reached"
_FORGOTTEN: Final = "previous_response_not_found"
_NOT_UNDERSTOOD: Final = (400, 422)


class AskAgainError(Exception):
    """The question can be asked again, and our client has seen nothing yet."""

    def __init__(
        self, *, usable: bool = False, functions_only: bool = False, stateless: bool = False
    ) -> None:
        super().__init__("ask again")
        self.usable = usable
        """The link can be used for it."""
        self.functions_only = functions_only
        """The server knows no custom tools."""
        self.stateless = stateless
        """It does not go on from responses."""


@dataclass(slots=True)
class Attempt:
    """A request for ``link``, which the attempt gives back to ``pool`` or closes."""

    pool: Pool
    link: Link
    request: GenerateRequest
    manner: Manner
    url: str
    silence: float
    """Seconds."""
    warm: bool
    _incremental: bool = False
    _shown: bool = False

    async def steps(self) -> AsyncGenerator[Step, None]:
        """The answer; EngineError or AskAgainError when it fails."""
        answer = Answer(self.request)
        usable = False
        try:
            await self._send()
            while answer.final is None:
                event = await self._next(answer)
                self._heed(event, answer)
                for step in answer.steps(event):
                    self._shown = True
                    yield step
            objects = item_objects(answer.items, free_form=self.manner.free_form)
            self.link.chain.completed(answer.final, objects)
            usable = True
        except EngineError as error:
            usable = not isinstance(error, _LostError)
            raise
        except AskAgainError as again:
            usable = again.usable
            raise
        except (asyncio.CancelledError, GeneratorExit):
            usable = answer.final is not None or await self._interrupted(answer)
            raise
        finally:
            await (self.pool.give_back(self.link) if usable else self.link.close())

    async def _send(self) -> None:
        full = create_of(self.request, self.manner, warm=self.warm)
        request = self.link.chain.request(full)
        self._incremental = request is not full
        try:
            await self.link.send(encode(request))
        except EngineUnreachableError as error:
            raise self._gone() from error

    async def _next(self, answer: Answer) -> ServerEvent:
        try:
            text = await self.link.next(self.silence)
        except TimeoutError as error:
            raise _LostError.of(faults.silent(self.url, self.silence)) from error
        if text is None:
            raise self._gone() if not answer.began else _LostError.of(faults.cut(self.url))
        try:
            return decode_server_event(text)
        except RemoteProtocolError as error:
            raise _LostError.of(faults.unusable(self.url, str(error))) from error

    def _gone(self) -> Exception:
        """A link that ends before it has said anything may have been closed while it was idle."""
        return AskAgainError() if self.link.used else _LostError.of(faults.cut(self.url))

    def _heed(self, event: ServerEvent, answer: Answer) -> None:
        """Raises for an ``error`` frame, and where the server ignores what it should go on from."""
        if isinstance(event, ErrorEvent):
            answer.began = True
            if not self._shown:
                self._see_whether_otherwise(event)
            status = event.status if isinstance(event.status, int) else 0
            raise faults.refused(self.url, status, event.error)
        if (
            isinstance(event, ResponseCreated)
            and self._incremental
            and self.link.peer.kind == "sse"
            and event.response.previous_response_id is None
        ):
            raise AskAgainError(stateless=True)

    def _see_whether_otherwise(self, event: ErrorEvent) -> None:
        """Raises AskAgainError where another form of the request may do."""
        code, said = event.error.code, event.error.message.lower()
        if code == _AGED:
            raise AskAgainError()
        if code == _FORGOTTEN and self._incremental:
            raise AskAgainError(usable=True)
        custom = any(tool.kind == "custom" for tool in self.request.tools)
        refused = event.status in _NOT_UNDERSTOOD and ("tool" in said or "custom" in said)
        if self.manner.free_form and custom and refused:
            raise AskAgainError(usable=True, functions_only=True)

    async def _interrupted(self, answer: Answer) -> bool:
        """Ends a response that nobody wants; whether the link can be used again."""
        known = self.link.peer.engine in OURS and self.link.peer.kind == "websocket"
        if not known or not answer.response_id:
            return False
        interrupt = encode(ResponseInterrupt(response_id=answer.response_id))
        if not await send_quietly(self.link, interrupt):
            return False
        try:
            async with asyncio.timeout(INTERRUPT_SECONDS):
                return await self._ends(answer.response_id)
        except TimeoutError:
            return False

    async def _ends(self, response_id: str) -> bool:
        """Waits for the terminal event."""
        while (text := await self.link.next(INTERRUPT_SECONDS)) is not None:
            try:
                event = decode_server_event(text)
            except RemoteProtocolError:
                return False
            if isinstance(event, ResponseCompleted | ResponseIncomplete | ResponseFailed):
                return event.response.id == response_id
        return False


class _LostError(EngineError):
    """A failure after which the link is of no more use."""

    @classmethod
    def of(cls, error: EngineError) -> _LostError:
        return cls(str(error), error.code)
