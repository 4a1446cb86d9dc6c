"""The script that fits the constants. All of them are fitted anew with every run of all tests."""

from __future__ import annotations

import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from sparkcode.wafer.constants import load_calibration, parse_calibration
from sparkcode.wafer.prediction import hardware
from sparkcode.wafer.published import development_rows
from sparkcode.wafer.shape import shape_names

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate"
QUICK = ("wse2_decode", "wse2_prefill", "wse2_e2e", "wse2_kv")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("calibrate", str(SCRIPT))
    spec = spec_from_loader("calibrate", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["calibrate"] = module  # Its dataclasses look themselves up.
    loader.exec_module(module)
    return module


def test_the_same_rows_give_the_same_constants(script: ModuleType) -> None:
    rows = [row for row in script.usable(development_rows()) if row.klass in QUICK]
    known = hardware(script.seed(), shape_names())
    first, second = (script.fit(rows, known, {}) for _ in range(2))
    assert first == second
    shipped = load_calibration().fitted
    assert set(first) < set(shipped)
    for name, value in first.items():
        assert f"{value:.4g}" == f"{shipped[name].value:.4g}"


def test_what_it_writes_can_be_read(script: ModuleType) -> None:
    found = {name: item.value for name, item in load_calibration().fitted.items()}
    rows = script.usable(development_rows())
    text = "\n".join(script.document(found, {"wse2_decode": 0.0123}, rows)) + "\n"
    again = parse_calibration(tomllib.loads(text))
    assert again.constants == load_calibration().constants
    assert {name: item.rows for name, item in again.fitted.items()} == {
        name: item.rows for name, item in load_calibration().fitted.items()
    }
    assert again.left_out == {"wse2_decode": 0.012}


def test_a_constant_that_moved_is_told(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {name: item.value for name, item in load_calibration().fitted.items()}
    assert script.check(found) == 0
    assert script.check({**found, "hop_cycles": 2.0}) == 1
    assert "hop_cycles: 0.9648 in the file, 2 fitted" in capsys.readouterr().out
