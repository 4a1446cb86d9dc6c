"""A screen on simulated time, with a real session and a scripted engine behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual import events
from textual.keys import key_to_character

from sparkcode.assistant.helping import Helping
from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import LoopClock
from sparkcode.replay.loops import InlineVirtualLoop
from sparkcode.tui.app import SparkApp
from sparkcode.tui.stage import Stage
from tests.assistant.server import Engine
from tests.tui.virtual import simulated_time

CALC = '''"""Sums."""


def add(a, b):
    return a - b


def total(items):
    result = 0
    for item in items:
        result += item
    return result
'''
PATCH = """*** Begin Patch
*** Update File: calc.py
@@
 def total(items):
-    result = 0
-    for item in items:
-        result += item
-    return result
+    \"\"\"The sum of all items.

+    Empty: 0.
+    \"\"\"
+    return sum(items)
*** End Patch
""".replace("\n\n", "\n+\n")
EDITED = CALC[: CALC.index("    result")] + (
    '    """The sum of all items.\n\n    Empty: 0.\n    """\n    return sum(items)\n'
)


@dataclass
class Table:
    """Everything that a test looks at."""

    app: SparkApp
    engine: Engine
    folder: Path

    @property
    def stage(self) -> Stage:
        return self.app._stage

    @property
    def session(self) -> Session:
        return self.app.session

    @property
    def edit(self) -> str:
        """The state of the newest edit."""
        return self.session.edit

    async def wait(self, seconds: float = 0.2) -> None:
        """Let simulated time pass."""
        await asyncio.sleep(seconds)

    async def press(self, *keys: str) -> None:
        """Press keys as a terminal would report them, a moment apart."""
        for key in keys:
            self.app.post_message(events.Key(key, key_to_character(key)))
            await asyncio.sleep(0.04)

    async def type(self, text: str) -> None:
        names = {" ": "space", "\\": "backslash", "?": "question_mark"}
        for char in text:
            self.app.post_message(events.Key(names.get(char, char), char))
            await asyncio.sleep(0.04)

    def rows(self) -> list[str]:
        """The screen as text, one string a row."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        assert len(lines) == height
        return ["".join(segment.text for segment in line).ljust(width) for line in lines]

    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows())

    async def stream_patch(self, patch: str = PATCH, *, pieces: int = 4, gap: float = 0.02) -> str:
        """Begin a response and stream ``patch``; the response's id. It is not completed."""
        response = await self.engine.created()
        await self.engine.open_call()
        for at in range(0, len(patch), pieces):
            await self.engine.patch(patch[at : at + pieces])
            await asyncio.sleep(gap)
        return response

    async def ask(self, text: str) -> None:
        """Type an instruction, send it, and wait until the engine has it."""
        await self.type(text)
        await self.press("enter")
        await self.engine.next()

    async def pending(self) -> None:
        """Ask for an edit and have it whole, armed and not decided."""
        await self.ask("shorter")
        response = await self.stream_patch()
        await self.engine.completed(
            response,
            [
                {
                    "type": "custom_tool_call",
                    "name": "apply_patch",
                    "call_id": "call_1",
                    "input": PATCH,
                }
            ],
        )
        await self.wait(0.5)
        assert self.session.edit == "pending", self.session.edit_error


@asynccontextmanager
async def table(
    folder: Path,
    *,
    size: tuple[int, int] = (80, 24),
    paths: tuple[str, ...] = ("calc.py",),
    theme: str = "spark-dark",
    engine: Engine | None = None,
    tools: bool = False,
) -> AsyncIterator[Table]:
    """A running screen of ``size`` on the files ``paths`` of ``folder``."""
    engine = Engine() if engine is None else engine
    session = Session(dialer=engine, clock=LoopClock(), workspace=Workspace(folder))
    if tools:
        session.helping = Helping(Workspace(folder), lambda command: None)
    app = SparkApp(session, open_paths=paths, theme=theme)
    async with app.run_test(size=size):
        found = Table(app, engine, folder)
        await found.wait()
        yield found


def virtually(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` on a loop whose time jumps, with Textual's clocks following it."""

    async def run() -> None:
        with simulated_time(asyncio.get_running_loop().time):
            await work()

    with asyncio.Runner(loop_factory=InlineVirtualLoop) as runner:
        runner.run(run())
