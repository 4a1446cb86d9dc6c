"""``sparkcode sim``: what a model would do on a chip that is not here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparkcode.cli.shapes import shape_of
from sparkcode.cli.sim_chips import chips, models
from sparkcode.cli.sim_fleet import fleet
from sparkcode.cli.sim_validate import validate
from sparkcode.cli.turn_options import MAX_TOKENS, OUTPUT_TOKENS, turn_options
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.wafer.simulate import Simulation

MAX_USERS = 1_000_000
BAR = 32
"""Columns of the longest bar."""


@click.group("sim", invoke_without_command=True)
@click.option("--model", metavar="NAME|FILE", help="Model shape.  [default: gpt-oss-120b]")
@click.option("--chip", metavar="NAME|FILE", help="Chip.  [default: wse3]")
@turn_options
@click.option(
    "--output",
    type=click.IntRange(1, MAX_TOKENS),
    default=OUTPUT_TOKENS,
    show_default=True,
    metavar="TOKENS",
    help="Of the answer; the default is a coding agent's median.",
)
@click.option(
    "--users",
    type=click.IntRange(1, MAX_USERS),
    default=1,
    show_default=True,
    help="Answered at once.",
)
@click.option("--events", is_flag=True, help="Also follow every token through every layer.")
@click.option(
    "--plot",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png|svg",
    help="Also draw roofline, pace against context, users against pace, and times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def sim(
    ctx: click.Context,
    /,
    *,
    model: str | None,
    chip: str | None,
    target: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Simulate a model on a wafer or on GPUs: time to first token, rate, energy.

    All figures are simulated, of the chip alone: no queue, and no network unless --transport adds
    one. Chips and models are the data files of the package (`wse3`, `h100`; `gpt-oss-120b`,
    `llama-3.1-8b` ...), TOML files of your own in the same form, or for a model the config.json
    that its makers publish or a GGUF file, of which only the header is read.
    """
    if ctx.invoked_subcommand is not None:
        _only_its_own(ctx)
        return 0
    from sparkcode.cli.sim_plot import check_target, plot
    from sparkcode.wafer.chip import DEFAULT_CHIP, WaferChip, load_chip
    from sparkcode.wafer.network import TRANSPORTS
    from sparkcode.wafer.simulate import Turn, by_events, simulate

    if target is not None:
        check_target(target)
    on, shape = load_chip(chip or DEFAULT_CHIP), shape_of(model)
    turn = Turn(given["context"], given["output"], given["cached"])
    transport = TRANSPORTS[given["transport"]]
    found = simulate(on, shape, turn, users=given["users"], transport=transport)
    if target is not None:
        plot(target, on, shape, turn, given["users"])
    followed: float | None = None
    if given["events"]:
        if not isinstance(on, WaferChip):
            raise UsageError(f"--events follows tokens through a wafer; {on.name!r} is none")
        followed = by_events(on, shape, found)
    if as_json:
        told = {} if followed is None else {"events": {"tpot": followed}}
        click.echo(json.dumps(facts(found) | told))
    else:
        click.echo("\n".join(table(found, followed)))
    return 0


def _only_its_own(ctx: click.Context) -> None:
    """UsageError for options before a subcommand: it would not see them."""
    given = [
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        name = ctx.invoked_subcommand
        raise UsageError(f"options stand behind `sim {name}`, not before {name!r}")


sim.add_command(validate)
sim.add_command(fleet)
sim.add_command(chips)
sim.add_command(models)


def facts(found: Simulation) -> dict[str, Any]:
    """Seconds, tokens a second, joules and tokens, under the names of the JSON contract."""
    return {
        "model": found.model,
        "chip": found.chip,
        "wafers": found.devices if found.region_side else 0,
        "devices": found.devices,
        "layers_per_device": found.layers_per_device,
        "region_side": found.region_side,
        "users": found.users,
        "context": found.turn.prompt,
        "cached": found.turn.cached,
        "output": found.turn.output,
        "ttft": found.ttft,
        "tpot": found.tpot,
        "tokens_per_second": found.tokens_per_second,
        "total_tokens_per_second": found.total_tokens_per_second,
        "answer_seconds": found.answer_seconds,
        "joules_per_token": found.joules_per_token,
        "max_context": found.max_context,
        "knee": found.knee,
        "drafted": found.drafted,
        "accepted": found.accepted,
        "breakdown": dict(found.breakdown),
    }


def table(found: Simulation, followed: float | None = None) -> Iterator[str]:
    """For people: the figures, and a bar for each cause of a token's time. ``followed`` is the
    time between two tokens by the event simulation."""
    yield f"{found.model} on {found.chip}, simulated: {_laid_out(found)}"
    cached = f", {found.turn.cached:,} cached" if found.turn.cached else ""
    prompt = f"prompt of {found.turn.prompt:,} tokens{cached}"
    yield f"{'to first token':<22}{_time(found.ttft):>11}   {prompt}"
    rate = f"{found.tokens_per_second:,.0f} tok/s for each user"
    yield f"{'each further token':<22}{_time(found.tpot):>11}   {rate}"
    if followed is not None:
        off = 100 * (found.tpot / followed - 1)
        yield f"{'  by events':<22}{_time(followed):>11}   the formula is off by {off:+.1f} %"
    if found.drafted:
        burst = f"{found.drafted} drafted, {found.accepted:.1f} accepted, seen together"
        yield f"{'each round':<22}{_time(found.tpot * found.accepted):>11}   {burst}"
    whole = f"{found.turn.output:,} tokens"
    yield f"{'whole answer':<22}{_time(found.answer_seconds):>11}   {whole}"
    yield f"{'energy a token':<22}{found.joules_per_token:>9.2f} J   rated power, all devices"
    total = f"{found.total_tokens_per_second:,.0f} tok/s"
    copies = " on one copy of the model" if found.users > 1 else ""
    knee = f", nobody waits up to {found.knee:,.0f}" if found.region_side else ""
    yield f"{'users':<22}{found.users:>11,}   {total} together{copies}{knee}"
    yield f"{'longest context':<22}{found.max_context:>11,}   tokens for each user"
    yield ""
    longest = max(found.breakdown.values())
    for cause, seconds in found.breakdown.items():
        bar = "█" * round(BAR * seconds / longest)
        share = f"{100 * seconds / found.tpot:.0f} %"
        yield f"  {cause.replace('_', ' '):<14}{_time(seconds):>11} {share:>5}  {bar}".rstrip()


def _laid_out(found: Simulation) -> str:
    if not found.region_side:
        return f"{found.devices} device{'s' * (found.devices > 1)}"
    wafers = f"{found.devices} wafer{'s' * (found.devices > 1)}"
    side = found.region_side
    return (
        f"{wafers}, up to {found.layers_per_device} layers on each, {side} x {side} cores a layer"
    )


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
