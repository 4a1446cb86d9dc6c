"""A scripted engine in a process of its own, and commands run beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sparkcode.errors import SparkError


@contextmanager
def serving(folder: Path, rules: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The URL of an engine with these rules; ``folder`` is empty, for its script."""
    script = folder / "script.jsonl"
    timing = {"ttft": 0.01, "tokens_per_second": 2000}
    script.write_text("".join(json.dumps(timing | rule) + "\n" for rule in rules))
    with serve("--engine", "scripted", "--script", str(script)) as url:
        yield url


@contextmanager
def serve(*options: str, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of ``sparkcode serve`` with these options."""
    command = [sys.executable, "-m", "sparkcode", "serve", "--port", "0", "--exit-with-stdin"]
    with subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"]
        child.stdin.close()


def alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``folder`` the current one, without the user's settings."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for name in [name for name in os.environ if name.startswith("SPARKCODE_")]:
        monkeypatch.delenv(name)


def invoke(command: click.Command, args: Sequence[str], stdin: str = "") -> tuple[int, str, str]:
    """Exit status, stdout and stderr, errors mapped as the program does."""
    result = CliRunner().invoke(command, list(args), input=stdin, standalone_mode=False)
    if isinstance(result.exception, SparkError):
        return result.exception.exit_code, result.stdout, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout, result.stderr
