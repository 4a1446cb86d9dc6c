"""One link to an engine that is kept up: dial, read, notice a cut, wait, dial again.

Everything that can happen arrives as a message in one inbox, in the order in which it happened, and
is taken out one at a time: the owner never races with its own link. Iteration ends after ``close``
or when dialling has been given up.

    async with Lifeline(dialer, clock) as line:
        async for message in line: ...

Failed attempts are spaced by 0.2 s, doubling up to 8 s. Only a frame that arrives proves a link:
a server that accepts and hangs up at once is not asked ever faster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast

from sparkcode.assistant.flight import Flight
from sparkcode.assistant.plain import one_line
from sparkcode.clock import Clock
from sparkcode.errors import RemoteProtocolError, SparkError
from sparkcode.link.transport import Dialer, Peer, Transport
from sparkcode.protocol.events import ClientEvent, ServerEvent
from sparkcode.protocol.machine import Machine

BACKOFF_SECONDS: Final = 0.2
BACKOFF_LIMIT_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Up:
    """A link was made."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An attempt failed; ``final`` when it was the last one."""

    error: str
    failures: int
    """Failed attempts in a row."""
    final: bool


@dataclass(frozen=True, slots=True)
class Received:
    """The engine sent ``event``; it left the socket at ``at`` (seconds of the clock)."""

    event: ServerEvent
    at: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is gone; another will be dialled."""

    reason: str
    faulty: bool = False
    """Whether it was given up because of what the engine sent."""


@dataclass(frozen=True, slots=True)
class Late:
    """The time that ``flight`` was given is over."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Woken:
    """The owner asked to be woken."""


Message = Up | Unreachable | Received | Lost | Late | Woken


class _Connection:
    """One link and what both ends know about it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.machine = Machine("client")
        self.reader: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class _Dialled:
    transport: Transport
    peer: Peer


@dataclass(frozen=True, slots=True)
class _Refused:
    error: str


@dataclass(frozen=True, slots=True)
class _Retry:
    pass


@dataclass(frozen=True, slots=True)
class _Close:
    pass


@dataclass(frozen=True, slots=True)
class _Frame:
    connection: _Connection
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class _Cut:
    connection: _Connection
    reason: str


_Incoming = _Dialled | _Refused | _Retry | _Close | _Frame | _Cut | Late | Woken | Lost


class Lifeline:
    """See the module. ``attempts`` limits the failed attempts in a row; None is no limit."""

    def __init__(self, dialer: Dialer, clock: Clock, *, attempts: int | None = None) -> None:
        self._dialer = dialer
        self._clock = clock
        self._attempts = attempts
        self._group = asyncio.TaskGroup()
        self._inbox: asyncio.Queue[_Incoming] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection: _Connection | None = None
        self._failures = 0
        self._over = False

    @property
    def up(self) -> bool:
        """Whether there is a link."""
        return self._connection is not None

    def wake(self) -> None:
        """Put :class:`Woken` into the inbox; also before the line is entered."""
        self._inbox.put_nowait(Woken())

    def close(self) -> None:
        """End the iteration, after what is already in the inbox."""
        self._inbox.put_nowait(_Close())

    async def send(self, event: ClientEvent) -> None:
        """Write one frame. If the link is gone the inbox will say so; nothing is raised."""
        connection = self._connection
        if connection is None:
            return
        try:
            await connection.transport.send(connection.machine.send(event))
        except SparkError as error:
            self._inbox.put_nowait(_Cut(connection, str(error)))

    async def recycle(self, reason: str, *, faulty: bool = False) -> None:
        """Drop the link, as if it had been cut."""
        if self._connection is not None:
            await self._drop()
            self._inbox.put_nowait(Lost(reason, faulty))

    def watch(self, flight: Flight, seconds: float) -> None:
        """Say :class:`Late` in ``seconds``."""
        self._start(self._ring(Late(flight), seconds))

    def attend(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Do ``work`` beside the link; it is cancelled when the line is left, and a fault of it
        ends the line.
        """
        return self._start(work)

    # --- iteration ----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._start(self._dial())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        for task in tuple(self._tasks):
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            await self._drop()
            while not self._inbox.empty():
                match self._inbox.get_nowait():
                    case _Dialled(transport=transport):
                        await transport.close()
                    case _:
                        pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._over:
            message = await self._take(await self._inbox.get())
            if message is not None:
                return message
        raise StopAsyncIteration

    async def _take(self, incoming: _Incoming) -> Message | None:
        message: Message | None = None
        match incoming:
            case _Dialled(transport=transport, peer=peer):
                message = self._connected(transport, peer)
            case _Refused(error=error):
                message = self._refused(error)
            case _Frame() | _Cut() if incoming.connection is not self._connection:
                pass
            case _Frame(text=text, at=at):
                message = await self._received(text, at)
            case _Cut(reason=reason):
                await self.recycle(reason)
            case Lost():
                self._retry()
                message = incoming
            case _Retry():
                self._start(self._dial())
            case _Close():
                self._over = True
            case Late() | Woken():
                message = incoming
        return message

    def _connected(self, transport: Transport, peer: Peer) -> Up:
        connection = _Connection(transport)
        connection.reader = self._start(self._read(connection))
        self._connection = connection
        return Up(peer)

    def _refused(self, error: str) -> Unreachable:
        final = self._attempts is not None and self._failures + 1 >= self._attempts
        if final:
            self._over = True
            self._failures += 1
        else:
            self._retry()
        return Unreachable(one_line(error), self._failures, final)

    async def _received(self, text: str, at: float) -> Message | None:
        assert self._connection is not None
        machine = self._connection.machine
        idle = machine.state == "idle"
        try:
            # A client's machine receives nothing but server events.
            event = cast(ServerEvent, machine.receive(text))
        except RemoteProtocolError as error:
            if not idle:
                reason = f"the engine broke the protocol: {one_line(str(error))}"
                await self.recycle(reason, faulty=True)
            return None
        self._failures = 0
        return Received(event, at)

    # --- tasks --------------------------------------------------------------------------------

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _dial(self) -> None:
        try:
            transport, peer = await self._dialer.dial()
        except (SparkError, OSError) as error:
            self._inbox.put_nowait(_Refused(str(error)))
        else:
            self._inbox.put_nowait(_Dialled(transport, peer))

    async def _read(self, connection: _Connection) -> None:
        reason = "the engine closed the link"
        try:
            async for text in connection.transport.frames():
                self._inbox.put_nowait(_Frame(connection, text, self._clock.now()))
        except (SparkError, OSError) as error:
            reason = str(error)
        self._inbox.put_nowait(_Cut(connection, one_line(reason)))

    def _retry(self) -> None:
        delay = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._start(self._ring(_Retry(), delay))

    async def _ring(self, message: _Incoming, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.now() + seconds)
        self._inbox.put_nowait(message)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.reader is not None:
            connection.reader.cancel()
        with suppress(SparkError):
            await connection.transport.close()
