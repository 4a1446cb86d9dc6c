"""What the wire costs: one conversation over HTTP, and over a persistent WebSocket.

Both drive the same server, a process of its own with an engine that takes no time, and both use one
connection for the whole conversation. Over HTTP each turn sends all of it and is parsed anew; over
the WebSocket each turn sends what is new and goes on from the response before it. Rounds of both
alternate; of each figure the median of the rounds counts.

* **Round-trip overhead** is request to terminal event of an answer of one token: what a turn costs
  that nobody computes for.
* **Per-token overhead** is first to last delta of a long answer, over its tokens but the first.
* **TTFT** is request to first delta.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any, Final, cast

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
    ServerEvent,
)
from sparkcode.protocol.machine import Machine

TURNS: Final = 20
TURN_CHARACTERS: Final = 5_000
"""About 1,500 tokens a turn: 30,000 at the end."""
LONG_TOKENS: Final = 300
"""Of the answer that per-token overhead is taken from. Frames may hold several."""
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
    last: float = 0.0
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
            timed.last = now
        case ResponseCompleted(response=response):
            timed.total, timed.response = now, response
        case _:
            pass


async def bench_wire(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The report of ``bench wire``; ``say`` gets a line for each round."""
    with _serving() as url:
        taken: dict[str, list[Figures]] = {"http": [], "websocket": []}
        for number in range(1, rounds + 1):
            taken["http"].append(await _over(connect_sse, url, incremental=False))
            taken["websocket"].append(await _over(connect_websocket, url, incremental=True))
            say(f"round {number} of {rounds}")
    return report(taken["http"], taken["websocket"])


async def _over(
    connect: Callable[[Endpoint], Awaitable[tuple[Transport, Peer]]], url: str, *, incremental: bool
) -> Figures:
    transport, _ = await connect(Endpoint(url))
    try:
        return await _conversation(_Way(transport, incremental=incremental))
    finally:
        await transport.close()


async def _conversation(way: _Way) -> Figures:
    """All turns: each first with a short answer, which is then history, then with a long one."""
    history: list[dict[str, Any]] = []
    totals: list[float] = []
    gaps: list[float] = []
    firsts: list[float] = []
    sent = received = 0
    for number in range(TURNS):
        for kind in ("short", "long"):
            history.append(_user(number, kind))
            timed = await way.turn(_request(history))
            history += output_items(timed.response)
            sent, received = sent + timed.sent, received + timed.received
            firsts.append(timed.first)
            if kind == "short":
                totals.append(timed.total)
            else:
                gaps.append((timed.last - timed.first) / (LONG_TOKENS - 1))
    return Figures(mean(totals), mean(gaps), mean(firsts), sent, received)


def _request(history: list[dict[str, Any]]) -> ResponseCreate:
    return ResponseCreate(
        model="spark", instructions=INSTRUCTIONS, input=list(history), store=False, stream=True
    )


def _user(number: int, kind: str) -> dict[str, Any]:
    line = f"def function_{number}(value, other): return value * {number} + other\n"
    code = (line * (TURN_CHARACTERS // 2 // len(line) + 1))[: TURN_CHARACTERS // 2]
    text = f"File: module_{number}.py\n```python\n{code}```\n\nInstruction: {kind} answer {number}"
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def report(http: list[Figures], websocket: list[Figures]) -> dict[str, Any]:
    """Medians of the rounds and, of each figure, what the socket saves as a fraction."""
    names = ("roundtrip_overhead", "per_token_overhead", "ttft", "sent_bytes", "received_bytes")
    before = {name: median(getattr(each, name) for each in http) for name in names}
    after = {name: median(getattr(each, name) for each in websocket) for name in names}
    pairs = list(zip(http, websocket, strict=True))
    return {
        "turns": 2 * TURNS,
        "rounds": len(http),
        "http": before,
        "websocket": after,
        "reduction": {
            name: median(1 - getattr(b, name) / getattr(a, name) for a, b in pairs)
            for name in names
        },
    }


@contextmanager
def _serving() -> Iterator[str]:
    """The URL of a server of its own, whose engine takes no time."""
    quick = {"ttft": 0.0, "tokens_per_second": 1_000_000.0}
    rules = [
        {"match": r"Instruction: short answer \d+$", "reply": "ok", **quick},
        {"match": "", "reply": " word" * LONG_TOKENS, **quick},
    ]
    with tempfile.TemporaryDirectory(prefix="sparkcode-wire-") as folder:
        script = Path(folder) / "script.jsonl"
        script.write_text("".join(json.dumps(rule) + "\n" for rule in rules))
        command = [sys.executable, "-m", "sparkcode", "serve", "--port", "0", "--pace", "max"]
        command += ["--engine", "scripted", "--script", str(script), "--exit-with-stdin"]
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


def run(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """:func:`bench_wire` on a loop of its own."""
    return asyncio.run(bench_wire(rounds, say))
