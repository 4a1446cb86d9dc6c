"""``sparkcode exec``: one instruction, without the screen.

stdout is data: the answer and a unified diff, or JSON lines; all else goes to stderr. Nothing is
written to a file without ``--apply``.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sparkcode.cli.exec_output import Output, Printer, progress
from sparkcode.cli.reach import LateDialer, Reach, reaches_engine, settings
from sparkcode.cli.trying import LargerModel, tries_option
from sparkcode.errors import EngineUnreachableError, SparkError, UsageError

if TYPE_CHECKING:
    from sparkcode.assistant.composing import Asked
    from sparkcode.assistant.edits import Edits, Target
    from sparkcode.assistant.intent import Intent
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.tries import Judge
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.link.transport import Dialer, Peer, Transport

_RANGE: Final = re.compile(r"(?P<path>.+):(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asked for."""

    intent: Intent
    """The instruction, and what kind of turn it asks for."""
    files: tuple[str, ...]
    """As given: ``FILE`` or ``FILE:A-B``."""
    apply: bool
    anywhere: bool
    """Whether an edit may reach outside the named lines."""
    output: Output
    timeout: float | None
    """Seconds for the whole turn; None for no limit."""
    tries: int
    """Answers that may be asked for while there are faults."""
    check: str | None
    """A shell command that an edit has to pass."""
    allowed: tuple[str, ...]
    """Commands that the model may run."""


@click.command("exec")
@click.argument("instruction")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE[:A-B]",
    help="A file, or its lines to edit.",
)
@click.option("--apply", is_flag=True, help="Write the edit to the files.")
@click.option("--anywhere", is_flag=True, help="Let --apply write outside the named lines too.")
@click.option("--diff", is_flag=True, help="Print nothing but the edit as a unified diff.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--check", metavar="CMD", help="Shell command that the edit must pass, run in a copy of here."
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="CMD",
    help="A command that the model may run, also with more words, in a copy of here.",
)
@tries_option
@reaches_engine
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For the turn.",
)
def exec_command(
    instruction: str,
    files: tuple[str, ...],
    timeout: float | None,
    api_key: str,
    script: str | None,
    **flags: Any,
) -> int:
    """Carry out one INSTRUCTION; `-` reads it from stdin.

    Files with a range are edited there and nowhere else. Without any range the first file is, or
    what the INSTRUCTION says of it: in a file of more than 120 lines the function it names; for
    "Rename X to Y" the places with that name, also in the other files. Those are context.

    Not every INSTRUCTION is an edit. A question or "Explain ..." is answered, unless --apply,
    --diff or --check asks for an edit; "Write a script PATH ..." makes a new file; "Write tests for
    NAME" tests, where the project keeps them. /edit, /ask, /explain, /new PATH, /test NAME and
    /task in front of it always win.

    An engine other than the embedded one (--url) may list, search and read the files of the current
    folder, except those that .gitignore names, and edit in several steps. Without a FILE, or after
    /task, an edit is about the whole folder. Commands run only if --allow names them.

    An edit with faults (it does not parse, uses names that nothing defines, drops definitions ...)
    is asked for again, up to --tries; the best answer is taken. With --check the command decides:
    each edit is tried in a copy of the current folder, without network where the system allows
    that, and what a failed check printed goes into the next question.

    \b
    sparkcode exec "Add a docstring" -f app.py:10-14 --apply
    sparkcode exec "Fix the off-by-one" -f app.py:10-14 --apply --check "pytest -q" --tries 8
    sparkcode exec "Rename Stack to Pile everywhere" -f stack.py -f app.py --diff
    sparkcode exec "What does this do?" -f app.py
    sparkcode exec "Write tests for load" -f app.py --apply
    sparkcode exec "/task Drop support for Python 3.8" --url URL --allow "pytest -q" --diff
    """
    apply, diff, as_json = flags.pop("apply"), flags.pop("diff"), flags.pop("as_json")
    if apply and diff:
        raise UsageError("--apply and --diff exclude each other; --apply writes, --diff prints")
    if instruction == "-":
        instruction = sys.stdin.read() if sys.stdin is not None else ""
    if not instruction.strip():
        raise UsageError("the instruction is empty; say what to do")
    output: Output = "json" if as_json else "diff" if diff else "text"
    anywhere, check, allowed = flags.pop("anywhere"), flags.pop("check"), flags.pop("allowed")
    intent = _intent(instruction, edits=apply or diff or check is not None)
    config, reach = settings(api_key, script, **flags)
    job = Job(intent, files, apply, anywhere, output, timeout, config.tries, check, allowed)
    return asyncio.run(_run(job, reach))


