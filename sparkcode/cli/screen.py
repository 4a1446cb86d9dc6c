"""``sparkcode [PATH...]``: the screen.

What is wrong with the paths, the theme or the terminal is said before the screen starts. Everything
that reaches an engine is imported and started after the first frame. However the screen ends, the
terminal is restored, and an engine that was started for it is stopped.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sparkcode.cli.reach import LateDialer, Reach, reaches_engine, settings
from sparkcode.cli.trying import LargerModel, tries_option
from sparkcode.config import Config
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.tui.app import SparkApp

ESCAPE_MILLISECONDS: Final = 25
"""How long a lone ESC byte waits to become an arrow key; ``ESCDELAY`` overrides it."""


@click.command("screen")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--theme", metavar="NAME", help="Colours; see `sparkcode themes list`.")
@click.option("--check", metavar="CMD", help="Shell command that Ctrl+T runs on an edit.")
@tries_option
@reaches_engine
def screen(paths: tuple[str, ...], api_key: str, script: str | None, **flags: Any) -> None:
    """Open files in the screen; type what to change, watch the edit stream in, accept or reject it.

    \b
    sparkcode src/app.py
    sparkcode src/app.py tests/test_app.py --theme spark-light
    """
    config, reach = settings(api_key, script, **flags)
    run_screen(paths, reach=reach, config=config)


def run_screen(paths: Sequence[str], *, reach: Reach, config: Config) -> None:
    """Open ``paths`` in the screen and return when the user leaves it.

    UsageError if standard input or output is no terminal, or for an unknown theme; WorkspaceError
    for a path that cannot be edited.
    """
    from sparkcode.assistant.workspace import Workspace

    workspace = Workspace(Path.cwd())
    for path in paths:
        if re.fullmatch("[a-z]+", path) and not os.path.lexists(path):
            raise UsageError(
                f"{path!r} is neither a file here nor a command; `sparkcode --help` lists those"
            )
        workspace.read(path)
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise UsageError(
            "the screen needs a terminal on standard input and output;"
            " `sparkcode exec` works without one"
        )
    os.environ.setdefault("ESCDELAY", str(ESCAPE_MILLISECONDS))
    # Imports make much and free nothing: collecting in between costs a fifth of the time to the
    # first frame. The screen collects again once that is painted.
    gc.disable()
    asyncio.run(_run(paths, reach, config))


async def _run(paths: Sequence[str], reach: Reach, config: Config) -> None:
    from sparkcode.assistant.helping import Helping
    from sparkcode.assistant.judges import Reviewer
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.trial import CommandJudge
    from sparkcode.assistant.tries import Tries
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.clock import LoopClock
    from sparkcode.tui.app import SparkApp

    dialer, larger = LateDialer(reach), LargerModel(reach)
    session = Session(
        dialer=dialer,
        clock=LoopClock(),
        workspace=Workspace(Path.cwd()),
        model=reach.asked_model,
        tries=Tries(config.tries, dialer, Reviewer(), larger),
    )
    session.helping = Helping(Workspace(Path.cwd()), lambda command: None)
    check = CommandJudge(config.check, Path.cwd()) if config.check else None
    app = SparkApp(session, open_paths=paths, theme=config.theme, check=check)
    dialer.say = app.say
    try:
        async with left_on_signals(app):
            await app.run_async()
    finally:
        await session.close()
        await larger.close()
        await dialer.close()
    if app.return_code:
        sys.exit(app.return_code)


@asynccontextmanager
async def left_on_signals(app: SparkApp) -> AsyncIterator[None]:
    """SIGTERM and SIGHUP leave the screen as its own keys do."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, partial(app.exit, return_code=128 + number))
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
