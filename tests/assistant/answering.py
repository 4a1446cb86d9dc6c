"""A dialer whose every link answers by a rule, and edits to answer with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import Peer, Transport
from tests.assistant.server import Engine, Json

Reply = tuple[str, str]
"""Text and patch of an answer."""


class Answering:
    """``reply`` gets each request and says what is answered; None lets it wait for ever."""

    def __init__(self, reply: Callable[[Json], Reply | None], model: str = "small") -> None:
        self.requests: list[Json] = []
        self.dials = 0
        self.refused = False
        self._reply = reply
        self._model = model
        self._tasks: list[asyncio.Task[None]] = []

    async def dial(self) -> tuple[Transport, Peer]:
        self.dials += 1
        if self.refused:
            raise EngineUnreachableError("no engine answers at memory (refused)")
        engine = Engine()
        transport, peer = await engine.dial()
        self._tasks.append(asyncio.create_task(self._serve(engine)))
        return transport, replace(peer, model=self._model)

    async def _serve(self, engine: Engine) -> None:
        while True:
            frame = await engine.next()
            self.requests.append(frame)
            answer = self._reply(frame)
            if answer is not None:
                await engine.answer(text=answer[0], patch=answer[1], pieces=50)


def asked(request: Json) -> str:
    """The instruction at the end of a request's newest question."""
    text = str(request["input"][-1]["content"][0]["text"])
    return text.rpartition("Instruction: ")[2]


def edit(line: str) -> str:
    """A patch that makes ``line`` the body of the first function of calc.py."""
    return (
        "*** Begin Patch\n*** Update File: calc.py\n@@\n def add(a, b):\n"
        f"-    return a - b\n+    {line}\n*** End Patch\n"
    )