def _intent(instruction: str, *, edits: bool) -> Intent:
    """What is asked for; where an edit is to come of it, a question is none."""
    from sparkcode.assistant.intent import intent_of

    intent = intent_of(instruction, exists=os.path.lexists)
    plain = intent.said == instruction.strip()
    if edits and plain and intent.kind in ("ask", "explain"):
        return replace(intent, kind="edit")
    return intent


# --- the turn -------------------------------------------------------------------------------


class _Dialled:
    """A dialer that hands out the link it was given, and then dials."""

    def __init__(self, first: tuple[Transport, Peer], dialer: Dialer) -> None:
        self._first: tuple[Transport, Peer] | None = first
        self._dialer = dialer

    async def dial(self) -> tuple[Transport, Peer]:
        first, self._first = self._first, None
        return await self._dialer.dial() if first is None else first

    async def close(self) -> None:
        """Give up a link that nobody has asked for."""
        if self._first is not None:
            await self._first[0].close()


async def _run(job: Job, reach: Reach) -> int:
    task = asyncio.current_task()
    assert task is not None
    running: list[Session] = []
    stopped: list[int] = []

    def stop() -> None:
        stopped.append(signal.SIGINT)
        if not any(session.interrupt() for session in running):
            task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        async with _session(job, reach, running) as (session, asked):
            status = await _turn(job, session, asked)
    except asyncio.CancelledError:
        if not stopped:
            raise
        task.uncancel()
        status = 1
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    return 128 + signal.SIGINT if stopped else status


@asynccontextmanager
async def _session(
    job: Job, reach: Reach, running: list[Session]
) -> AsyncIterator[tuple[Session, Asked]]:
    """A session whose link is up and whose files are open, and the turn for it."""
    from sparkcode.assistant.edits import Edits
    from sparkcode.assistant.helping import Helping, begins_with, check_able
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.tries import Tries
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.clock import LoopClock

    workspace = Workspace(Path.cwd())
    # What is wrong with the files is said before an engine is started for them.
    edits = Edits(workspace)
    asked = _composed(job, edits, _open_files(edits, job.files))
    edits.blocks(asked.targets, asked.about)
    dialer, larger = LateDialer(reach, progress), LargerModel(reach)
    try:
        first = await dialer.dial()
        dialled = _Dialled(first, dialer)
        if asked.kind == "task":
            check_able(first[1])
        session = Session(
            dialer=dialled,
            clock=LoopClock(),
            workspace=workspace,
            model=reach.asked_model,
            attempts=1,
            tries=Tries(job.tries, dialer, _judge(job, workspace), larger),
        )
        may = begins_with(job.allowed if job.check is None else (*job.allowed, job.check))
        session.helping = Helping(workspace, may)
        # Not a task group: it would wrap the one-line errors that the program prints.
        task = asyncio.create_task(session.run())
        try:
            running.append(session)
            _open_files(session.edits, job.files)
            yield session, asked
        finally:
            await session.close()
            await task
            await dialled.close()
    finally:
        await larger.close()
        await dialer.close()


def _judge(job: Job, workspace: Workspace) -> Judge:
    from sparkcode.assistant.judges import Reviewer
    from sparkcode.assistant.trial import CommandJudge

    return Reviewer() if job.check is None else CommandJudge(job.check, workspace.root)


def _open_files(edits: Edits, specs: Sequence[str]) -> list[Target]:
    """Open every ``-f``; the targets, the one to edit first.

    Files with a range are targets. Without any range the first file is, as a whole.
    """
    from sparkcode.assistant.edits import Target, check_region
    from sparkcode.syntax.lines import Region, whole

    ranged: list[Target] = []
    names: list[str] = []
    for spec in specs:
        path, region = _parse(spec)
        buffer = edits.open(path)
        if buffer.path in names:
            raise UsageError(f"-f {spec!r}: {buffer.path!r} is named twice")
        names.append(buffer.path)
        if region is not None:
            target = Target(buffer.path, Region(*region))
            check_region(buffer, target.region)
            ranged.append(target)
    if ranged or not names:
        return ranged
    return [Target(names[0], whole(edits.buffers[names[0]].text))]


