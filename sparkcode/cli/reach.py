"""How a command reaches an engine: the options it shares with others, and the dialer they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sparkcode.config import API_KEY_ENV, Config, config_files, load_config
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.link.transport import Dialer, Peer, Transport

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Reach:
    """How to get an engine."""

    url: str = ""
    """One that already runs; empty: find or start a local one."""
    api_key: str = ""
    model: str = ""
    args: tuple[str, ...] = ()
    """For an engine that is started; with any, none is looked for."""

    @property
    def asked_model(self) -> str:
        """The model to name in requests: a local engine serves one, whatever it is called."""
        return (self.model if self.url else "") or "spark"


OPTIONS = (
    click.option("--url", metavar="URL", help="An engine that already runs."),
    click.option("--model", metavar="NAME|PATH", help="A known model or a GGUF file."),
    click.option("--api-key", default="", envvar=API_KEY_ENV, help=f"Also from {API_KEY_ENV}."),
    click.option("--engine", type=click.Choice(("spark", "scripted")), help="Engine to start."),
    click.option(
        "--script",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="What a scripted engine answers.",
    ),
    click.option("--pace", type=click.Choice(("live", "sim", "max")), help="Pace of the engine."),
    click.option("--chip", metavar="NAME|FILE", help="Simulated chip."),
    click.option("--profile", metavar="NAME|FILE", help="Simulated model shape."),
)


def reaches_engine(command: Command) -> Command:
    """Adds the options that say which engine."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def settings(api_key: str, script: str | None, **flags: Any) -> tuple[Config, Reach]:
    """The configuration and the way to an engine, by flag, environment and file.

    UsageError for flags that exclude each other.
    """
    if flags.get("url") == "":
        raise UsageError("--url is empty; it looks like http://127.0.0.1:8900/v1")
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
    config, _ = load_config(config_files(Path.cwd()), os.environ, flags)
    return config, Reach("" if args else config.url, api_key, config.model, tuple(args))


class LateDialer:
    """Decides how to dial at the first attempt: what it imports must not delay a first frame."""

    def __init__(self, reach: Reach, say: Callable[[str], None] | None = None) -> None:
        self._reach = reach
        self._dialer: Dialer | None = None
        self.say: Callable[[str], None] = say or _ignore
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
