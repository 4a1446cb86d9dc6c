from __future__ import annotations

from dataclasses import fields

import pytest

from sparkcode.errors import ConfigError
from sparkcode.wafer.constants import Constants, load_calibration, parse_calibration
from sparkcode.wafer.published import development_rows
from sparkcode.wafer.validate import SCORED


def test_few_constants_each_from_rows_that_ship() -> None:
    """About 25 in all, and none that a single model's rows decide."""
    calibration = load_calibration()
    assert len(calibration.fitted) == len(fields(Constants)) <= 25
    rows = {row.row_id: row for row in development_rows()}
    for constant in calibration.fitted.values():
        models = {rows[name].shape_name for name in constant.rows}
        assert len(models) > 1, constant.name
        assert all(rows[name].confidence != "low" for name in constant.rows)


def test_every_scored_class_was_left_out_in_turn() -> None:
    left_out = load_calibration().left_out
    assert set(left_out) <= set(SCORED)
    # The energy ratios follow from rows of other classes.
    assert set(SCORED) - set(left_out) == {"energy"}


def test_an_impossible_constant_is_refused() -> None:
    table = {
        "constants": {
            "hop_cycles": {"value": -1, "unit": "cycles/hop", "rows": []},
        },
        "leave_one_model_out": {},
    }
    with pytest.raises(ConfigError, match=r"constants\.toml: hop_cycles: -1 is impossible"):
        parse_calibration(table)
