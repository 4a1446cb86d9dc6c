"""A turn over HTTP: as server-sent events, or as one JSON object.

Either way the client may leave while the engine works. Both forms listen for that, close the
response's generator, and so stop the engine within one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import Response, ServerEvent, UnknownEvent
from sparkcode.protocol.machine import Machine
from sparkcode.server.conversation import BadRequestError
from sparkcode.server.service import Turn

Result = TypeVar("Result")

STALLED_SECONDS: Final = 60.0
"""How long a client may read nothing of a stream."""

_STATUS: Final[Mapping[str, int]] = {
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "content_filter": 400,
    "upstream_unreachable": 502,
    "upstream_unauthorized": 502,
    "upstream_error": 502,
    "upstream_timeout": 504,
}
"""HTTP status of an engine's failure when no stream has begun; others are 500."""


async def collect(turn: Turn, receive: Receive) -> Response:
    """The final response; BadRequestError if the engine failed.

    ClientDisconnect if nobody waits for it any more.
    """

    async def run() -> Response:
        async with aclosing(_batches(turn)) as batches:
            async for _ in batches:
                pass
        assert turn.responder.final is not None
        return turn.responder.final

    response = await _while_connected(receive, run())
    failure = turn.responder.failure
    if failure is not None:
        status = failure.status or _STATUS.get(failure.code, 500)
        retry = failure.retry_seconds
        raise BadRequestError(str(failure), failure.code, status=status, retry_seconds=retry)
    return response


class EventStream:
    """An ASGI response that streams a turn."""

    def __init__(self, turn: Turn, headers: Mapping[str, str]) -> None:
        self._turn = turn
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _while_connected(receive, self._send_all(send))
        except ClientDisconnect:
            return

    async def _send_all(self, send: Send) -> None:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            **self._headers,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        machine = Machine("server", brief=self._turn.brief)
        machine.receive(encode(self._turn.create))
        async with aclosing(_batches(self._turn)) as batches:
            async for batch in batches:
                body = "".join(_event_text(event, machine) for event in batch)
                await _send_body(send, body)
        await _send_body(send, "data: [DONE]\n\n", more=False)


async def _send_body(send: Send, text: str, *, more: bool = True) -> None:
    """ClientDisconnect if the client does not read: its turn must not hold the engine for ever."""
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
    except TimeoutError as error:
        raise ClientDisconnect from error


def _event_text(event: ServerEvent, machine: Machine) -> str:
    text = machine.send(event)
    name = event.type if isinstance(event, UnknownEvent) else event.__struct_config__.tag
    return f"event: {name}\ndata: {text}\n\n"


async def _batches(turn: Turn) -> AsyncGenerator[list[ServerEvent], None]:
    """The response's batches; the turn is settled before the last is given out."""
    async with aclosing(turn.responder.events()) as batches:
        async for batch in batches:
            if turn.responder.final is not None:
                turn.settle()
            yield batch


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``; cancels it and raises ClientDisconnect if the client leaves first."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
