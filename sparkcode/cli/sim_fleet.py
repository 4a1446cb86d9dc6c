"""``sparkcode sim fleet``: what so many megawatts serve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from sparkcode.cli.shapes import shape_of
from sparkcode.cli.turn_options import Number

if TYPE_CHECKING:
    from sparkcode.wafer.fleet import Fleet

PHASES = "2026=1/3,2027=2/3,2028=1"


def phases(text: str) -> list[tuple[str, float]]:
    """``WHEN=SHARE`` pairs; BadParameter says what would be right."""
    found = []
    for part in text.split(","):
        when, _, share = part.partition("=")
        top, _, bottom = share.partition("/")
        try:
            value = float(top) / float(bottom or 1)
        except (ValueError, ZeroDivisionError):
            value = -1.0
        if not when.strip() or not 0 < value <= 1:
            raise click.BadParameter(f"{part!r}; expected WHEN=SHARE, as in {PHASES!r}")
        found.append((when.strip(), value))
    if found[-1][1] != 1 or len({when for when, _ in found}) < len(found):
        raise click.BadParameter(f"{text!r}; expected each time once, and a last share of 1")
    if any(later < earlier for (_, earlier), (_, later) in pairwise(found)):
        raise click.BadParameter(f"{text!r} shrinks; expected shares that grow")
    return found


def _phases(_: click.Context, __: click.Parameter, text: str) -> list[tuple[str, float]]:
    return phases(text)


@click.command("fleet")
@click.option(
    "--megawatts",
    type=Number(0.001, 1e6),
    default=750.0,
    show_default=True,
    help="Of the whole site. OpenAI and Cerebras announced 750 through 2028.",
)
@click.option("--model", metavar="NAME|FILE", help="Model shape.  [default: gpt-oss-120b]")
@click.option("--chip", metavar="NAME|FILE", help="Chip.  [default: wse3]")
@click.option(
    "--tokens-per-second",
    "pace",
    type=Number(0.01, 1e6),
    default=1000.0,
    show_default=True,
    help="That every user gets at least.",
)
@click.option(
    "--context",
    type=click.IntRange(1, 10_000_000),
    default=96_000,
    show_default=True,
    help="Tokens of a prompt; the default is a coding agent's median.",
)
@click.option(
    "--cached",
    type=Number(0.0, 1.0),
    default=0.95,
    show_default=True,
    help="Share of a prompt that need not be read again.",
)
@click.option(
    "--output",
    type=click.IntRange(1, 10_000_000),
    default=213,
    show_default=True,
    help="Tokens of an answer; the default is a coding agent's median.",
)
@click.option(
    "--overhead",
    type=Number(1.0, 10.0),
    default=1.2,
    show_default=True,
    help="The site's power over the chips'.",
)
@click.option(
    "--utilisation",
    type=Number(0.01, 1.0),
    default=0.5,
    show_default=True,
    help="Share of the day at full load.",
)
@click.option(
    "--phases",
    default=PHASES,
    show_default=True,
    metavar="WHEN=SHARE,...",
    callback=_phases,
    help="How the megawatts come.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def fleet(*, model: str | None, chip: str | None, as_json: bool, **given: Any) -> int:
    """Plan a fleet: systems, users and tokens a day for a site's power.

    Every figure is simulated or assumed, and every assumption is an option. What is sought are the
    most users for each device, each of whom keeps the pace while the others' prompts are read.
    Shares of the phases are assumed even: only the total and its end are public.
    """
    from sparkcode.wafer.chip import DEFAULT_CHIP, load_chip
    from sparkcode.wafer.fleet import Assumptions, plan

    found = plan(load_chip(chip or DEFAULT_CHIP), shape_of(model), Assumptions(**given))
    click.echo(json.dumps(facts(found)) if as_json else "\n".join(table(found)))
    return 0


def facts(found: Fleet) -> dict[str, Any]:
    assumed, instance = found.assumptions, found.instance
    return {
        "model": instance.model,
        "chip": instance.chip,
        "assumptions": {
            "megawatts": assumed.megawatts,
            "overhead": assumed.overhead,
            "context": assumed.context,
            "cached": assumed.cached,
            "output": assumed.output,
            "tokens_per_second": assumed.pace,
            "utilisation": assumed.utilisation,
            "phases": dict(assumed.phases),
        },
        "instance": {
            "devices": instance.devices,
            "users": instance.users,
            "tokens_per_second": 1 / instance.sustained_tpot,
            "total_tokens_per_second": instance.users / instance.sustained_tpot,
            "ttft": instance.ttft,
            "prompt_turn": instance.prompt_turn,
        },
        "phases": [
            {
                "when": phase.when,
                "megawatts": phase.megawatts,
                "devices": phase.devices,
                "instances": phase.instances,
                "users": phase.users,
                "tokens_per_day": phase.tokens_per_day,
            }
            for phase in found.phases
        ],
    }


def table(found: Fleet) -> Iterator[str]:
    assumed, instance = found.assumptions, found.instance
    yield f"{instance.model} on {instance.chip}, simulated"
    yield (
        f"  assumed: {assumed.megawatts:g} MW at the site, {assumed.overhead:g} times the chips' "
        f"rated power; prompts of {assumed.context:,} tokens, {100 * assumed.cached:g} % cached,"
    )
    yield (
        f"  answers of {assumed.output:,}; at least {assumed.pace:,.0f} tok/s for each user; "
        f"full load {100 * assumed.utilisation:.0f} % of the day"
    )
    yield ""
    devices = f"{instance.devices} device{'s' * (instance.devices > 1)}"
    yield (
        f"  one instance: {devices}, {instance.users} user{'s' * (instance.users > 1)} at "
        f"{1 / instance.sustained_tpot:,.0f} tok/s, prompts read in between"
    )
    yield ""
    yield f"  {'':<8}{'MW':>9} {'devices':>10} {'instances':>10} {'users':>11} {'tokens a day':>15}"
    for phase in found.phases:
        yield (
            f"  {phase.when:<8}{phase.megawatts:>9,.0f} {phase.devices:>10,} "
            f"{phase.instances:>10,} {phase.users:>11,} {phase.tokens_per_day:>15,.3g}"
        )
