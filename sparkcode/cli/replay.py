"""``sparkcode replay``: play a script or a recording on the real screen and judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sparkcode.errors import ExpectationError, UsageError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--clock",
    type=click.Choice(("virtual", "real")),
    help="Simulated time, the same in every run (default), or the wall's.",
)
@click.option("--speed", type=float, default=1.0, metavar="X", help="X times as fast; real clock.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A folder to copy instead of the script's; the folder itself never changes.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write JUnit XML as well.",
)
def replay(
    file: Path,
    clock: Literal["virtual", "real"] | None,
    speed: float,
    workspace: Path | None,
    as_json: bool,
    junit: Path | None,
) -> None:
    """Play FILE.spark or FILE.sparklog on the real screen and judge what was there.

    A script types, waits and states what it expects; it exits with 3 when an expectation fails. A
    recording presses the recorded keys and answers as the recorded engine did.

    \b
    sparkcode replay scripts/first_edit.spark
    sparkcode replay scripts/first_edit.spark --json --junit report.xml
    sparkcode replay session.sparklog --clock real --speed 2
    """
    from sparkcode.link.tape import read_tape
    from sparkcode.replay.report import to_json, to_junit, to_table
    from sparkcode.replay.runner import run_script, run_tape
    from sparkcode.replay.scene import Options, read_script

    options = Options(clock, speed, workspace)
    if file.suffix == ".sparklog":
        report = run_tape(read_tape(file), file.name, options)
    else:
        report = run_script(read_script(file), file.parent, options)
    click.echo(to_json(report) if as_json else to_table(report), nl=as_json)
    if junit is not None:
        _write(junit, to_junit(report))
    if not report.passed:
        raise ExpectationError(report.complaint)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {str(file)!r}: {error.strerror}") from error
