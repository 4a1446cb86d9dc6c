from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.chip import GpuChip, WaferChip, chip_constants, chip_names, load_chip
from sparkcode.wafer.constants import load_calibration

WSE3 = files("sparkcode.wafer").joinpath("chips/wse3.toml").read_text()


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_loads_and_states_its_sources(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    for constant in chip_constants(name):
        assert getattr(chip, constant.name) == constant.value
        assert constant.kind in {"hardware", "fitted", "assumed"}
        assert constant.source


def test_units_become_base_units() -> None:
    wafer, gpu = load_chip("wse3"), load_chip("h100")
    assert isinstance(wafer, WaferChip)
    assert isinstance(gpu, GpuChip)
    assert wafer.cores == 900_000
    assert wafer.clock == pytest.approx(1.1e9)
    assert wafer.core_sram_bytes == 48_000
    assert wafer.power == 23_000
    assert gpu.memory_bandwidth == pytest.approx(3.35e12)


def test_constants_carry_unit_and_standing() -> None:
    clock = next(item for item in chip_constants("wse3") if item.name == "clock")
    assert (clock.unit, clock.kind) == ("Hz", "hardware")


def test_fitted_numbers_stand_in_one_place() -> None:
    """No chip brings one of its own: they all name a constant."""
    known = load_calibration().fitted
    for name in chip_names():
        for item in chip_constants(name):
            if item.kind == "fitted":
                assert item.source.startswith("scripts/calibrate: ")
                assert item.value in {each.value for each in known.values()}


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"unknown chip 'tpu'; expected one of: .*h100.*wse3"):
        load_chip("tpu")


def test_user_s_chip_from_folder_and_path(tmp_path: Path) -> None:
    path = tmp_path / "fast.toml"
    path.write_text(WSE3.replace("value = 1.1\n", "value = 2.2\n"))
    from_folder = load_chip("fast", tmp_path)
    assert isinstance(from_folder, WaferChip)
    assert from_folder.clock == pytest.approx(2.2e9)
    assert load_chip(str(path)) == from_folder
    assert "fast" in chip_names(tmp_path)
    assert chip_constants("fast", tmp_path)[0].name == "cores"


CLOCK = WSE3[WSE3.index("[clock]") : WSE3.index("[sram_bytes]")]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "wafer"', 'kind = "quantum"', "kind 'quantum'; expected 'wafer' or 'gpu'"),
        ('kind = "wafer"', 'kind = "gpu"', "unknown key 'clock'; expected one of: all"),
        ("[clock]", "[klock]", "unknown key 'klock'; expected one of: .*clock"),
        (CLOCK, "", "missing key 'clock'"),
        (CLOCK, '[clock]\nconstant = "hop_cycles"\n\n', "clock: constant 'hop_cycles'; expected"),
        (CLOCK, "[clock]\nconstant = 3\n\n", "clock: constant 3; expected one of"),
        (
            CLOCK,
            '[clock]\nconstant = "hop_cycles"\nvalue = 3\n\n',
            "clock: unknown key 'value'; expected one of: constant",
        ),
        (
            'constant = "hop_cycles"',
            'constant = "row_cycles"',
            "hop_cycles: constant 'row_cycles'; expected one of: hop_cycles",
        ),
        (CLOCK, "[clock]\nvalue = 1.1\n\n", "clock: missing key 'kind'"),
        (
            CLOCK,
            CLOCK.replace('unit = "GHz"\n', ""),
            "clock: missing key 'unit'",
        ),
        ('"GHz"', '"W"', "clock: unit 'W'; expected 'Hz' or 'MHz' or 'GHz'"),
        ('"GHz"', "3", "clock: unit 3; expected 'Hz' or"),
        ("value = 1.1\n", "value = 0\n", "clock: 0 is impossible; expected a number from 1e"),
        ("value = 1.1\n", 'value = "1.1"\n', "clock: '1.1' is no number"),
        (CLOCK, CLOCK + 'sure = "very"\n\n', "clock: unknown key 'sure'"),
        (CLOCK, CLOCK.replace('"hardware"', '"guess"'), "clock: kind 'guess'; expected one of"),
        (
            CLOCK,
            '[clock]\nvalue = 1.1\nunit = "GHz"\nsource = " "\nkind = "assumed"\n\n',
            "clock: source ' '; expected a line of text",
        ),
        ('description = "', 'description = 3 # "', "description 3; expected a line of text"),
    ],
)
def test_a_bad_file_names_file_key_and_cure(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in WSE3
    path = tmp_path / "bad.toml"
    path.write_text(WSE3.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"bad\.toml: {problem}"):
        load_chip(str(path))


def test_a_bare_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.toml"
    path.write_text("clock = 1.1e9\n" + WSE3.replace(CLOCK, ""))
    with pytest.raises(
        ConfigError, match=r"clock: 1100000000\.0 is no table; expected value, unit"
    ):
        load_chip(str(path))
