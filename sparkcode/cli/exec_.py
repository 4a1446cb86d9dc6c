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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sparkcode.cli.exec_output import Output, Printer, progress
from sparkcode.config import API_KEY_ENV, load_config, project_config_path, user_config_path
from sparkcode.errors import EngineUnreachableError, SparkError, UsageError

if TYPE_CHECKING:
    from sparkcode.assistant.edits import Edits, Target
    from sparkcode.assistant.session import Session
    from sparkcode.link.transport import Dialer, Peer, Transport

_RANGE: Final = re.compile(r"(?P<path>.+):(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asked for."""

    instruction: str
    files: tuple[str, ...]
    """As given: ``FILE`` or ``FILE:A-B``."""
    apply: bool
    output: Output
    timeout: float | None
    """Seconds for the whole turn; None for no limit."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How to get an engine."""

    url: str
    model: str
    api_key: str
    args: tuple[str, ...]
    """For an engine that is started."""


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
@click.option("--diff", is_flag=True, help="Print nothing but the edit as a unified diff.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--url", metavar="URL", help="An engine that already runs.")
@click.option("--model", metavar="NAME|PATH", help="A known model or a GGUF file.")
@click.option("--api-key", default="", envvar=API_KEY_ENV, help=f"Also from {API_KEY_ENV}.")
@click.option(
    "--engine", type=click.Choice(("spark", "scripted")), help="Engine to start; starts its own."
)
@click.option(
    "--script",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="What a scripted engine answers.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For the turn.",
)
def exec_command(
    instruction: str,
    files: tuple[str, ...],
    apply: bool,
    diff: bool,
    as_json: bool,
    timeout: float | None,
    **engine: str | None,
) -> int:
    """Carry out one INSTRUCTION; `-` reads it from stdin.

    The first file with a range is edited, else the first file; the others are context.

    \b
    sparkcode exec "Add a docstring" -f app.py:10-14 --apply
    sparkcode exec "What does this do?" -f app.py
    """
    if apply and diff:
        raise UsageError("--apply and --diff exclude each other; --apply writes, --diff prints")
    if instruction == "-":
        instruction = sys.stdin.read()
    if not instruction.strip():
        raise UsageError("the instruction is empty; say what to do")
    output: Output = "json" if as_json else "diff" if diff else "text"
    job = Job(instruction, files, apply, output, timeout)
    return asyncio.run(_run(job, _reach(**engine)))


def _reach(
    *,
    url: str | None,
    model: str | None,
    api_key: str | None,
    engine: str | None,
    script: str | None,
) -> Reach:
    """The engine to use, by flag, environment and configuration."""
    if script is not None and engine != "scripted":
        raise UsageError("--script needs --engine scripted")
    if url is not None and engine is not None:
        raise UsageError("--url names an engine that runs; it excludes --engine")
    files = [user_config_path(), project_config_path(Path.cwd())]
    config, _ = load_config(files, os.environ, {"url": url, "model": model})
    args = [] if engine is None else ["--engine", engine]
    args += [] if script is None else ["--script", script]
    return Reach("" if args else config.url, config.model, api_key or "", tuple(args))


# --- the turn -------------------------------------------------------------------------------


class _Dialled:
    """A dialer that hands out the link it was given, and then dials."""

    def __init__(self, first: tuple[Transport, Peer], dialer: Dialer) -> None:
        self._first: tuple[Transport, Peer] | None = first
        self._dialer = dialer

    async def dial(self) -> tuple[Transport, Peer]:
        first, self._first = self._first, None
        return await self._dialer.dial() if first is None else first


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
        async with _session(job, reach, running) as (session, targets):
            status = await _turn(job, session, targets)
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
) -> AsyncIterator[tuple[Session, list[Target]]]:
    """A session whose link is up and whose files are open."""
    from sparkcode.assistant.edits import Edits
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.clock import LoopClock

    workspace = Workspace(Path.cwd())
    # What is wrong with the files is said before an engine is started for them.
    _open_files(Edits(workspace), job.files)
    async with _dialer(reach) as dialer:
        first = await dialer.dial()
        session = Session(
            dialer=_Dialled(first, dialer),
            clock=LoopClock(),
            workspace=workspace,
            model=(reach.model if reach.url else "") or "spark",
            attempts=1,
        )
        # Not a task group: it would wrap the one-line errors that the program prints.
        task = asyncio.create_task(session.run())
        try:
            running.append(session)
            yield session, _open_files(session.edits, job.files)
        finally:
            await session.close()
            await task


@asynccontextmanager
async def _dialer(reach: Reach) -> AsyncIterator[Dialer]:
    from sparkcode.link.dialer import UrlDialer
    from sparkcode.link.local import LocalDialer, start_engine

    if reach.url:
        yield UrlDialer(reach.url, reach.api_key)
        return
    local = LocalDialer(
        reach.args, reach.model, api_key=reach.api_key, start=partial(start_engine, say=progress)
    )
    try:
        yield local
    finally:
        await local.close()


def _open_files(edits: Edits, specs: Sequence[str]) -> list[Target]:
    """Open every ``-f``; the targets, the one to edit first.

    Files with a range are targets. Without any range the first file is, as a whole.
    """
    from sparkcode.assistant.edits import Target, check_region
    from sparkcode.assistant.region import Region, whole

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


def _parse(spec: str) -> tuple[str, tuple[int, int] | None]:
    """``FILE``, ``FILE:A`` or ``FILE:A-B``; a file that is really named so wins."""
    match = _RANGE.fullmatch(spec)
    if match is None or Path(spec).exists():
        return spec, None
    first = int(match["first"])
    last = first if match["last"] is None else int(match["last"])
    if not 1 <= first <= last:
        raise UsageError(f"-f {spec!r}: lines {first}-{last} are no range; it looks like 3-9")
    return match["path"], (first, last)


async def _turn(job: Job, session: Session, targets: list[Target]) -> int:
    """Ask, report while it streams, and finish; the exit status."""
    turn = session.submit(job.instruction, targets[0] if targets else None, also=targets[1:])
    printer = Printer(job.output, turn)
    try:
        async with asyncio.timeout(job.timeout):
            while session.busy:
                seen = session.revision
                printer.show(session.turn)
                await session.changed(seen)
    except TimeoutError:
        session.interrupt()
        printer.failed(f"no whole answer within {job.timeout:g} s")
        return 1
    turn = await session.wait_turn()
    printer.show(turn)
    if turn.phase != "completed":
        printer.failed(turn.error or "interrupted")
        down = session.link.state == "down"
        return EngineUnreachableError.exit_code if down else 1
    return _finish(job, session, printer)


def _finish(job: Job, session: Session, printer: Printer) -> int:
    error = session.edit_error if session.edit == "failed" else ""
    if not error and session.edit == "pending":
        if session.edit_note:
            printer.note(session.edit_note)
        if not job.apply:
            printer.diff(session)
        else:
            try:
                session.accept()
            except SparkError as failure:
                error = str(failure)
    printer.completed(session, error)
    return 1 if error else 0
