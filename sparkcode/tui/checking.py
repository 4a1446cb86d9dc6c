"""The project's check, run on a pending edit when the user asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sparkcode.assistant.edit import Plan
from sparkcode.assistant.trial import CommandJudge
from sparkcode.errors import SparkError

Say = Callable[[str], None]


class Checking:
    """At most one check at a time; without a judge there never is one."""

    def __init__(self, judge: CommandJudge | None) -> None:
        self._judge = judge
        self._task: asyncio.Task[None] | None = None

    @property
    def command(self) -> str:
        """What is run; "" for nothing."""
        return "" if self._judge is None else self._judge.command

    def start(self, plan: Plan, say: Say) -> None:
        """Run the check on ``plan``, and tell how it goes, a line at a time."""
        self.stop()
        if self._judge is not None:
            self._task = asyncio.create_task(self._run(self._judge, plan, say))

    def stop(self) -> None:
        """Nothing more is told; what runs ends by its own limits."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, judge: CommandJudge, plan: Plan, say: Say) -> None:
        say(f"checking: {judge.command} ...")
        try:
            failure = await asyncio.to_thread(judge.failure, plan)
        except SparkError as error:
            say(str(error))
            return
        if failure is None:
            say(f"✓ the edit passes {judge.command}")
        else:
            say(f"✗ the edit fails {judge.command}: {failure}")
