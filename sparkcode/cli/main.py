"""The command line: names, help and exit codes. Each command lives in its own module.

A command's module is imported when the command runs, so ``--help`` and the first frame of the
screen pay for nothing they do not use. A first argument that is no command is a path to open.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys

import click

from sparkcode import __version__
from sparkcode.errors import SparkError

COMMANDS = {
    "exec": ("sparkcode.cli.exec_", "exec_command", "One instruction, without the screen."),
    "complete": ("sparkcode.cli.complete", "complete", "Code at a cursor: FILE:LINE[:COL]."),
    "serve": ("sparkcode.cli.serve", "serve", "Serve an engine over the Responses API."),
    "sim": ("sparkcode.cli.sim", "sim", "Simulate a model on a wafer or on GPUs."),
    "race": ("sparkcode.cli.race", "race", "One turn on two chips or engines, side by side."),
    "bench": ("sparkcode.cli.bench", "bench", "Measure speed here, beside llama.cpp."),
    "eval": ("sparkcode.cli.eval_", "evaluate", "Measure how good the answers are."),
    "models": ("sparkcode.cli.models", "models", "List, pull and verify weights."),
    "record": ("sparkcode.cli.record", "record", "Open the screen and record the session."),
    "replay": ("sparkcode.cli.replay", "replay", "Run a script or a recording and judge it."),
    "patch": ("sparkcode.cli.patch", "patch", "Apply apply_patch text from stdin here."),
    "themes": ("sparkcode.cli.themes", "themes", "List and check the screen's themes."),
    "config": ("sparkcode.cli.config", "config", "Show the configuration and where it is."),
    "help": ("sparkcode.cli.help_", "help_command", "Explain a topic (wafer) or a command."),
    "doctor": ("sparkcode.cli.doctor", "doctor", "Check this installation."),
    "completion": ("sparkcode.cli.completion", "completion", "Print shell completion."),
    "screen": ("sparkcode.cli.screen", "screen", "Open the screen (the default command)."),
}
"""Command name to module, attribute and one line of help."""

EPILOG = """\b
Examples:
  sparkcode src/app.py                      open a file and type an instruction
  sparkcode exec "Add a docstring" -f app.py:10-14 --apply
  sparkcode complete app.py:12:9 --apply    code at line 12, column 9
  sparkcode serve --port 8900               an engine for any Responses client
  sparkcode replay scripts/first_edit.spark --json
"""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and opens paths by default."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if name != "screen"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name][2]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_default_command(args))


def with_default_command(args: list[str]) -> list[str]:
    """``args`` with ``screen`` in front when they name no command.

    The screen's own options may come first (``sparkcode --theme x file``); ``--help`` and
    ``--version`` alone belong to the program.
    """
    if args and (args[0] in COMMANDS or args[0] in ("--help", "-h", "--version")):
        return args
    return ["screen", *args]


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="sparkcode")
def cli() -> None:
    """A coding assistant for the terminal whose point is latency you can see, feel and test.

    \b
    sparkcode [PATH]...     opens the screen on the files
    sparkcode COMMAND ...   runs a command
    """


def main() -> None:
    """Entry point: maps errors to one line on stderr and the exit codes of the design."""
    try:
        status = cli.main(prog_name="sparkcode", standalone_mode=False)
        sys.stdout.flush()
    except SparkError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        click.echo(f"error: {error.format_message()}{where}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            click.echo(f"error: {error}", err=True)
        # What is still buffered cannot be written; the interpreter must not try again at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
