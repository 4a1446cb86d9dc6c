"""HTTP with server-sent events, made to look like a socket.

``POST /responses`` answers with a stream of events; each event's ``data`` is the same JSON object
that a WebSocket would carry in one frame. Three things of the socket have no counterpart in HTTP
and are answered here, so that a session need not care:

* A warm-up (``generate: false``) prepares nothing on a server that keeps no connection state. It is
  not sent; it completes at once with an empty response id, from which nothing can be continued.
* ``response.interrupt`` closes the HTTP stream, which is how a server notices, and the terminal
  events that a socket would have sent are made from what had arrived.
* An HTTP error becomes an ``error`` frame with the numeric status.

Requests run one after another. A stream that breaks off before its terminal event ends the link, as
a cut socket would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx
import msgspec

from sparkcode.errors import EngineUnreachableError, RemoteProtocolError
from sparkcode.link.chain import empty_warm_up
from sparkcode.link.transport import (
    MAX_FRAME_BYTES,
    Endpoint,
    FramePipe,
    Peer,
    reason_of,
)
from sparkcode.protocol.codec import decode_client_event, decode_server_event, encode
from sparkcode.protocol.events import (
    ErrorBody,
    ErrorEvent,
    IncompleteDetails,
    InterruptAccepted,
    InterruptFailed,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInterrupt,
    ServerEvent,
)

IDLE_TIMEOUT: Final = 300.0
"""Seconds without a byte after which a stream counts as dead."""

MAX_ERROR_BYTES: Final = 64 * 1024

_ACCEPT: Final = {"Accept": "text/event-stream", "Content-Type": "application/json"}
_TYPE: Final = '{"type":"response.create",'
"""How every encoded request begins."""

_UNUSABLE: Final = (httpx.InvalidURL, ValueError, OverflowError, ImportError)
"""What becomes of host names, ports and proxies that can be written but not used: UnicodeError is
a ValueError, and a proxy may need a package that is not installed."""


class SseDecoder:
    """Bytes of a ``text/event-stream`` to the ``data`` of its events, incrementally.

    Lines end in LF, CR or CRLF; comments and other fields are skipped; several ``data`` lines join
    with LF; ``[DONE]`` is no event. What follows the last blank line is not an event yet.
    RemoteProtocolError if a line or an event exceeds ``limit`` bytes.
    """

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[str]:
        """The events that ``chunk`` completes."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events = []
        for part in ended:
            self._grow(part)
            event = self._end_line()
            if event is not None and event != "[DONE]":
                events.append(event)
        self._grow(rest)
        return events

    def _grow(self, part: bytes) -> None:
        self._line_bytes += len(part)
        if self._line_bytes + self._data_bytes > self._limit:
            raise RemoteProtocolError(f"a server-sent event of more than {self._limit} bytes")
        if part:
            self._line.append(part)

    def _end_line(self) -> str | None:
        """Take the finished line; a blank one completes an event."""
        line = b"".join(self._line)
        self._line.clear()
        self._line_bytes = 0
        if self._first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if not line:
            data, self._data = self._data, []
            self._data_bytes = 0
            return b"\n".join(data).decode(errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_bytes += len(value) + 1
        return None


class ResponseTrace:
    """What has arrived of one response: enough to end it in the server's place. Pure."""

    def __init__(self) -> None:
        self._response = Response()
        self._open: dict[int, str] = {}
        self._items: list[OutputItem] = []
        self._sequence = -1
        self.finished = False
        """Whether a terminal event has arrived."""

    @property
    def response_id(self) -> str:
        """Empty until ``response.created``."""
        return self._response.id

    def observe(self, event: ServerEvent) -> None:
        match event:
            case ResponseCreated(response=response):
                self._response = response
            case OutputItemAdded(output_index=index, item=item):
                self._open[index] = item.id
            case OutputItemDone(output_index=index, item=item):
                self._open.pop(index, None)
                self._items.append(item)
            case ResponseCompleted() | ResponseIncomplete() | ResponseFailed() | ErrorEvent():
                self.finished = True
        self._sequence = max(self._sequence, getattr(event, "sequence_number", 0))

    def interrupt(self) -> list[ServerEvent]:
        """The events that a server sends for ``response.interrupt``: whole items are kept."""
        self.finished = True
        response_id = self.response_id
        final = msgspec.structs.replace(
            self._response,
            status="incomplete",
            incomplete_details=IncompleteDetails(reason="interrupted"),
            output=list(self._items),
        )
        events: list[ServerEvent] = [
            InterruptAccepted(sequence_number=self._next(), response_id=response_id)
        ]
        events += [
            OutputItemInterrupted(
                sequence_number=self._next(),
                response_id=response_id,
                item_id=item_id,
                output_index=index,
            )
            for index, item_id in self._open.items()
        ]
        return [*events, ResponseIncomplete(sequence_number=self._next(), response=final)]

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


class SseTransport:
    """A :class:`~sparkcode.link.transport.Transport` over ``POST /responses``; owns ``client``."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint
        self._pipe = FramePipe()
        self._requests: asyncio.Queue[ResponseCreate] = asyncio.Queue()
        self._trace = ResponseTrace()
        self._stream: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None

    async def send(self, text: str) -> None:
        """Start a response or interrupt one; other client frames have no HTTP form."""
        if self._pipe.closed:
            raise EngineUnreachableError("the link to the engine is closed")
        match decode_client_event(text):
            case ResponseCreate() as create:
                self._requests.put_nowait(create)
                if self._worker is None:
                    self._worker = asyncio.create_task(self._work(), name="sse-requests")
            case ResponseInterrupt(response_id=response_id):
                await self._interrupt(response_id)

    def frames(self) -> AsyncIterator[str]:
        return self._pipe.frames()

    async def close(self) -> None:
        self._pipe.close()
        for task in (self._worker, self._stream):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._client.aclose()

    async def _work(self) -> None:
        """Runs the requests in order until the link breaks."""
        try:
            while True:
                create = await self._requests.get()
                self._trace = ResponseTrace()
                if create.generate is False:
                    for event in empty_warm_up(create.model):
                        await self._emit(event)
                    continue
                self._stream = asyncio.create_task(self._post(create), name="sse-stream")
                try:
                    # A cancelled stream is an interrupted response, not the end of the link.
                    await asyncio.wait([self._stream])
                finally:
                    self._stream.cancel()
                if not self._stream.cancelled():
                    self._stream.result()
        except (EngineUnreachableError, RemoteProtocolError, httpx.HTTPError):
            self._pipe.close()

    async def _post(self, create: ResponseCreate) -> None:
        body = _body(create)
        url = f"{self._endpoint.url}/responses"
        async with self._client.stream("POST", url, content=body, headers=_ACCEPT) as answer:
            if answer.status_code != 200 or not _is_event_stream(answer):
                await self._emit(await _error_event(answer, url))
                return
            decoder = SseDecoder()
            async for chunk in answer.aiter_bytes():
                for text in decoder.feed(chunk):
                    self._trace.observe(decode_server_event(text))
                    await self._pipe.put(text)
                if self._trace.finished:
                    return
        raise EngineUnreachableError("the stream ended before its terminal event")

    async def _interrupt(self, response_id: str) -> None:
        trace, stream = self._trace, self._stream
        if trace.response_id != response_id:
            message = f"no response {response_id!r} is running"
            body = ErrorBody(message=message, type="invalid_request_error", code="not_found")
            await self._emit(InterruptFailed(response_id=response_id, error=body))
        elif not trace.finished and stream is not None:
            # Once cancelled, the stream's task puts nothing more into the pipe.
            stream.cancel()
            for event in trace.interrupt():
                await self._emit(event)

    async def _emit(self, event: ServerEvent) -> None:
        await self._pipe.put(encode(event))


def _body(create: ResponseCreate) -> bytes:
    """The HTTP form of a request: a stream, in no lane, and without a type."""
    text = encode(msgspec.structs.replace(create, stream=True, stream_id=None, generate=None))
    return f"{{{text.removeprefix(_TYPE)}".encode()


async def connect_sse(endpoint: Endpoint) -> tuple[SseTransport, Peer]:
    """A transport whose server has answered ``GET /models``, whatever it said of models.

    The request tells a server from none, checks the key, and leaves an open connection behind.
    EngineUnreachableError if nothing answers, the key is refused, or the URL or a proxy of the
    environment cannot be used.
    """
    client = http_client(endpoint)
    try:
        answer = await client.get(f"{endpoint.url}/models", timeout=endpoint.timeout)
    except (httpx.HTTPError, OSError, ExceptionGroup, *_UNUSABLE) as error:
        await client.aclose()
        raise endpoint.unreachable(why(error)) from error
    if answer.status_code in (401, 403):
        await client.aclose()
        raise endpoint.key_refused(answer.status_code)
    return SseTransport(client, endpoint), endpoint.peer("sse", answer.headers)


def http_client(endpoint: Endpoint) -> httpx.AsyncClient:
    """A client for ``endpoint``; EngineUnreachableError for what the environment makes unusable."""
    try:
        return httpx.AsyncClient(
            headers=endpoint.headers,
            timeout=httpx.Timeout(endpoint.timeout, read=IDLE_TIMEOUT, write=30.0),
            trust_env=not endpoint.loopback,
        )
    except (OSError, *_UNUSABLE) as error:
        reason = f"proxy or certificates of the environment: {why(error)}"
        raise endpoint.unreachable(reason) from error


def why(error: Exception) -> str:
    """A failed request in a few words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return reason_of(_root(error))


def _root(error: Exception) -> Exception:
    """The system's own failure at the bottom of what the HTTP client wraps around it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    found = error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, OSError):
            found = cause
        cause = cause.__cause__ or cause.__context__
    return found


def _is_event_stream(answer: httpx.Response) -> bool:
    kind: str = answer.headers.get("content-type", "")
    return kind.lower().startswith("text/event-stream")


async def _error_event(answer: httpx.Response, url: str) -> ErrorEvent:
    """The ``error`` frame for an answer that is no stream of events."""
    status = answer.status_code if answer.status_code >= 400 else 502
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ERROR_BYTES:
            break
    try:
        error = msgspec.json.decode(bytes(body), type=_HttpError).error
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        head = " ".join(body[:200].decode(errors="replace").split())
        error = ErrorBody(message=f"{url} answered HTTP {answer.status_code}: {head!r}")
    wait = answer.headers.get("retry-after", "")
    if wait.isascii() and wait.isdigit() and "try again in" not in error.message.lower():
        # A frame has no headers; in the message is where clients look for it besides.
        told = f"{error.message.rstrip('.')}; try again in {wait[:6]}s"
        error = msgspec.structs.replace(error, message=told)
    return ErrorEvent(status=status, error=error)


class _HttpError(msgspec.Struct, frozen=True):
    error: ErrorBody
