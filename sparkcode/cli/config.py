"""``sparkcode config``: where settings live, what holds, and who said so."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from sparkcode.config import config_files, load_config


@click.group(name="config")
def config() -> None:
    """Show the configuration and where it is."""


@config.command()
def path() -> None:
    """Print the user's and the project's configuration files."""
    for file in config_files(Path.cwd()):
        click.echo(f"{file.path}{'' if file.path.exists() else '  (absent)'}")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(as_json: bool) -> None:
    """Print each setting, its value and where the value comes from."""
    files = config_files(Path.cwd())
    _, settings = load_config(files, os.environ, {})
    if as_json:
        rows = {s.key: {"value": s.value, "origin": s.origin} for s in settings}
        click.echo(json.dumps(rows))
        return
    for setting in settings:
        click.echo(f"{setting.key} = {json.dumps(setting.value)}  # {setting.origin}")
