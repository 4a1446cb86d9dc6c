"""What the wire costs: one conversation over HTTP, and over a persistent WebSocket.

Both drive the same server, a process of its own with an engine that does no work and needs no
thread (:mod:`.wire_server`), and both keep one connection for the whole conversation. Over HTTP
each turn sends all of it and is parsed anew; over the WebSocket each turn sends what is new and
goes on from the response before it. Rounds of both alternate; of each figure the median counts.

* **Round-trip overhead** is request to terminal event of an answer of one token: what a turn costs
  that nobody computes for.
* **TTFT** is request to first delta of that answer.
* **Per-token overhead** is the processor time of both ends while a long answer streams, a delta a
  token at 1,000 tokens a second, over its tokens.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean, median
from time import perf_counter, process_time
from typing import Any, Final, cast
from urllib.request import urlopen

import msgspec

from sparkcode.bench.wire_server import LONG_TOKENS, SHORT
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.chain import Chain, output_items
from sparkcode.link.sse import connect_sse
from sparkcode.link.transport import Endpoint, Peer, Transport
from sparkcode.link.websocket import connect_websocket
from sparkcode.protocol.events import (
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseIncomplete,
    ServerEvent,
)
from sparkcode.protocol.machine import Machine

TURNS: Final = 20
TURN_CHARACTERS: Final = 5_000
"""About 1,500 tokens a turn: 30,000 at the end."""
LONG_EVERY: Final = 4
"""Of so many turns one has a long answer."""
ENGINE_TURNS: Final = 5
"""Of the embedded engine: about 8,000 tokens at the end, which take it a minute to read."""
ANSWER_TOKENS: Final = 4
"""Of an answer of the embedded engine."""
INSTRUCTIONS: Final = "You are a coding assistant. " * 40


@dataclass(slots=True)
class Figures:
    """Means over the turns of one conversation, seconds; payloads in bytes, of all turns."""

    roundtrip_overhead: float
    per_token_overhead: float
    ttft: float
    sent_bytes: int
    received_bytes: int


@dataclass(slots=True)
class _Timed:
    """One turn."""

    total: float = 0.0
    first: float = 0.0
    sent: int = 0
    received: int = 0
    response: Response = field(default_factory=Response)


class _Way:
    """How turns go to the server and back."""

    def __init__(self, transport: Transport, *, incremental: bool) -> None:
        self._transport = transport
        self._frames = transport.frames()
        self._machine = Machine("client")
        self._chain = Chain(incremental=incremental)

    async def turn(self, request: ResponseCreate) -> _Timed:
        timed, began = _Timed(), perf_counter()
        text = self._machine.send(self._chain.request(request))
        timed.sent = len(text)
        await self._transport.send(text)
        while not timed.total:
            frame = await anext(self._frames)
            timed.received += len(frame)
            # A client's machine receives nothing but server events.
            event = cast(ServerEvent, self._machine.receive(frame))
            _observe(timed, event, perf_counter() - began)
        self._chain.completed(timed.response)
        return timed


def _observe(timed: _Timed, event: ServerEvent, now: float) -> None:
    match event:
        case OutputTextDelta():
            timed.first = timed.first or now
        case ResponseCompleted(response=response) | ResponseIncomplete(response=response):
            timed.total, timed.response = now, response
        case _:
            pass


async def bench_wire(
    rounds: int, say: Callable[[str], None], model: str | None = None
) -> dict[str, Any]:
    """The report of ``bench wire``; ``say`` gets a line for each round.

    With ``model`` the time to first token of the embedded engine with that model is measured too.
    """
    with serving([sys.executable, "-m", "sparkcode.bench.wire_server"]) as url:
        taken: dict[str, list[Figures]] = {"http": [], "websocket": []}
        for number in range(1, rounds + 1):
            taken["http"].append(await _over(connect_sse, url, incremental=False))
            taken["websocket"].append(await _over(connect_websocket, url, incremental=True))
            say(f"round {number} of {rounds}")
    facts = report(taken["http"], taken["websocket"])
    return facts if model is None else {**facts, "engine": await _with_engine(model, say)}


async def _with_engine(model: str, say: Callable[[str], None]) -> dict[str, Any]:
    """TTFT of the embedded engine, seconds, over the start of the same conversation."""
    command = [sys.executable, "-m", "sparkcode", "serve", "--port", "0", "--no-store"]
    firsts: dict[str, float] = {}
    with serving([*command, "--exit-with-stdin", "--model", model]) as url:
        for name, connect in (("http", connect_sse), ("websocket", connect_websocket)):
            say(f"{model} over {name}")
            transport, _ = await connect(Endpoint(url))
            try:
                way = _Way(transport, incremental=name == "websocket")
                firsts[name] = await _first_tokens(way, name)
            finally:
                await transport.close()
    reduction = 1 - firsts["websocket"] / firsts["http"]
    return {
        "model": model,
        "http": {"ttft": firsts["http"]},
        "websocket": {"ttft": firsts["websocket"]},
        "reduction": {"ttft": reduction},
    }


async def _first_tokens(way: _Way, name: str) -> float:
    """Mean time to first token of a conversation that no other shares its beginning with."""
    history: list[dict[str, Any]] = []
    firsts = []
    for number in range(ENGINE_TURNS):
        history.append(_user(number, SHORT))
        request = _request(history, f"This goes over {name}. {INSTRUCTIONS}")
        timed = await way.turn(msgspec.structs.replace(request, max_output_tokens=ANSWER_TOKENS))
        firsts.append(timed.first)
        history += output_items(timed.response)
    return mean(firsts)


async def _over(
    connect: Callable[[Endpoint], Awaitable[tuple[Transport, Peer]]], url: str, *, incremental: bool
) -> Figures:
    transport, _ = await connect(Endpoint(url))
    try:
        way = _Way(transport, incremental=incremental)
        return await _conversation(way, _processor_time(url))
    finally:
        await transport.close()


async def _conversation(way: _Way, cpu: Callable[[], float]) -> Figures:
    """All turns; ``cpu`` gives the processor time of both ends so far."""
    history: list[dict[str, Any]] = []
    totals: list[float] = []
    firsts: list[float] = []
    tokens: list[float] = []
    sent = received = 0
    for number in range(TURNS):
        long = number % LONG_EVERY == LONG_EVERY - 1
        history.append(_user(number, "long" if long else SHORT))
        before = cpu() if long else 0.0
        timed = await way.turn(_request(history))
        if long:
            tokens.append((cpu() - before) / LONG_TOKENS)
        else:
            totals.append(timed.total)
            firsts.append(timed.first)
        history += output_items(timed.response)
        sent, received = sent + timed.sent, received + timed.received
    return Figures(mean(totals), mean(tokens), mean(firsts), sent, received)


def _request(history: list[dict[str, Any]], instructions: str = INSTRUCTIONS) -> ResponseCreate:
    return ResponseCreate(
        model="spark", instructions=instructions, input=list(history), store=False, stream=True
    )


def _user(number: int, kind: str) -> dict[str, Any]:
    line = f"def function_{number}(value, other): return value * {number} + other\n"
    code = (line * (TURN_CHARACTERS // len(line) + 1))[:TURN_CHARACTERS]
    text = f"File: module_{number}.py\n```python\n{code}```\n\nInstruction {number}: {kind}"
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def report(http: list[Figures], websocket: list[Figures]) -> dict[str, Any]:
    """Medians of the rounds and, of each figure, what the socket saves as a fraction."""
    names = ("roundtrip_overhead", "per_token_overhead", "ttft", "sent_bytes", "received_bytes")
    before = {name: median(getattr(each, name) for each in http) for name in names}
    after = {name: median(getattr(each, name) for each in websocket) for name in names}
    pairs = list(zip(http, websocket, strict=True))
    return {
        "turns": TURNS,
        "rounds": len(http),
        "http": before,
        "websocket": after,
        "reduction": {
            name: median(1 - getattr(b, name) / getattr(a, name) for a, b in pairs)
            for name in names
        },
    }


@contextmanager
def serving(command: list[str]) -> Iterator[str]:
    """The URL of the server that ``command`` runs."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            if not line:
                raise EngineUnreachableError("the server for the measurement did not start")
            yield str(json.loads(line)["url"])
        finally:
            child.stdin.close()


def _processor_time(url: str) -> Callable[[], float]:
    """Seconds that this process and the server have computed."""
    health = f"{url.removesuffix('/v1')}/healthz"

    def read() -> float:
        with urlopen(health) as answer:
            return float(json.load(answer)["cpu_seconds"]) + process_time()

    return read


def run(rounds: int, say: Callable[[str], None], model: str | None = None) -> dict[str, Any]:
    """:func:`bench_wire` on a loop of its own."""
    return asyncio.run(bench_wire(rounds, say, model))
