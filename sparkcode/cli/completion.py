"""``sparkcode completion``: click's own completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sparkcode.errors import UsageError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print shell completion for bash, zsh or fish.

    \b
    Example: eval "$(sparkcode completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell!r}; there is bash, zsh and fish")
    click.echo(kind(ctx.find_root().command, {}, "sparkcode", "_SPARKCODE_COMPLETE").source())
