"""``sparkcode [PATH...]``: the screen.

What is wrong with the paths, the theme or the terminal is said before the screen starts. Everything
that reaches an engine is imported and started after the first frame. However the screen ends, the
terminal is restored, and an engine that was started for it is stopped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sparkcode.config import API_KEY_ENV, load_config, project_config_path, user_config_path
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.link.transport import Dialer, Peer, Transport
    from sparkcode.tui.app import SparkApp

ESCAPE_MILLISECONDS: Final = 25
"""How long a lone ESC byte waits to become an arrow key; ``ESCDELAY`` overrides it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How to get an engine."""

    url: str = ""
    """One that already runs; empty: find or start a local one."""
    api_key: str = ""
    model: str = ""
    args: tuple[str, ...] = ()
    """For an engine that is started; with any, none is looked for."""


@click.command("screen")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--url", metavar="URL", help="An engine that already runs.")
@click.option("--model", metavar="NAME|PATH", help="A known model or a GGUF file.")
@click.option("--api-key", default="", envvar=API_KEY_ENV, help=f"Also from {API_KEY_ENV}.")
@click.option("--theme", metavar="NAME", help="Colours; see `sparkcode themes list`.")
@click.option("--engine", type=click.Choice(("spark", "scripted")), help="Engine to start.")
@click.option(
    "--script", type=click.Path(dir_okay=False), metavar="FILE", help="What a scripted one answers."
)
@click.option("--pace", type=click.Choice(("live", "sim", "max")), help="Pace of the engine.")
@click.option("--chip", metavar="NAME|FILE", help="Simulated chip.")
@click.option("--profile", metavar="NAME|FILE", help="Simulated model shape.")
def screen(paths: tuple[str, ...], api_key: str, script: str | None, **flags: str | None) -> None:
    """Open files in the screen; type what to change, watch the edit stream in, accept or reject it.

    \b
    sparkcode src/app.py
    sparkcode src/app.py tests/test_app.py --theme spark-light
    """
    theme, reach = settings(api_key, script, **flags)
    run_screen(paths, reach=reach, theme=theme)


def settings(api_key: str, script: str | None, **flags: str | None) -> tuple[str, Reach]:
    """The theme and the way to an engine, by flag, environment and configuration.

    UsageError for flags that exclude each other.
    """
    if script is not None and flags.get("engine") != "scripted":
        raise UsageError("--script needs --engine scripted")
    args = [
        part
        for name in ("engine", "pace", "chip", "profile")
        if (value := flags.get(name)) is not None
        for part in (f"--{name}", value)
    ]
    args += [] if script is None else ["--script", script]
    if flags.get("url") is not None and args:
        raise UsageError(f"--url names an engine that runs; it excludes {args[0]}")
    files = [user_config_path(), project_config_path(Path.cwd())]
    config, _ = load_config(files, os.environ, flags)
    return config.theme, Reach("" if args else config.url, api_key, config.model, tuple(args))


def run_screen(paths: Sequence[str], *, reach: Reach, theme: str) -> None:
    """Open ``paths`` in the screen and return when the user leaves it.

    UsageError if standard input or output is no terminal, or for an unknown theme; WorkspaceError
    for a path that cannot be edited.
    """
    from sparkcode.assistant.workspace import Workspace

    workspace = Workspace(Path.cwd())
    for path in paths:
        workspace.read(path)
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise UsageError(
            "the screen needs a terminal on standard input and output;"
            " `sparkcode exec` works without one"
        )
    os.environ.setdefault("ESCDELAY", str(ESCAPE_MILLISECONDS))
    asyncio.run(_run(paths, reach, theme))


async def _run(paths: Sequence[str], reach: Reach, theme: str) -> None:
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.workspace import Workspace
    from sparkcode.clock import LoopClock
    from sparkcode.tui.app import SparkApp

    dialer = LateDialer(reach)
    session = Session(
        dialer=dialer,
        clock=LoopClock(),
        workspace=Workspace(Path.cwd()),
        model=(reach.model if reach.url else "") or "spark",
    )
    app = SparkApp(session, open_paths=paths, theme=theme)
    dialer.say = app.say
    try:
        async with _left_on_signals(app):
            await app.run_async()
    finally:
        await session.close()
        await dialer.close()
    if app.return_code:
        sys.exit(app.return_code)


class LateDialer:
    """Decides how to dial at the first attempt: what it imports must not delay the first frame."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._dialer: Dialer | None = None
        self.say = _ignore
        """Gets the progress of an engine that starts."""

    async def dial(self) -> tuple[Transport, Peer]:
        if self._dialer is None:
            self._dialer = self._make()
        return await self._dialer.dial()

    async def close(self) -> None:
        """Stop the engine, if one was started."""
        from sparkcode.link.local import LocalDialer

        if isinstance(self._dialer, LocalDialer):
            await self._dialer.close()

    def _make(self) -> Dialer:
        from sparkcode.link.dialer import UrlDialer
        from sparkcode.link.local import LocalDialer, start_engine

        reach = self._reach
        if reach.url:
            return UrlDialer(reach.url, reach.api_key)
        start = partial(start_engine, say=self.say)
        return LocalDialer(reach.args, reach.model, api_key=reach.api_key, start=start)


def _ignore(line: str) -> None:
    """Before there is a screen, nobody listens."""


@asynccontextmanager
async def _left_on_signals(app: SparkApp) -> AsyncIterator[None]:
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
