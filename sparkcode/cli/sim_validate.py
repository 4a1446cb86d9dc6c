"""``sparkcode sim validate``: the timing model beside published figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sparkcode.wafer.constants import Calibration
    from sparkcode.wafer.validate import Report, Scored

BASELINES_OF = "wse3_decode"


@click.command("validate")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Published figures.  [default: those that the constants were fitted to]",
)
@click.option("--rows", "each_row", is_flag=True, help="Every row with its prediction.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def validate(*, data: Path | None, each_row: bool, as_json: bool) -> int:
    """Hold the timing model's predictions against published figures.

    Errors are relative: by class of rows their number, mean, median and largest, and the mean on
    models that the constants were not fitted to (each model left out in turn).
    """
    from sparkcode.wafer import validate as scoring
    from sparkcode.wafer.constants import load_calibration
    from sparkcode.wafer.prediction import hardware
    from sparkcode.wafer.published import development_rows, read_rows
    from sparkcode.wafer.shape import shape_names

    calibration = load_calibration()
    development = development_rows()
    rows = development if data is None else read_rows(data)
    found = scoring.validate(rows, hardware(calibration, shape_names()), development)
    if as_json:
        click.echo(json.dumps(facts(found, calibration)))
    else:
        click.echo("\n".join([*table(found, calibration), *(_rows(found) if each_row else ())]))
    return 0


def facts(found: Report, calibration: Calibration) -> dict[str, Any]:
    """Errors are fractions: 0.05 is 5 %."""
    return {
        "classes": {
            klass: {
                "n": score.n,
                "mape": score.mape,
                "median": score.median,
                "max": score.max,
                "leave_one_model_out": score.left_out,
            }
            for klass, score in found.classes.items()
        },
        "class_mean": found.class_mean,
        "row_median": found.row_median,
        "leave_one_model_out": fmean(calibration.left_out.values()),
        "bounds": {
            "satisfied": len(found.satisfied),
            "violated": [_facts_of(item) for item in found.violated],
        },
        "baselines": dict(found.baselines),
        "constants": {
            name: {"value": item.value, "unit": item.unit, "rows": list(item.rows)}
            for name, item in calibration.fitted.items()
        },
        "rows": [_facts_of(item) for item in found.scored],
        "unscored": [_facts_of(item) for item in found.unscored],
        "skipped": [{"row_id": row_id, "reason": why} for row_id, why in found.skipped],
    }


def _facts_of(item: Scored) -> dict[str, Any]:
    return {
        "row_id": item.row.row_id,
        "klass": item.row.klass,
        "model": item.row.model,
        "published": item.row.value,
        "predicted": item.predicted,
        "error": item.error,
    }


def table(found: Report, calibration: Calibration) -> Iterator[str]:
    own = any(score.left_out is not None for score in found.classes.values())
    if found.classes:
        yield from _classes(found, own=own)
        yield ""
        summary = (
            f"mean over classes {percent(found.class_mean)}, "
            f"median over rows {percent(found.row_median)}"
        )
        left_out = percent(fmean(calibration.left_out.values()))
        yield summary + (f"; with each model left out in turn, {left_out}" if own else "")
    else:
        yield "no row can be scored"
    kept = len(found.satisfied)
    yield f"one-sided figures: {kept} of {kept + len(found.violated)} satisfied"
    for item in found.violated:
        row = item.row
        predicted = f"predicted {item.predicted:,.4g}"
        yield f"  violated: {row.row_id} {row.model}, {row.value:,g}, {predicted}"
    if found.baselines:
        listed = ", ".join(
            f"{name.replace('_', ' ')} {percent(error)}" for name, error in found.baselines.items()
        )
        yield f"baselines on {BASELINES_OF}: {listed}"
    yield f"not scored: {len(found.unscored)} of low confidence or of other classes, " + (
        f"{len(found.skipped)} that cannot be predicted (--json says why)"
    )


def _classes(found: Report, *, own: bool) -> Iterator[str]:
    last = f"{'left out':>10}" if own else ""
    yield f"{'class':<26}{'n':>4}{'mean':>9}{'median':>9}{'largest':>9}{last}"
    for klass, score in found.classes.items():
        left = f"{percent(score.left_out):>10}" if score.left_out is not None else ""
        yield (
            f"{klass:<26}{score.n:>4}{percent(score.mape):>9}{percent(score.median):>9}"
            f"{percent(score.max):>9}{left}"
        )


def _rows(found: Report) -> Iterator[str]:
    yield ""
    yield f"{'row':<7}{'class':<26}{'model':<30}{'published':>12}{'predicted':>12}{'error':>9}"
    for item in [*found.scored, *found.unscored]:
        row = item.row
        yield (
            f"{row.row_id:<7}{row.klass:<26}{row.model:<30}{row.value:>12,.5g}"
            f"{item.predicted:>12,.5g}{100 * item.error:>+8.1f}%"
        )


def percent(share: float) -> str:
    """A fraction, for people."""
    return f"{100 * share:.1f} %"
