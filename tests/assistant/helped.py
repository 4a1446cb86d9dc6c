"""A session whose engine is offered tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sparkcode.assistant.helping import Helping
from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from tests.assistant.rig import ready, running
from tests.assistant.server import Engine, Json


@asynccontextmanager
async def helped(
    folder: Path, engine: Engine, allowed: Callable[[str], bool | None] = lambda command: None
) -> AsyncIterator[Session]:
    async with running(engine, folder) as session:
        session.helping = Helping(Workspace(folder), allowed)
        await ready(session)
        session.open("calc.py")
        yield session


def outputs(request: Json) -> list[str]:
    """What a request tells of calls."""
    return [item["output"] for item in request["input"] if item["type"].endswith("_output")]


def strong() -> Engine:
    """An engine that is none of ours."""
    engine = Engine()
    engine.name = ""
    return engine
