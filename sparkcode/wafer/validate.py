"""How far the timing model's predictions are from published figures. Pure.

Scored are the classes of rows that state a measurement of a known system with a known model, and
rows of at least medium confidence. One-sided figures ("up to", "more than") are satisfied or
violated. The rest is counted, with the reason why it cannot be predicted.

Three baselines stand beside the model where published figures of one service span many models: the
same rate for all, a rate per layer, and a power law in the active parameters, each fitted to the
development rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean, median
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.prediction import Hardware, predict
from sparkcode.wafer.published import Row

SCORED: Final = (
    "wse2_decode",
    "wse2_prefill",
    "wse2_e2e",
    "wse2_kv",
    "energy",
    "wse3_decode",
    "wse3_decode_api",
    "wse3_prompt_time",
    "gpu_decode_gptfast",
    "gpu_decode_gptfast_q",
    "gpu_decode_gptfast_moe",
    "gpu_decode_sglang",
    "gpu_ttft_trtllm",
    "gpu_batch_trtllm",
    "spec_decode",
)
BOUNDS: Final = "wse3_bound"
BASELINE_CLASS: Final = "wse3_decode"

_LOW: Final = "low"


@dataclass(frozen=True, slots=True)
class Scored:
    """A row beside its prediction, in the row's unit."""

    row: Row
    predicted: float

    @property
    def error(self) -> float:
        """Relative, signed."""
        return self.predicted / self.row.value - 1


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Absolute relative errors of one class."""

    n: int
    mape: float
    median: float
    max: float
    left_out: float | None
    """Mean error on models that the constants were not fitted to, where it was found."""


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of a table."""

    classes: Mapping[str, ClassScore]
    scored: Sequence[Scored]
    unscored: Sequence[Scored]
    """Predicted, but of low confidence or of a class that is not scored."""
    skipped: Sequence[tuple[str, str]]
    """Ids of rows without a prediction, and why."""
    satisfied: Sequence[Scored]
    violated: Sequence[Scored]
    baselines: Mapping[str, float]
    """Mean error on ``BASELINE_CLASS``, by the baseline's name; empty without such rows."""

    @property
    def class_mean(self) -> float:
        return fmean(score.mape for score in self.classes.values()) if self.classes else 0.0

    @property
    def row_median(self) -> float:
        return median(abs(item.error) for item in self.scored) if self.scored else 0.0


def one_sided(row: Row) -> int:
    """1 for a figure that no prediction may exceed, -1 for one that none may fall short of, 0 for
    any other."""
    if row.klass != BOUNDS:
        return 0
    return 1 if row.notes.startswith("upper") else -1


def validate(rows: Sequence[Row], known: Hardware, development: Sequence[Row]) -> Report:
    """``development`` are the rows that baselines are fitted to."""
    predicted, skipped = _predicted(rows, known)
    bounds = [item for item in predicted if one_sided(item.row)]
    scored = [item for item in predicted if _counts(item.row)]
    return Report(
        # Of other rows it is not known what they would be left out of.
        classes=_by_class(scored, known.calibration.left_out if rows is development else {}),
        scored=scored,
        unscored=[item for item in predicted if not (one_sided(item.row) or _counts(item.row))],
        skipped=skipped,
        satisfied=[item for item in bounds if _kept(item)],
        violated=[item for item in bounds if not _kept(item)],
        baselines=_baselines([item.row for item in scored], known, development),
    )


def _kept(item: Scored) -> bool:
    return one_sided(item.row) * item.error <= 0


def _counts(row: Row) -> bool:
    return row.klass in SCORED and row.confidence != _LOW


def _predicted(rows: Sequence[Row], known: Hardware) -> tuple[list[Scored], list[tuple[str, str]]]:
    found, skipped = [], []
    for row in rows:
        try:
            found.append(Scored(row, predict(row, known)))
        except UsageError as reason:
            skipped.append((row.row_id, str(reason)))
    return found, skipped


def _by_class(scored: Sequence[Scored], left_out: Mapping[str, float]) -> dict[str, ClassScore]:
    classes = {}
    for klass in SCORED:
        errors = [abs(item.error) for item in scored if item.row.klass == klass]
        if errors:
            classes[klass] = ClassScore(
                len(errors), fmean(errors), median(errors), max(errors), left_out.get(klass)
            )
    return classes


def _baselines(
    rows: Sequence[Row], known: Hardware, development: Sequence[Row]
) -> dict[str, float]:
    """Fitted by least squares on the logarithm."""
    judged = [row for row in rows if row.klass == BASELINE_CLASS]
    fitted_to = [
        row
        for row in development
        if row.klass == BASELINE_CLASS and _counts(row) and row.shape_name in known.shapes
    ]
    if not judged or not fitted_to:
        return {}

    def sizes(row: Row) -> float:
        return log(known.shape(row).active_parameters)

    def layers(row: Row) -> float:
        return -log(known.shape(row).num_layers)

    constant = _line(fitted_to, lambda row: 0.0, slope=0.0)
    per_layer = _line(fitted_to, layers, slope=1.0)
    power_law = _line(fitted_to, sizes, slope=None)
    return {
        "constant": _mean_error(judged, constant),
        "constant_per_layer": _mean_error(judged, per_layer),
        "power_law_active_parameters": _mean_error(judged, power_law),
    }


def _line(
    rows: Sequence[Row], position: Callable[[Row], float], slope: float | None
) -> Callable[[Row], float]:
    """``exp(a + slope * position)`` through ``rows``; ``slope`` is fitted where it is None."""
    at = [position(row) for row in rows]
    rates = [log(row.value) for row in rows]
    middle, height = fmean(at), fmean(rates)
    if slope is None:
        spread = sum((x - middle) ** 2 for x in at)
        shared = sum((x - middle) * (y - height) for x, y in zip(at, rates, strict=True))
        slope = shared / spread if spread else 0.0
    tilt = slope
    return lambda row: exp(height + tilt * (position(row) - middle))


def _mean_error(rows: Sequence[Row], predicted: Callable[[Row], float]) -> float:
    return fmean(abs(predicted(row) / row.value - 1) for row in rows)
