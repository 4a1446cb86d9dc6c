"""Small real implementations for the server's tests: an engine, a server thread, a client end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from sparkcode.clock import LoopClock, VirtualTimeLoop
from sparkcode.engine.base import Channel, EngineInfo, GenerateRequest, Step, TokenUsage
from sparkcode.errors import EngineError
from sparkcode.link.transport import MemoryTransport, memory_pair
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import Response, ResponseCreate, ServerEvent
from sparkcode.protocol.lanes import Lanes
from sparkcode.protocol.machine import Machine
from sparkcode.server.app import create_app
from sparkcode.server.auth import Gate
from sparkcode.server.connection import serve_connection
from sparkcode.server.hub import Hub, WorkerThread, run_inline
from sparkcode.server.listener import Listener, base_url, bind, start_listening
from sparkcode.server.narrator import Wishes, counting_ids
from sparkcode.server.service import Service
from sparkcode.wafer.pacer import PaceMode

Result = TypeVar("Result")
MESSAGE = Channel()
NOTHING = Wishes()
PATCH = Channel("custom_tool_call", "apply_patch")


def words(
    text: str, channel: Channel = MESSAGE, *, rate: float = 1000.0, ttft: float = 0.1
) -> list[Step]:
    """A step a word, ``rate`` a simulated second, then the last step with usage."""
    pieces = [word + " " for word in text.split()]
    steps = [
        Step(sim_time=ttft + at / rate, text=piece, tokens=1, channel=channel)
        for at, piece in enumerate(pieces)
    ]
    usage = TokenUsage(input_tokens=10, cached_tokens=4, output_tokens=len(pieces))
    end = ttft + max(0, len(pieces) - 1) / rate
    last = Step(sim_time=end, channel=channel, finish_reason="stop", usage=usage)
    return [*steps, last]


@dataclass
class StepEngine:
    """Plays steps. ``before`` is called before each step, on the thread that pulls it."""

    steps: Iterable[Step] | Callable[[GenerateRequest], Iterable[Step]] = ()
    error: EngineError | None = None
    before: Callable[[], None] = lambda: None
    requests: list[GenerateRequest] = field(default_factory=list)
    warmed: list[GenerateRequest] = field(default_factory=list)
    pulled: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    concurrent: int = 1

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "double-1.5b", 4096, "none/none", self.concurrent)

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        self.requests.append(request)
        steps = self.steps(request) if callable(self.steps) else self.steps
        try:
            for step in steps:
                self.before()
                self.pulled += 1
                yield step
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        self.warmed.append(request)
        yield Step(sim_time=0.0, finish_reason="stop", usage=TokenUsage(7, 0, 0))


def endless() -> Iterator[Step]:
    """One word each simulated 10 ms, for ever."""
    for at in itertools.count(1):
        yield Step(sim_time=at / 100, text=f"w{at} ", tokens=1)


def virtual(main: Callable[[], Awaitable[Result]]) -> Result:
    """Runs ``main`` on a virtual clock."""

    async def entered() -> Result:
        return await main()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(entered())


def make_service(engine: Any, pace: PaceMode = "sim", dilation: float = 1.0) -> Service:
    """A service whose engine runs inline and whose ids and dates never change."""
    hub = Hub(engine, pace=pace, clock=LoopClock(), run_step=run_inline, dilation=dilation)
    return Service(hub, wall_time=lambda: 1_700_000_000.0, ids=counting_ids())


class Client:
    """A client's end in memory: a machine that checks everything, and a few verbs."""

    def __init__(self, end: MemoryTransport) -> None:
        self.end = end
        self.lanes = Lanes("client")
        self._frames = end.frames()

    @property
    def machine(self) -> Machine:
        """The default lane's."""
        return self.lanes.machine(None)

    async def send(self, event: Any) -> None:
        await self.end.send(self.lanes.send(event))

    async def next(self) -> Any:
        return self.lanes.receive(await anext(self._frames))[1]

    async def until(self, *kinds: type) -> list[Any]:
        """Events up to the first of one of ``kinds``, that one included."""
        events = [await self.next()]
        while not isinstance(events[-1], kinds):
            events.append(await self.next())
        return events

    async def raw(self) -> dict[str, Any]:
        text = await anext(self._frames)
        self.lanes.receive(text)
        value = msgspec.json.decode(text)
        assert isinstance(value, dict)
        return value


class Session:
    """A client joined to a served connection; leave the block to cut the link."""

    def __init__(self, service: Service, wishes: Wishes = NOTHING) -> None:
        ours, self.theirs = memory_pair()
        self.client = Client(ours)
        self._service = service
        self._wishes = wishes

    async def __aenter__(self) -> Client:
        self.serving = asyncio.create_task(
            serve_connection(self._service, self.theirs, self._wishes)
        )
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await self.client.end.close()
        await self.serving


def tags(events: Sequence[ServerEvent]) -> list[str]:
    """Types without their common prefix."""
    names = [msgspec.json.decode(encode(event))["type"] for event in events]
    return [name.removeprefix("response.") for name in names]


def text_of(response: Response) -> str:
    return "".join(getattr(item, "text", "") for item in response.output)


def create(text: str = "hi", **fields: Any) -> ResponseCreate:
    return ResponseCreate(input=text, **fields)


@contextmanager
def running(engine: Any, *, pace: PaceMode = "max", key: str = "") -> Iterator[tuple[str, Service]]:
    """A real server on a free loopback port, in a thread with its own loop: (base URL, service)."""
    ready = threading.Event()
    holder: list[tuple[Listener, Service]] = []
    bound = bind("127.0.0.1", 0)
    start_listening(bound)

    async def main() -> None:
        worker = WorkerThread()
        hub = Hub(engine, pace=pace, clock=LoopClock(), run_step=worker)
        service = Service(hub, wall_time=lambda: 1_700_000_000.0)
        listener = Listener(create_app(service, Gate(key)), bound, ready.set)
        holder.append((listener, service))
        await listener.run_until_stopped()
        worker.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        _, service = holder[0]
        yield base_url(bound), service
    finally:
        holder[0][0].stop()
        thread.join(10)
        bound.close()
        assert not thread.is_alive()
