"""``sparkcode record``: the screen, with every key and every frame of the wire on a tape."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkcode.cli.reach import LateDialer, Reach, settings
from sparkcode.cli.screen import ESCAPE_MILLISECONDS, left_on_signals, screen
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.replay.runner import Take, WatchedApp


@click.command()
@click.argument("tape", metavar="OUT.sparklog", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--force", is_flag=True, help="Replace an existing recording.")
def record(
    tape: Path,
    paths: tuple[str, ...],
    force: bool,
    api_key: str,
    script: str | None,
    **flags: str | None,
) -> int:
    """Open the screen on PATHS and record the session to OUT.sparklog.

    The tape holds the keys, both sides of the wire and the text of the open files, but no API key;
    `sparkcode replay OUT.sparklog` plays it. Only its owner can read it.
    """
    config, reach = settings(api_key, script, **flags)
    if tape.suffix != ".sparklog":
        raise UsageError(f"{str(tape)!r} is no name of a recording; it ends in .sparklog")
    if tape.exists() and not force:
        raise UsageError(f"{str(tape)!r} exists; --force replaces it")
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise UsageError("recording needs a terminal on standard input and output")
    os.environ.setdefault("ESCDELAY", str(ESCAPE_MILLISECONDS))
    return asyncio.run(_record(tape, paths, config.theme, reach, force=force))


# Whatever the screen takes, a recording of it takes too, but for what is not on the tape: further
# answers, which come over links of their own, and what a check says.
record.params.extend(
    option
    for option in screen.params
    if isinstance(option, click.Option) and option.name not in ("tries", "check")
)


async def _record(
    tape: Path, paths: tuple[str, ...], theme: str, reach: Reach, *, force: bool
) -> int:
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.replay.runner import Take

    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    take = Take(
        path=tape,
        workspace=Workspace(Path.cwd()),
        size=(columns, rows),
        open=paths,
        theme=theme,
        model=reach.asked_model,
        secrets=(reach.api_key,),
        overwrite=force,
    )
    return await _take(take, LateDialer(reach))


async def _take(take: Take, dialer: LateDialer) -> int:
    from sparkcode.replay.runner import record as record_screen

    status = 0

    async def run(app: WatchedApp) -> None:
        nonlocal status
        dialer.say = app.say
        async with left_on_signals(app):
            await app.run_async()
        status = app.return_code or 0

    try:
        recording = await record_screen(take, dialer, run)
    finally:
        await dialer.close()
    if recording.error:
        click.echo(f"warning: {recording.error}", err=True)
    return status
