"""A session joined to the small engine, and what its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sparkcode.assistant.edits import Target
from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import LoopClock
from sparkcode.syntax.lines import Region
from tests.assistant.server import Engine, Json

CALC = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
FIXED = CALC.replace("a - b", "a + b", 1)
PATCH = (
    "*** Begin Patch\n*** Update File: calc.py\n@@\n def add(a, b):\n"
    "-    return a - b\n+    return a + b\n*** End Patch\n"
)
TARGET = Target("calc.py", Region(1, 2))


@asynccontextmanager
async def running(
    engine: Engine, folder: Path, attempts: int | None = None
) -> AsyncIterator[Session]:
    session = Session(
        dialer=engine, clock=LoopClock(), workspace=Workspace(folder), attempts=attempts
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(session.run())
        try:
            yield session
        finally:
            await session.close()


async def until(condition: Callable[[], bool], session: Session) -> None:
    async with asyncio.timeout(1000):
        while not condition():
            await session.changed(session.revision)


async def ready(session: Session) -> None:
    """The link is up and the warm-up is answered."""
    await until(lambda: session.link.state == "ready", session)
    for _ in range(20):
        await asyncio.sleep(0)


def text_of(request: Json) -> list[str]:
    return [
        part["text"]
        for item in request["input"]
        if item.get("role") == "user"
        for part in item["content"]
    ]
