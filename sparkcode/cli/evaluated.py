"""What the commands that load a model themselves have in common."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sparkcode.config import config_files, load_config


def configured_model(flag: str | None) -> str:
    """The model of the flag, else of the configuration, else the default one."""
    from sparkcode.model.catalogue import DEFAULT_MODEL

    config, _ = load_config(config_files(Path.cwd()), os.environ, {"model": flag})
    return config.model or DEFAULT_MODEL


def say(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)
