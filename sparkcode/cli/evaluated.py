"""What the commands that load a model themselves have in common."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sparkcode.config import config_files, load_config

model_option = click.option("--model", metavar="NAME|PATH", help="A known model or a GGUF file.")
threads_option = click.option(
    "--threads", type=click.IntRange(1, 256), help="Default: one a processor, 8 at most."
)
peer_python_option = click.option(
    "--peer-python",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A Python that has llama-cpp-python; default: this one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


def configured_model(flag: str | None) -> str:
    """The model of the flag, else of the configuration, else the default one."""
    from sparkcode.model.catalogue import DEFAULT_MODEL

    config, _ = load_config(config_files(Path.cwd()), os.environ, {"model": flag})
    return config.model or DEFAULT_MODEL


def say(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)
