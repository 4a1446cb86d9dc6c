"""The server's end of one persistent connection, over any :class:`Transport`.

A reader takes frames as they come, so that an interrupt or a lost link is noticed while an answer
streams. Each lane has an answerer that works off the lane's requests in order; lanes run beside
each other. When the reader or an answerer ends, the others are cancelled, and with them the running
responses: their generators close and the engine stops within one step.

A frame that cannot be understood takes its place in the default lane's queue and is answered there
with an ``error`` frame; sent at once it would look like the failure of the response in flight.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from sparkcode.errors import EngineUnreachableError, RemoteProtocolError
from sparkcode.link.transport import Transport
from sparkcode.protocol.codec import decode_client_event, encode
from sparkcode.protocol.events import (
    ErrorBody,
    ErrorEvent,
    InterruptFailed,
    ResponseCreate,
    ResponseInterrupt,
    ResponseSteer,
    ServerEvent,
    Steer,
    SteerAccepted,
    UnknownEvent,
)
from sparkcode.protocol.lanes import LANE, MAX_LANE_NAME, MAX_LANES, Lanes
from sparkcode.protocol.machine import Machine
from sparkcode.server import steering
from sparkcode.server.conversation import BadRequestError
from sparkcode.server.narrator import Wishes
from sparkcode.server.responder import Responder
from sparkcode.server.service import Service
from sparkcode.server.steering import Accepted

MAX_QUEUED: Final = 64
"""Requests that may wait on one connection; the next is refused in its turn."""

MAX_QUEUED_BYTES: Final = 64 << 20
"""Their size together."""

MAX_STEER_BYTES: Final = 1 << 20
"""The longest frame with a steer."""

MAX_WAITING: Final = 2 * MAX_QUEUED
"""Frames of any kind that may wait to be answered, refusals too; with one more the connection
ends: who sends without listening would otherwise fill the memory with refusals."""

MAX_IN_FLIGHT: Final = 16
"""Responses that run at once on one connection; more lanes wait."""

IDLE_SECONDS: Final = 3600.0
"""How long a connection is kept that asks for nothing, while nothing runs."""

REMEMBERED: Final = 256
"""Ids of past responses for which an interrupt comes too late, and is not an error."""


async def serve_connection(service: Service, end: Transport, wishes: Wishes) -> None:
    """Serves until the client is gone, or has sent far more than it waits for."""
    await Connection(service, end, wishes).run()


class _Lane:
    """Requests that are answered one after another."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.requests: asyncio.Queue[tuple[ResponseCreate | BadRequestError, int]] = asyncio.Queue()
        """Each with the size of its frame."""
        self.answering: Responder | None = None
        self.steers: list[Accepted] = []
        """Input for the response that runs, in the order in which it came."""
        self.kept: tuple[str, list[Accepted]] = ("", [])
        """Steers that wait for what the client owes a response, and the response's id."""


