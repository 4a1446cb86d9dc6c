"""The search for a better answer to the newest question, beside the conversation's link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sparkcode.assistant.lifeline import Lifeline
from sparkcode.assistant.plain import one_line
from sparkcode.assistant.tries import Candidate, Question, Tries, Try, improve
from sparkcode.assistant.turn import Turn
from sparkcode.checks.fault import Fault
from sparkcode.clock import Clock
from sparkcode.errors import SparkError


class Improving:
    """At most one search at a time; without ``tries`` there never is one."""

    def __init__(self, tries: Tries | None, clock: Clock, touch: Callable[[], None]) -> None:
        """``touch`` is called when there is something new to see."""
        self.shown: tuple[Try, ...] = ()
        """The newest question's answers that were checked, once there are any."""
        self.error = ""
        """Why there was no whole search, in one line."""
        self._tries = tries
        self._clock = clock
        self._touch = touch
        self._task: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        return self._task is not None

    @property
    def faults(self) -> tuple[Fault, ...] | None:
        """What is wrong with the answer that is offered; None when no answer was checked."""
        return next((one.faults for one in self.shown if one.chosen), None)

    @property
    def limit(self) -> int:
        """Most answers of the model to one question."""
        return 1 if self._tries is None else self._tries.limit

    def start(
        self,
        line: Lifeline,
        question: Question,
        first: Turn,
        take: Callable[[Candidate], None],
        *,
        once: bool = False,
    ) -> None:
        """Check ``first`` and search; ``take`` gets another answer if there is a better one.

        With ``once`` the first is only checked: what took several responses is not asked again.
        """
        if self._tries is not None:
            tries = Tries(1, self._tries.dialer, self._tries.judge) if once else self._tries
            self._task = line.attend(self._run(tries, question, first, take))

    def stop(self) -> bool:
        """End the search: what is shown stays; False if none is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._touch()
        return task is not None

    def forget(self) -> None:
        """Another question is asked."""
        self.stop()
        self.shown, self.error = (), ""

    async def _run(
        self, tries: Tries, question: Question, first: Turn, take: Callable[[Candidate], None]
    ) -> None:
        try:
            best = await improve(tries, question, first, self._clock, self._show)
            if best.turn is not first:
                take(best)
        except SparkError as error:
            self.error = one_line(str(error))
        self._task = None
        self._touch()

    def _show(self, shown: tuple[Try, ...]) -> None:
        self.shown = shown
        self._touch()
