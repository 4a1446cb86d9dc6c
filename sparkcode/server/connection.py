"""The server's end of one persistent connection, over any :class:`Transport`.

Two tasks: a reader that takes frames as they come, so that an interrupt or a lost link is noticed
while an answer streams, and an answerer that works off requests in order. When either ends, the
other is cancelled, and with it the running response: its generator closes and the engine stops
within one step.

A frame that cannot be understood takes its place in the queue and is answered there with an
``error`` frame; sent at once it would look like the failure of the response in flight.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final

from sparkcode.errors import EngineUnreachableError, RemoteProtocolError
from sparkcode.link.transport import Transport
from sparkcode.protocol.events import (
    ErrorBody,
    ErrorEvent,
    InterruptFailed,
    ResponseCreate,
    ResponseInterrupt,
    ResponseSteer,
    ServerEvent,
    SteerFailed,
    UnknownEvent,
)
from sparkcode.protocol.machine import Machine
from sparkcode.server.conversation import BadRequestError
from sparkcode.server.narrator import Wishes
from sparkcode.server.responder import Responder
from sparkcode.server.service import Service

MAX_QUEUED: Final = 64
"""Requests that may wait on one connection; the next is refused in its turn."""

MAX_WAITING: Final = 2 * MAX_QUEUED
"""Frames of any kind that may wait to be answered, refusals too; with one more the connection
ends: who sends without listening would otherwise fill the memory with refusals."""

REMEMBERED: Final = 256
"""Ids of past responses for which an interrupt comes too late, and is not an error."""


async def serve_connection(service: Service, end: Transport, wishes: Wishes) -> None:
    """Serves until the client is gone, or has sent far more than it waits for."""
    await Connection(service, end, wishes).run()


class Connection:
    """State of one connection."""

    def __init__(self, service: Service, end: Transport, wishes: Wishes) -> None:
        self._service = service
        self._end = end
        self._wishes = wishes
        self._store = service.connection_store()
        self._machine = Machine("server")
        self._requests: asyncio.Queue[ResponseCreate | BadRequestError] = asyncio.Queue()
        self._answering: Responder | None = None
        self._past: deque[str] = deque(maxlen=REMEMBERED)
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._answer_all())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            gone = isinstance(result, EngineUnreachableError | asyncio.CancelledError)
            if isinstance(result, BaseException) and not gone:
                raise result

    # --- reading -------------------------------------------------------------------------------

    async def _read(self) -> None:
        async for text in self._end.frames():
            await self._take(text)
            if self._requests.qsize() > MAX_WAITING:
                await self._end.close()
                return

    async def _take(self, text: str) -> None:
        try:
            event = self._machine.receive(text)
        except RemoteProtocolError as error:
            self._requests.put_nowait(unusable(error))
            return
        match event:
            case ResponseCreate():
                crowded = self._requests.qsize() >= MAX_QUEUED
                self._requests.put_nowait(_crowded() if crowded else event)
            case ResponseInterrupt():
                await self._interrupt(event.response_id)
            case ResponseSteer():
                await self._refuse_steer(event)
            case UnknownEvent():
                self._requests.put_nowait(_unknown_type(event.type))
            case _:
                pass

    async def _interrupt(self, response_id: str) -> None:
        if self._answering is not None and self._answering.response_id == response_id:
            self._answering.interrupt()
        elif response_id not in self._past:
            error = ErrorBody(
                message=f"No response with id {response_id!r} is in progress.",
                type="invalid_request_error",
                code="response_not_found",
                param="response_id",
            )
            await self._send([InterruptFailed(response_id=response_id, error=error)])

    async def _refuse_steer(self, event: ResponseSteer) -> None:
        error = ErrorBody(
            message="This server does not steer a running response; interrupt it instead.",
            type="invalid_request_error",
            code="steering_not_supported",
        )
        steer: dict[str, Any] = {
            "previous_response_id": event.previous_response_id,
            "input": event.input,
        }
        await self._send([SteerFailed(steer=steer, error=error)])

    # --- answering -----------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        while True:
            request = await self._requests.get()
            try:
                if isinstance(request, BadRequestError):
                    raise request
                await self._answer(request)
            except BadRequestError as error:
                await self._send([ErrorEvent(status=error.status, error=error.body)])

    async def _answer(self, create: ResponseCreate) -> None:
        turn = self._service.open(create, self._store, self._wishes)
        responder = self._answering = turn.responder
        async with aclosing(responder.events()) as batches:
            async for batch in batches:
                if responder.final is not None:
                    # Settled before the terminal event is out: the client may go on at once.
                    self._answering = None
                    self._past.append(responder.response_id)
                    turn.settle()
                await self._send(batch)

    async def _send(self, events: Sequence[ServerEvent]) -> None:
        async with self._sending:
            for event in events:
                await self._end.send(self._machine.send(event))


def unusable(error: RemoteProtocolError) -> BadRequestError:
    """A frame or body that is no request: bad JSON, or a field of a wrong type."""
    message = str(error)
    path = message.rpartition("`$.")[2].rstrip("`") if "`$." in message else None
    code = "invalid_json" if path is None else "invalid_type"
    return BadRequestError(f"Invalid request: {message}", code, path)


def _unknown_type(name: str) -> BadRequestError:
    return BadRequestError(
        f"Unknown event type: {name[:80]!r}. Supported: 'response.create', 'response.interrupt', "
        "'response.steer', 'response.processed'.",
        "invalid_value",
        "type",
    )


def _crowded() -> BadRequestError:
    return BadRequestError(
        f"More than {MAX_QUEUED} requests wait on this connection.",
        "rate_limit_exceeded",
        status=429,
    )
