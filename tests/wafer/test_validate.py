from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkcode.errors import UsageError
from sparkcode.wafer.constants import load_calibration
from sparkcode.wafer.prediction import hardware, predict
from sparkcode.wafer.published import Row, development_rows
from sparkcode.wafer.shape import shape_names
from sparkcode.wafer.validate import SCORED, one_sided, validate

ROWS = development_rows()
KNOWN = hardware(load_calibration(), shape_names())
REPORT = validate(ROWS, KNOWN, ROWS)


def row(row_id: str) -> Row:
    return next(each for each in ROWS if each.row_id == row_id)


def test_the_goals_hold() -> None:
    assert set(REPORT.classes) == set(SCORED)
    assert REPORT.class_mean <= 0.06
    assert REPORT.row_median <= 0.045
    assert not REPORT.violated
    assert len(REPORT.satisfied) == 4
    ours = REPORT.classes["wse3_decode"].mape
    assert min(REPORT.baselines.values()) >= 2 * ours


def test_every_row_is_scored_counted_or_said_why_not() -> None:
    counted = [*REPORT.scored, *REPORT.unscored, *REPORT.satisfied, *REPORT.violated]
    assert len(counted) + len(REPORT.skipped) == len(ROWS)
    assert all(item.row.confidence != "low" for item in REPORT.scored)
    assert dict(REPORT.skipped)["r126"] == "the sizes of 'qwen3.8-27b' are not known"
    assert dict(REPORT.skipped)["r235"] == "class 'provider' is not predicted"


def test_one_sided_figures() -> None:
    upper, lower = row("r130"), row("r128")
    assert (one_sided(upper), one_sided(lower), one_sided(row("r001"))) == (1, -1, 0)
    rows = [replace(upper, value=1.0), replace(lower, value=1.0)]
    found = validate(rows, KNOWN, ROWS)
    assert [item.row.row_id for item in found.violated] == ["r130"]
    assert [item.row.row_id for item in found.satisfied] == ["r128"]


def test_rows_of_low_confidence_do_not_count() -> None:
    doubtful = [replace(each, confidence="low") for each in ROWS]
    found = validate(doubtful, KNOWN, ROWS)
    assert not found.classes
    assert (found.class_mean, found.row_median) == (0.0, 0.0)
    assert found.baselines == {}


def test_errors_are_relative_to_what_was_published() -> None:
    published = row("r157")
    half = replace(published, value=predict(published, KNOWN) / 2)
    (score,) = validate([half], KNOWN, ROWS).classes.values()
    assert (score.n, score.mape, score.median, score.max) == (1, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("row_id", "changes", "problem"),
    [
        ("r001", {"model": "eliza"}, "the sizes of 'eliza' are not known"),
        ("r001", {"chips": "abacus"}, "no chip called 'abacus' is known"),
        ("r001", {"klass": "guesses"}, "class 'guesses' is not predicted"),
        ("r001", {"chips": "1x A100"}, "'1x A100' is no wafer"),
        ("r157", {"chips": "CS-3"}, "'CS-3' is no GPU"),
        ("r024", {"chips": "1x WSE-2"}, "names 0 square grids; 1 are needed"),
        ("r081", {"chips": "1x WSE-2"}, "names 0 square grids; 1 are needed"),
        ("r047", {"chips": "1x WSE-2 grid 660x660"}, "names 1 square grids; 2 are needed"),
        ("r047", {"output": 0}, "names no length of its answers"),
        ("r136", {"context": 0}, "names no prompt"),
        ("r179", {"context": 0}, "names no prompt"),
        ("r199", {"users": 0}, "names no batch"),
        ("r199", {"output": 0}, "names no length of its answers"),
        ("r091", {}, "prefill ratios rest on rates"),
        ("r250", {"metric": "ttft_s"}, "of an LPU only the pace"),
    ],
)
def test_what_cannot_be_predicted_says_why(
    row_id: str, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        predict(replace(row(row_id), **changes), KNOWN)


def test_a_row_without_a_grid_means_the_fastest() -> None:
    sides = [
        predict(replace(row("r001"), chips=f"1x WSE-2 grid {s}x{s}"), KNOWN) for s in (420, 540)
    ]
    assert predict(replace(row("r001"), chips="1x WSE-2"), KNOWN) == max(sides)


def test_first_kernels_and_users_measurements_fall_short() -> None:
    share = KNOWN.constants.observed_share
    launch = row("r093")
    later = predict(replace(launch, notes=""), KNOWN)
    assert predict(launch, KNOWN) == pytest.approx(share * later)
    assert predict(replace(launch, notes="", klass="wse3_decode_api"), KNOWN) == pytest.approx(
        share * later
    )


def test_drafts_of_published_rows() -> None:
    told = row("r230")
    none = predict(replace(told, notes=""), KNOWN)
    assert predict(told, KNOWN) > 1.5 * none
    small = row("r170")
    assert predict(small, KNOWN) > predict(replace(small, notes=""), KNOWN)
    eagle = row("r234")
    assert predict(eagle, KNOWN) > predict(replace(eagle, notes=""), KNOWN)


def test_an_odd_note_is_no_accident() -> None:
    told = row("r228")
    assert predict(replace(told, notes="MTP1, length 0"), KNOWN) > 0
    assert predict(replace(told, notes="MTP" + "9" * 400 + " length 2"), KNOWN) > 0
