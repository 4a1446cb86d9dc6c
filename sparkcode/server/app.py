"""The HTTP and WebSocket routes, on one port.

POST /v1/responses          one response, as JSON or as server-sent events
GET  /v1/responses          WebSocket upgrade; without one 426, on which clients fall back to
                            HTTP at once (on 404 or 405 they retry for seconds)
GET  /v1/responses/{id}     a stored response
DELETE /v1/responses/{id}   forget it
POST /v1/responses/compact  a conversation as one opaque item
GET  /v1/models             the model that is served, and its alias ``spark``
GET  /healthz               who answers; needs no key
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from sparkcode import __version__
from sparkcode.errors import EngineUnreachableError, RemoteProtocolError
from sparkcode.protocol.codec import decode_create_body
from sparkcode.protocol.events import ErrorBody, ResponseCreate
from sparkcode.server.auth import Gate
from sparkcode.server.connection import serve_connection, unusable
from sparkcode.server.conversation import BadRequestError
from sparkcode.server.narrator import Wishes
from sparkcode.server.service import Service
from sparkcode.server.streaming import EventStream, collect

RETRY_SECONDS: Final = 1
"""What a client is told to wait where there is too much to do."""
_LATER: Final = (429, 503)

BODY_SECONDS: Final = 120.0
"""How long a request's body may take."""

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest frame and largest body, as in the public service."""


BINARY: Final = "<a binary frame; requests are text frames>"
"""What a binary frame is taken for: no JSON, and so answered as bad JSON is."""

_Answer = Callable[[ResponseCreate, Request], Awaitable[Response | EventStream]]


def create_app(service: Service, gate: Gate) -> Starlette:
    """The ASGI application; closing it stops the engine's turns."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await service.hub.close()

    routes = _Routes(service, gate)
    return Starlette(
        routes=[
            Route("/healthz", routes.health),
            Route("/v1/models", routes.models),
            Route("/v1/responses", routes.respond, methods=["POST"]),
            Route("/v1/responses", routes.upgrade_required, methods=["GET"]),
            Route("/v1/responses/compact", routes.compact, methods=["POST"]),
            Route("/v1/responses/{response_id}", routes.stored, methods=["GET"]),
            Route("/v1/responses/{response_id}", routes.delete, methods=["DELETE"]),
            WebSocketRoute("/v1/responses", _Connect(routes)),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )


@dataclass(frozen=True, slots=True)
class _Routes:
    service: Service
    gate: Gate

    async def health(self, request: Request) -> Response:
        info = self.service.hub.info
        return JSONResponse(
            {
                "status": "ok",
                "server": "sparkcode",
                "version": __version__,
                "engine": info.engine,
                "model": info.model,
                "profile": info.profile,
                "pid": os.getpid(),
                "connections": self.service.connections_total,
                "load": self.service.hub.load,
                "cpu_seconds": time.process_time(),
            }
        )

    async def models(self, request: Request) -> Response:
        names = dict.fromkeys([self.service.hub.info.model, "spark"])
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "sparkcode"} for name in names
        ]
        body = msgspec.json.encode({"object": "list", "data": data})
        return self._refused(request) or self._json(body)

    async def upgrade_required(self, request: Request) -> Response:
        body = ErrorBody(
            message="GET /v1/responses is a WebSocket; use POST for HTTP.",
            type="invalid_request_error",
            code="upgrade_required",
        )
        return self._refused(request) or _error(
            426, body, {"upgrade": "websocket", **self.service.headers}
        )

    async def stored(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        response_id = request.path_params["response_id"]
        found = self.service.responses.get(response_id)
        if found is None:
            return _not_found(response_id)
        return self._json(msgspec.json.encode(found.response))

    async def delete(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        response_id = request.path_params["response_id"]
        if not self.service.responses.delete(response_id):
            return _not_found(response_id)
        told = {"id": response_id, "object": "response", "deleted": True}
        return self._json(msgspec.json.encode(told))

    async def respond(self, request: Request) -> Response | EventStream:
        return await self._guarded(request, self._answer)

    async def compact(self, request: Request) -> Response | EventStream:
        return await self._guarded(request, self._compact)

    async def _guarded(self, request: Request, answer: _Answer) -> Response | EventStream:
        """What ``answer`` says to a request that may pass; its errors as HTTP."""
        if refused := self._refused(request):
            return refused
        try:
            return await answer(decode_create_body(await _body(request)), request)
        except BadRequestError as error:
            return _error(error.status, error.body, retry_seconds=error.retry_seconds)
        except RemoteProtocolError as error:
            return _error(400, unusable(error).body)
        except ClientDisconnect:
            return Response(status_code=499)

    async def _compact(self, create: ResponseCreate, request: Request) -> Response:
        return self._json(msgspec.json.encode(self.service.compact(create)))

    async def _answer(self, create: ResponseCreate, request: Request) -> Response | EventStream:
        store = self.service.connection_store()
        turn = self.service.open(create, store, Wishes.of(request.headers))
        if create.stream:
            return EventStream(turn, self.service.headers)
        return self._json(msgspec.json.encode(await collect(turn, request.receive)))

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if refusal := self.gate.refusal(websocket.headers):
            await websocket.send_denial_response(_error(*refusal))
            return
        headers = [(k.encode(), v.encode()) for k, v in self.service.headers.items()]
        await websocket.accept(headers=headers)
        self.service.connections_total += 1
        wishes = Wishes.of(websocket.headers)
        await serve_connection(self.service, _SocketEnd(receive, send), wishes)

    def _refused(self, request: Request) -> Response | None:
        refusal = self.gate.refusal(request.headers)
        return _error(*refusal) if refusal else None

    def _json(self, body: bytes) -> Response:
        return Response(body, media_type="application/json", headers=self.service.headers)


@dataclass(frozen=True, slots=True)
class _Connect:
    """The WebSocket route as an application of its own: the framework's wrapper of a socket costs
    more than a frame.
    """

    routes: _Routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.routes.connect(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _SocketEnd:
    """An accepted WebSocket as a :class:`Transport`."""

    _receive: Receive
    _send: Send

    async def send(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError) as error:
            # Sending after the close was seen is a RuntimeError of the server.
            raise EngineUnreachableError("the client is gone") from error

    async def frames(self) -> AsyncIterator[str]:
        while (message := await self._receive())["type"] == "websocket.receive":
            text = message.get("text")
            yield text if isinstance(text, str) else BINARY

    async def close(self) -> None:
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": 1000})


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _whole(request)
    except TimeoutError as error:
        message = f"The body took longer than {BODY_SECONDS:g} s."
        raise BadRequestError(message, "request_timeout", status=408) from error


async def _whole(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_MESSAGE_BYTES:
            raise BadRequestError(
                f"The body is larger than {MAX_MESSAGE_BYTES} bytes.",
                "request_too_large",
                None,
                413,
            )
        parts.append(part)
    return b"".join(parts)


def _not_found(response_id: str) -> Response:
    body = ErrorBody(
        message=f"Response with id '{response_id}' not found.",
        type="invalid_request_error",
        param="response_id",
    )
    return _error(404, body)


def _error(
    status: int,
    body: ErrorBody,
    headers: dict[str, str] | None = None,
    *,
    retry_seconds: float = 0.0,
) -> Response:
    seconds = ceil(retry_seconds) or RETRY_SECONDS
    wait = {"retry-after": str(seconds)} if status in _LATER else {}
    return Response(
        msgspec.json.encode({"error": body}),
        status_code=status,
        media_type="application/json",
        headers={**wait, **(headers or {})},
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    message = f"{phrase}: {request.method} {request.url.path}"
    body = ErrorBody(message=message, type="invalid_request_error")
    return _error(error.status_code, body, dict(error.headers or {}))
