"""Servers in memory for a gateway to ask, and what a gateway made of an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkcode.clock import LoopClock
from sparkcode.engine.base import GenerateRequest, Message, Step
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import (
    Endpoint,
    MemoryTransport,
    Peer,
    PeerKind,
    Transport,
    memory_pair,
)
from sparkcode.upstream.responses import ResponsesUpstream
from sparkcode.upstream.terms import Model, Terms

URL = "http://upstream.test/v1"

Serve = Callable[[MemoryTransport], Awaitable[None]]


@dataclass
class MemoryDialer:
    """Links to servers in this process, a new one each; with ``down`` nothing answers."""

    serve: Serve
    kind: PeerKind = "websocket"
    engine: str = ""
    profile: str = ""
    down: bool = False
    dialed: int = 0
    ends: list[MemoryTransport] = field(default_factory=list)
    """The servers' ends."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def dial(self) -> tuple[Transport, Peer]:
        if self.down:
            raise EngineUnreachableError(f"no engine answers at {URL} (refused)")
        self.dialed += 1
        ours, theirs = memory_pair()
        self.ends.append(theirs)
        self.tasks.append(asyncio.create_task(self._run(theirs)))
        return ours, Peer(self.kind, URL, self.engine, "m", self.profile)

    async def _run(self, end: MemoryTransport) -> None:
        try:
            await self.serve(end)
        finally:
            await end.close()


@dataclass
class Canned:
    """Answers each request with the next of these frames; keeps what it was asked.

    ``...`` among the frames: nothing more comes.
    """

    answers: Sequence[Sequence[Any]]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, end: MemoryTransport) -> None:
        async for text in end.frames():
            self.asked.append(json.loads(text))
            if len(self.asked) > len(self.answers):
                return
            for frame in self.answers[len(self.asked) - 1]:
                if frame is ...:
                    await asyncio.Event().wait()
                await end.send(frame if isinstance(frame, str) else json.dumps(frame))


def response(number: int, text: str, **fields: Any) -> list[dict[str, Any]]:
    """The frames of an answer of one message."""
    body = {"id": f"r{number}", **fields}
    content = [{"type": "output_text", "text": text}]
    item = {"type": "message", "id": "m", "role": "assistant", "content": content}
    return [
        {"type": "response.created", "response": body},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**body, "status": "completed"}},
    ]


def error(code: str, message: str = "no", status: int | None = 400) -> dict[str, Any]:
    told = {"type": "error", "error": {"code": code, "message": message}}
    return told if status is None else {**told, "status": status}


def upstream(dialer: MemoryDialer, **terms: Any) -> ResponsesUpstream:
    key = terms.pop("key", "")
    model = Model(Endpoint(URL, key), terms.pop("model", "big"))
    return ResponsesUpstream(dialer, Terms(URL, model, key, **terms), LoopClock())


def question(*said: str, **fields: Any) -> GenerateRequest:
    """User and assistant by turns."""
    roles: Any = ("user", "assistant")
    items = tuple(Message(roles[at % 2], text) for at, text in enumerate(said))
    return GenerateRequest(items, **fields)


async def told(steps: AsyncGenerator[Step, None]) -> str:
    return "".join([step.text async for step in steps])
