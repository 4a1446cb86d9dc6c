"""``sparkcode sim chips``: what is known of each chip, and where from."""

from __future__ import annotations

import json

import click

from sparkcode.cli.shapes import shape_of


@click.command("chips")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def chips(*, name: str | None, as_json: bool) -> int:
    """List the chips, or every number of one with its unit, standing and source."""
    from sparkcode.wafer.chip import chip_constants, chip_names, load_chip

    if name is None:
        known = {each: load_chip(each).description for each in chip_names()}
        lines = [f"{each:<12} {described}" for each, described in known.items()]
        click.echo(json.dumps(known) if as_json else "\n".join(lines))
        return 0
    chip, numbers = load_chip(name), chip_constants(name)
    if as_json:
        facts = {
            each.name: {
                "value": each.value,
                "unit": each.unit,
                "kind": each.kind,
                "source": each.source,
            }
            for each in numbers
        }
        click.echo(json.dumps({"name": chip.name, "description": chip.description, **facts}))
        return 0
    click.echo(f"{chip.name}: {chip.description}")
    for each in numbers:
        value = f"{each.value:.4g} {each.unit}".removesuffix(" 1")
        click.echo(f"  {each.name:<24} {value:>18}  {each.kind:<9} {each.source}")
    return 0


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def models(*, as_json: bool) -> int:
    """List the model shapes, with their parameters and where their sizes are from."""
    from sparkcode.wafer.shape import shape_names

    known = [shape_of(name) for name in shape_names()]
    if as_json:
        facts = {
            each.name: {
                "parameters": each.total_parameters,
                "active_parameters": each.active_parameters,
                "weight_bytes": each.weight_bytes,
                "context_length": each.context_length,
                "source": each.source,
            }
            for each in known
        }
        click.echo(json.dumps(facts))
        return 0
    for each in known:
        total, active = each.total_parameters / 1e9, each.active_parameters / 1e9
        click.echo(f"{each.name:<22} {total:>8,.1f} B {active:>8,.1f} B active  {each.source}")
    return 0
