"""A user at a screen: does what a script says, or what a recorded user did.

A key goes down every :data:`KEY_SECONDS`, as a quick typist's do. Before an expectation is judged
the screen gets :data:`SETTLE_SECONDS` since the last key (or the start), and so does the end of a
turn. A wait for a text looks at the screen after each paint, not at times.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import Clock
from sparkcode.errors import SparkError
from sparkcode.link.tape import Tape, timed
from sparkcode.replay.canvas import Canvas
from sparkcode.replay.judge import Observation, Verdict, judge
from sparkcode.replay.recording import Input, Key, decode_input, parse_size
from sparkcode.replay.report import Failure, MarkShot
from sparkcode.replay.scene import files_for
from sparkcode.replay.script import (
    Expect,
    ExpectFile,
    Mark,
    Press,
    Sleep,
    Statement,
    Type,
    Wait,
    WaitTurn,
)
from sparkcode.replay.turnlog import TurnLog

KEY_SECONDS: Final = 0.03
"""Between two keys of a script."""
SETTLE_SECONDS: Final = 0.1
"""Several frames: what a key or the end of a turn brings is painted by then."""
LAST_TURN_SECONDS: Final = 60.0
"""How long a turn may go on after a tape's last record."""


class Hands(Protocol):
    """What a player reaches the screen with."""

    @property
    def left(self) -> bool:
        """Whether the screen has been left."""
        ...

    async def input(self, what: Input) -> None:
        """Press a key or paste; returns when it has been taken."""
        ...

    async def resize(self, columns: int, rows: int) -> None: ...


class Player:
    """A user at a screen: does what a script says, or what a recorded user did."""

    def __init__(self, hands: Hands, session: Session, canvas: Canvas, clock: Clock) -> None:
        self._hands = hands
        self._session = session
        self._canvas = canvas
        self._clock = clock
        self._start = clock.now()
        self._last_key = self._start
        self.log = TurnLog(session, clock)
        self.verdicts: list[Verdict] = []
        self.marks: list[MarkShot] = []

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock.now() - self._start

    # --- a script ------------------------------------------------------------------------------

    async def follow(
        self, statements: Sequence[Statement], workspace: Workspace, base: Path
    ) -> Failure | None:
        """Do one statement after another; the failure that ended it, if one did."""
        for statement in statements:
            self.log.look()
            match statement.action:
                case (Type() | Press() | Sleep() | Wait() | WaitTurn() | Mark()) as action:
                    reason = await self._do(action)
                    if reason:
                        return self._failure(statement, reason)
                case expect:
                    await self._clock.sleep_until(self._last_key + SETTLE_SECONDS)
                    self.verdicts.append(self._judge(statement, expect, workspace, base))
        self.log.look()
        return None

    async def _do(self, action: Type | Press | Sleep | Wait | WaitTurn | Mark) -> str:
        """Why the action failed, or ""."""
        match action:
            case Type(text=text):
                return await self._type(list(text))
            case Press(key=key):
                return await self._type([key])
            case Sleep(seconds=seconds):
                await self._clock.sleep_until(self._clock.now() + seconds)
            case Wait():
                return await self._wait(action)
            case WaitTurn():
                return await self._wait_turn(action.timeout_seconds)
            case Mark(name=name):
                self.marks.append(MarkShot(name, self.seconds, self._canvas.text))
        return ""

    async def _type(self, keys: Sequence[str]) -> str:
        for key in keys:
            if self._hands.left:
                return "the screen has been left"
            await self._input(Key(key))
            await self._clock.sleep_until(self._last_key + KEY_SECONDS)
        return ""

    async def _input(self, what: Input) -> None:
        self._last_key = self._clock.now()
        await self._hands.input(what)

    async def _wait(self, wait: Wait) -> str:
        try:
            async with asyncio.timeout(wait.timeout_seconds):
                while not re.search(wait.pattern, self._canvas.text, re.MULTILINE):
                    await self._canvas.next_paint()
        except TimeoutError:
            return f"not on the screen within {wait.timeout_seconds:g} s"
        return ""

    async def _wait_turn(self, seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                await self._session.wait_turn()
        except TimeoutError:
            return f"the turn is not over within {seconds:g} s"
        except SparkError as error:
            return str(error)
        await self._clock.sleep_until(self._clock.now() + SETTLE_SECONDS)
        return ""

    def _judge(
        self, statement: Statement, expect: Expect, workspace: Workspace, base: Path
    ) -> Verdict:
        self.log.look()
        stats = self.log.newest
        seen = Observation(
            screen=self._canvas.text,
            files=files_for(expect, workspace, base) if isinstance(expect, ExpectFile) else None,
            figures={
                ("ttft", "wall"): stats.ttft,
                ("ttft", "sim"): stats.sim_ttft,
                ("toks", "wall"): stats.tokens_per_second,
                ("toks", "sim"): stats.sim_tokens_per_second,
            },
        )
        return judge(statement, expect, seen)

    def _failure(self, statement: Statement, reason: str) -> Failure:
        return Failure(statement.line, statement.source, reason, self._canvas.text)

    # --- a recorded user -----------------------------------------------------------------------

    async def repeat(self, tape: Tape) -> Failure | None:
        """Press the keys of a tape when they were pressed, and see its last turn to its end.

        The mark ``end`` is what was painted then.
        """
        for when, record in timed(tape.records):
            await self._clock.sleep_until(self._start + when)
            self.log.look()
            if self._hands.left:
                break
            if record.code == "i":
                await self._input(decode_input(record.data))
            elif record.code == "r" and (size := parse_size(record.data)) is not None:
                await self._hands.resize(*size)
        reason = await self._wait_turn(LAST_TURN_SECONDS) if self._session.busy else ""
        self.log.look()
        self.marks.append(MarkShot("end", self.seconds, self._canvas.text))
        return Failure(0, "", reason, self._canvas.text) if reason else None
