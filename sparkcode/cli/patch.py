"""``sparkcode patch``: apply the apply_patch text on stdin to the files of the current folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from sparkcode.errors import PatchError
from sparkcode.patch.apply import Result, apply_patch
from sparkcode.patch.parser import MAX_PATCH, parse

_ESCAPED: Final = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}
"""Control characters, which a patch could use to write to the terminal what it likes."""


@click.command()
@click.pass_context
def patch(context: click.Context) -> None:
    """Apply the apply_patch text on stdin to the files of the current folder.

    Prints the files that were added, modified and deleted. A patch that does not fit is reported on
    stderr with exit status 1; file sections before the one that failed stay applied.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(4 * MAX_PATCH + 1)
    if not data:
        raise click.UsageError("no patch on stdin; try: sparkcode patch < FILE")
    try:
        result = _apply(data)
    except PatchError as error:
        click.echo(str(error).translate(_ESCAPED), err=True)
        context.exit(1)
    click.echo(result.summary.translate(_ESCAPED), nl=False)


def _apply(data: bytes) -> Result:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = "Error: Failed to read PATCH from stdin.\nstream did not contain valid UTF-8"
        raise PatchError(message) from error
    result = apply_patch(parse(text), Path.cwd())
    if result.failure is not None:
        raise result.failure
    return result
