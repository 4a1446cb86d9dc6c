"""``sparkcode help [TOPIC]``: pages of the package, and the help of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final

import click

from sparkcode.errors import UsageError


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help_command(ctx: click.Context, /, topic: str | None) -> int:
    """Explain a topic (`wafer`) or a command."""
    if topic is None:
        click.echo(_root(ctx).get_help())
        click.echo(f"\nTopics:\n  {', '.join(TOPICS)}    sparkcode help TOPIC")
        return 0
    if topic in TOPICS:
        click.echo(TOPICS[topic]())
        return 0
    root = _root(ctx)
    command = (
        root.command.get_command(root, topic) if isinstance(root.command, click.Group) else None
    )
    if command is None:
        raise UsageError(
            f"no topic or command {topic!r}; topics are: {', '.join(TOPICS)}, "
            "commands are listed by `sparkcode --help`"
        )
    with click.Context(command, info_name=topic, parent=root) as inner:
        click.echo(command.get_help(inner))
    return 0


def _root(ctx: click.Context) -> click.Context:
    return ctx.find_root()


def wafer_page() -> str:
    """The page on the timing model, with the figures that it has now."""
    from sparkcode.cli.sim_validate import percent, table
    from sparkcode.wafer.constants import load_calibration
    from sparkcode.wafer.prediction import hardware
    from sparkcode.wafer.published import development_rows
    from sparkcode.wafer.shape import shape_names
    from sparkcode.wafer.validate import validate

    calibration, rows = load_calibration(), development_rows()
    found = validate(rows, hardware(calibration, shape_names()), rows)
    lines = list(table(found, calibration))
    left_out = sum(calibration.left_out.values()) / len(calibration.left_out)
    text = files("sparkcode").joinpath("docs/wafer.txt").read_text(encoding="utf-8")
    return text.format(
        constants=len(calibration.fitted),
        rows=len(found.scored),
        classes=len(found.classes),
        class_mean=percent(found.class_mean),
        row_median=percent(found.row_median),
        left_out=percent(left_out),
        observed=percent(calibration.constants.observed_share).replace(".0 %", " %"),
        table="\n".join(f"  {line}" for line in lines[: lines.index("")]),
    ).rstrip()


TOPICS: Final[Mapping[str, Callable[[], str]]] = {"wafer": wafer_page}