class Connection:
    """State of one connection."""

    def __init__(self, service: Service, end: Transport, wishes: Wishes) -> None:
        self._service = service
        self._end = end
        self._wishes = wishes
        self._store = service.connection_store()
        self._machines = Lanes("server", brief=wishes.brief)
        self._lanes: dict[str | None, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._past: deque[str] = deque(maxlen=REMEMBERED)
        self._used_at = service.hub.clock.now()
        self._held = 0
        """Bytes of the frames that wait to be answered."""
        self._sending = asyncio.Lock()
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def run(self) -> None:
        reader = asyncio.create_task(self._read())
        self._watch(reader)
        self._watch(asyncio.create_task(self._see_idle()))
        self._lane(None)
        try:
            await self._over.wait()
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            gone = isinstance(result, EngineUnreachableError | asyncio.CancelledError)
            if isinstance(result, BaseException) and not gone:
                raise result

    def _watch(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._over.set())

    def _lane(self, name: str | None) -> _Lane:
        """The lane called ``name``, opened where there is none."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(self._machines.machine(name))
            self._watch(asyncio.create_task(self._answer_all(lane)))
        return lane

    # --- reading -------------------------------------------------------------------------------

    async def _see_idle(self) -> None:
        """Closes the connection when nobody has used it for long."""
        clock = self._service.hub.clock
        while (until := self._used_at + IDLE_SECONDS) > clock.now():
            await clock.sleep_until(until)
            if any(lane.answering is not None for lane in self._lanes.values()):
                self._used_at = clock.now()
        await self._end.close()

    async def _read(self) -> None:
        async for text in self._end.frames():
            self._used_at = self._service.hub.clock.now()
            await self._take(text)
            if sum(lane.requests.qsize() for lane in self._lanes.values()) > MAX_WAITING:
                await self._end.close()
                return

    async def _take(self, text: str) -> None:
        try:
            event = decode_client_event(text)
        except RemoteProtocolError as error:
            self._refuse(unusable(error))
            return
        match event:
            case ResponseCreate():
                await self._ask(event, len(text))
            case ResponseInterrupt():
                await self._interrupt(event.response_id)
            case ResponseSteer():
                await self._steer(event, len(text))
            case UnknownEvent():
                self._refuse(_unknown_type(event.type))
            case _:
                pass

    async def _ask(self, create: ResponseCreate, size: int) -> None:
        name = create.stream_id
        if name is not None and not LANE.fullmatch(name):
            await self._turn_away(name, _no_lane())
        elif name is not None and name not in self._lanes and len(self._machines) >= MAX_LANES:
            await self._turn_away(name, _too_many_lanes())
        else:
            lane = self._lane(name)
            lane.machine.ask(create)
            waiting = sum(each.requests.qsize() for each in self._lanes.values())
            if waiting >= MAX_QUEUED or (waiting and self._held + size > MAX_QUEUED_BYTES):
                lane.requests.put_nowait((_crowded(), 0))
            else:
                self._held += size
                lane.requests.put_nowait((create, size))

    async def _turn_away(self, name: str, error: BadRequestError) -> None:
        """No lane of that name is opened; nothing runs in it that the error could be taken for."""
        event = ErrorEvent(status=error.status, error=error.body, stream_id=name[:MAX_LANE_NAME])
        async with self._sending:
            await self._end.send(encode(event))

    def _refuse(self, error: BadRequestError) -> None:
        """``error`` is what the default lane says in its turn."""
        lane = self._lane(None)
        lane.machine.spoil()
        lane.requests.put_nowait((error, 0))

    def _running(self, response_id: str) -> _Lane | None:
        """The lane in which that response runs."""
        for lane in self._lanes.values():
            if lane.answering is not None and lane.answering.response_id == response_id:
                return lane
        return None

    async def _interrupt(self, response_id: str) -> None:
        lane = self._running(response_id)
        if lane is not None and lane.answering is not None:
            lane.answering.interrupt()
        elif response_id not in self._past:
            error = ErrorBody(
                message=f"No response with id {response_id!r} is in progress.",
                type="invalid_request_error",
                code="response_not_found",
                param="response_id",
            )
            failed = InterruptFailed(response_id=response_id, error=error)
            await self._send(self._lane(None), [failed])

    async def _steer(self, event: ResponseSteer, size: int) -> None:
        lane = self._running(event.previous_response_id)
        if lane is None:
            await self._send(self._lane(None), [self._no_steer(event)])
            return
        items = steering.items_of(event.input)
        if items is None or size > MAX_STEER_BYTES:
            message = (
                "The input of a steer is a text, or a list of user messages, of at most "
                f"{MAX_STEER_BYTES >> 20} MiB."
            )
            await self._send(lane, [steering.refused(event, "invalid_input", message)])
        elif len(lane.steers) >= steering.MAX_STEERS:
            message = f"More than {steering.MAX_STEERS} steers wait for this response."
            await self._send(lane, [steering.refused(event, "too_many_pending_steers", message)])
        else:
            response_id = event.previous_response_id
            steer = Steer(id=self._service.ids("steer"), previous_response_id=response_id)
            lane.steers.append((steer, items))
            await self._send(lane, [SteerAccepted(steer=steer)])

    def _no_steer(self, event: ResponseSteer) -> ServerEvent:
        if event.previous_response_id in self._past:
            message = "The response is complete; send a new request that goes on from it."
            return steering.refused(event, "response_already_completed", message)
        message = f"No response with id {event.previous_response_id!r} is in progress."
        return steering.refused(event, "response_not_found", message)

    # --- answering -----------------------------------------------------------------------------

    async def _answer_all(self, lane: _Lane) -> None:
        while True:
            request, size = await lane.requests.get()
            self._held -= size
            try:
                if isinstance(request, BadRequestError):
                    raise request
                async with self._places:
                    await self._answer(lane, _with_kept(lane, request))
            except BadRequestError as error:
                await self._send(lane, [ErrorEvent(status=error.status, error=error.body)])

    async def _answer(self, lane: _Lane, create: ResponseCreate) -> None:
        turn = self._service.open(create, self._store, self._wishes)
        responder = lane.answering = turn.responder
        async with aclosing(responder.events()) as batches:
            async for batch in batches:
                if responder.final is not None:
                    # Settled before the terminal event is out: the client may go on at once.
                    lane.answering = None
                    self._past.append(responder.response_id)
                    turn.settle()
                await self._send(lane, batch)
        if lane.steers:
            await self._go_on(lane, create, responder)

    async def _go_on(self, lane: _Lane, create: ResponseCreate, responder: Responder) -> None:
        """Carry out what was asked while the response ran."""
        accepted, lane.steers = lane.steers, []
        final = responder.final
        if final is None or final.status not in ("completed", "incomplete") or responder.stopped:
            message = "The response ended before its steers could be carried out."
            lost = [steering.lost(each, "response_not_active", message) for each in accepted]
            await self._send(lane, lost)
        elif owed := steering.required_input(final):
            lane.kept = final.id, accepted
            await self._send(lane, [steering.waiting(each, owed) for each in accepted])
        else:
            following = steering.successor(create, final, accepted)
            try:
                await self._answer(lane, following)
            except BadRequestError as error:
                code, message = "successor_creation_failed", str(error)
                await self._send(lane, [steering.lost(each, code, message) for each in accepted])

    async def _send(self, lane: _Lane, events: Sequence[ServerEvent]) -> None:
        async with self._sending:
            for event in events:
                await self._end.send(lane.machine.send(event))


def _with_kept(lane: _Lane, create: ResponseCreate) -> ResponseCreate:
    """``create`` with the steers that have waited for it in front."""
    response_id, kept = lane.kept
    if not kept or create.previous_response_id != response_id:
        return create
    lane.kept = "", []
    return msgspec.structs.replace(create, input=steering.input_of(kept, create.input))


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


def _no_lane() -> BadRequestError:
    return BadRequestError(
        "The 'stream_id' field must be a non-empty string with at most 256 characters and may "
        "only contain letters, numbers, underscores, hyphens, and periods.",
        "invalid_stream_id",
        "stream_id",
    )


def _too_many_lanes() -> BadRequestError:
    return BadRequestError(
        f"A connection has at most {MAX_LANES} named lanes.",
        "websocket_stream_limit_reached",
        "stream_id",
    )
