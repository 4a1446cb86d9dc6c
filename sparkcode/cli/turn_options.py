"""The options that say what turn is simulated, shared by commands that simulate one."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_TOKENS = 10_000_000
PROMPT_TOKENS = 8192
OUTPUT_TOKENS = 213
"""A coding agent's median answer (SemiAnalysis, 2026)."""


class Number(click.FloatRange):
    """A range of numbers of which "nan" is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


OPTIONS = (
    click.option(
        "--context",
        type=click.IntRange(1, MAX_TOKENS),
        default=PROMPT_TOKENS,
        show_default=True,
        metavar="TOKENS",
        help="Of the prompt.",
    ),
    click.option(
        "--cached",
        type=click.IntRange(0, MAX_TOKENS),
        default=0,
        show_default=True,
        metavar="TOKENS",
        help="Of the prompt, those that need not be read again.",
    ),
    click.option(
        "--transport",
        type=click.Choice(["none", "http", "websocket"]),
        default="none",
        show_default=True,
        help="Overhead of the protocol, assumed.",
    ),
)


def turn_options(command: Command) -> Command:
    """Adds ``context``, ``cached`` and ``transport``."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
