"""Edits judged end to end: a task's file on disk, one turn of a session, the edit applied, a check.

It is the road that ``exec --apply`` takes, on files of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sparkcode.assistant.edit import Plan
from sparkcode.assistant.edits import Target
from sparkcode.assistant.judges import reviewed
from sparkcode.assistant.session import Session
from sparkcode.assistant.tries import Tries, Try
from sparkcode.assistant.workspace import Workspace
from sparkcode.bench.tasks import Task, judge, untouched
from sparkcode.checks.fault import Fault
from sparkcode.clock import LoopClock
from sparkcode.errors import EngineUnreachableError, SparkError
from sparkcode.link.transport import Dialer
from sparkcode.syntax.lines import Region

TURN_SECONDS: Final = 120.0
"""Longest turn."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one task."""

    task: Task
    text: str
    """The file afterwards."""
    applied: bool
    passed: bool
    reason: str = ""
    """In one line, why it was not applied or did not pass."""
    ttft_seconds: float | None = None
    total_seconds: float | None = None
    tokens_per_second: float | None = None
    output_tokens: int = 0
    """Of all answers."""
    model: str = ""
    """Of the answer that was applied."""
    tries: tuple[Try, ...] = ()
    """The answers that were checked."""

    @property
    def untouched(self) -> bool | None:
        """Whether the lines that should stay stayed; None where nobody knows."""
        return untouched(self.task, self.text) if self.applied else None


@dataclass(frozen=True, slots=True)
class OwnCheck:
    """A judge that knows a task's own check, and looks at what fails it."""

    task: Task

    async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        return await asyncio.to_thread(self._judge, plan, instruction)

    def _judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        text = (plan.after.get(self.task.path) or b"").decode()
        with tempfile.TemporaryDirectory(prefix="sparkcode-check-") as folder:
            verdict = judge(self.task, text, Path(folder))
        if verdict.passed:
            return ()
        return (Fault("check", f"its check says {verdict.reason}"), *reviewed(plan, instruction))


async def attempt(task: Task, dialer: Dialer, model: str, tries: Tries) -> Attempt:
    """Carry out one task. EngineUnreachableError when there is no engine."""
    with (
        tempfile.TemporaryDirectory(prefix="sparkcode-edit-") as files,
        tempfile.TemporaryDirectory(prefix="sparkcode-check-") as checks,
    ):
        workspace = Workspace(Path(files))
        workspace.write_atomic(task.path, task.before.encode())
        done = await _edit(task, workspace, dialer, model, tries)
        if not done.applied:
            return done
        text = workspace.read(task.path).text
        verdict = await asyncio.to_thread(judge, task, text, Path(checks))
        return replace(done, text=text, passed=verdict.passed, reason=verdict.reason)


async def _edit(
    task: Task, workspace: Workspace, dialer: Dialer, model: str, tries: Tries
) -> Attempt:
    clock = LoopClock()
    session = Session(
        dialer=dialer, clock=clock, workspace=workspace, model=model, attempts=1, tries=tries
    )
    running = asyncio.create_task(session.run())
    try:
        began = clock.now()
        error = await _turn(task, session)
        if session.link.state == "down":
            raise EngineUnreachableError(session.link.error or error)
        return _attempt(task, session, error, clock.now() - began)
    finally:
        await session.close()
        await running


async def _turn(task: Task, session: Session) -> str:
    """One turn, its edit written; in one line what went wrong."""
    session.submit(task.instruction, Target(task.path, Region(*task.region)))
    try:
        async with asyncio.timeout(TURN_SECONDS):
            turn = await session.wait_turn()
    except TimeoutError:
        return f"no whole answer within {TURN_SECONDS:g} s"
    if turn.phase != "completed":
        return turn.error or turn.phase
    if session.edit != "pending":
        return session.edit_error or turn.text or "the answer holds no edit"
    try:
        session.accept()
    except SparkError as failure:
        return str(failure)
    return ""


def _attempt(task: Task, session: Session, error: str, seconds: float) -> Attempt:
    stats, turn = session.meter.stats(asyncio.get_running_loop().time()), session.turn
    rate = stats.tokens_per_second
    tries = session.improving.shown
    return Attempt(
        task,
        task.before,
        applied=session.edit == "accepted",
        passed=False,
        reason=error,
        ttft_seconds=stats.ttft,
        total_seconds=seconds,
        tokens_per_second=stats.turn_rate if rate is None else rate,
        output_tokens=sum(one.output_tokens for one in tries),
        model=turn.model if turn is not None else "",
        tries=tries,
    )


def summary(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Counts by class, and means over the attempts that have a figure; None where none has."""
    classes: dict[str, dict[str, int]] = {}
    for one in attempts:
        row = classes.setdefault(one.task.klass, {"n": 0, "passed": 0})
        row["n"] += 1
        row["passed"] += one.passed
    known = [one.untouched for one in attempts if one.untouched is not None]
    return {
        "n": len(attempts),
        "passed": sum(one.passed for one in attempts),
        "applied": sum(one.applied for one in attempts),
        "untouched": sum(known),
        "untouched_of": len(known),
        "per_class": dict(sorted(classes.items())),
        "tries": sum(len(one.tries) for one in attempts),
        "mean_ttft": _mean(one.ttft_seconds for one in attempts),
        "mean_seconds": _mean(one.total_seconds for one in attempts),
        "mean_tokens_per_second": _mean(one.tokens_per_second for one in attempts),
        "failures": [
            {"id": one.task.id, "klass": one.task.klass, "reason": one.reason}
            for one in attempts
            if not one.passed
        ],
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