def _composed(job: Job, edits: Edits, targets: list[Target]) -> Asked:
    """The turn that is asked for; what it is, is said where the command line does not say it."""
    from sparkcode.assistant.composing import Asked, Desk, composed
    from sparkcode.assistant.edits import places
    from sparkcode.syntax.widen import Source

    intent = job.intent
    ranged = any(_parse(spec)[1] for spec in job.files)
    if intent.kind == "edit" and (ranged or not targets):
        return Asked("edit", intent.said, tuple(targets))
    sources = {path: Source.of(each.text, each.language) for path, each in edits.buffers.items()}
    first = targets[0] if targets else None
    path, region = (first.path, first.region) if first is not None else ("", None)
    desk = Desk(sources, path, region, ranged, edits.exists, edits.text_of)
    asked = composed(intent, desk)
    if asked.kind not in ("edit", "ask"):
        progress(asked.title)
    elif asked.targets and list(asked.targets) != targets:
        progress(f"edits {places(asked.targets)}")
    return asked


def _parse(spec: str) -> tuple[str, tuple[int, int] | None]:
    """``FILE``, ``FILE:A`` or ``FILE:A-B``; a file that is really named so wins."""
    match = _RANGE.fullmatch(spec)
    if not spec:
        raise UsageError("-f '': the name of a file is needed")
    if match is None or os.path.lexists(spec):
        name, colon, tail = spec.rpartition(":")
        if colon and not os.path.lexists(spec) and os.path.lexists(name):
            raise UsageError(f"-f {spec!r}: {tail!r} is no range of lines; it looks like 3-9")
        return spec, None
    first = int(match["first"])
    last = first if match["last"] is None else int(match["last"])
    if not 1 <= first <= last:
        raise UsageError(
            f"-f {spec!r}: lines {first}-{last} are no range; lines start at 1, as in 3-9"
        )
    return match["path"], (first, last)


async def _turn(job: Job, session: Session, asked: Asked) -> int:
    """Ask, report while it streams, and finish; the exit status."""
    target = asked.targets[0] if asked.targets else None
    turn = session.submit(asked.instruction, target, also=asked.targets[1:], about=asked.about)
    printer = Printer(job.output, turn)
    try:
        async with asyncio.timeout(job.timeout):
            while session.busy:
                seen = session.revision
                printer.show(session.turn)
                printer.tried(session.improving)
                await session.changed(seen)
    except TimeoutError:
        session.interrupt()
        printer.failed(f"no whole answer within {job.timeout:g} s")
        return 1
    turn = await session.wait_turn()
    printer.show(turn)
    printer.tried(session.improving)
    if turn.phase != "completed":
        printer.failed(turn.error or "interrupted")
        down = session.link.state == "down"
        return EngineUnreachableError.exit_code if down else 1
    return _finish(job, session, printer)


def _finish(job: Job, session: Session, printer: Printer) -> int:
    error = session.edit_error if session.edit == "failed" else ""
    error = error or _unchecked(job, session)
    if not error and session.edit == "pending":
        printer.pending(session)
        # Without a named file nothing says where an edit belongs: then it may go anywhere.
        astray = session.edits.note
        if job.apply and session.edits.unfit:
            error = f"{session.edits.unfit}; nothing is written"
        elif session.edits.unfit:
            printer.note(session.edits.unfit)
        if job.apply and astray and not job.anywhere:
            error = f"{astray}; nothing is written (--anywhere allows it)"
        elif astray:
            printer.note(astray)
        faults = "; ".join(fault.message for fault in session.improving.faults or ())
        if faults:
            printer.note(f"the edit may be wrong: {faults}")
        if not job.apply:
            printer.diff()
        elif not error:
            try:
                session.accept()
            except SparkError as failure:
                error = str(failure)
    printer.completed(session, error)
    return 1 if error else 0


def _unchecked(job: Job, session: Session) -> str:
    """Why the edit does not count as checked, where a check was asked for; "" if it does."""
    improving = session.improving
    if job.check is None or (improving.faults == () and not improving.error):
        return ""
    if improving.faults is None or improving.error:
        return improving.error or "there is no edit to check"
    return f"no answer passes the check; the best: {improving.faults[0].message}"
