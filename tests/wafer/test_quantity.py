from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from sparkcode.errors import ConfigError
from sparkcode.wafer.quantity import Quantity, check_keys, quantities

CLOCK = Quantity("frequency", 1e6, 1e10)
CORES = Quantity("cores", 1, 1000, whole=True)


@dataclass
class Sample:
    name: str
    clock: Annotated[float, "first", CLOCK]
    cores: Annotated[int, CORES]


def test_scales_to_base_units() -> None:
    assert CLOCK.check(1.5, where="f", scale=CLOCK.units["GHz"]) == 1.5e9


def test_whole_quantity_is_an_int() -> None:
    value = CORES.check(12.0, where="f")
    assert value == 12
    assert isinstance(value, int)


@pytest.mark.parametrize(
    ("quantity", "value", "problem"),
    [
        (CLOCK, "fast", "'fast' is no number; expected a number from 1e\\+06 to 1e\\+10 Hz"),
        (CLOCK, True, "True is no number"),
        (CLOCK, float("nan"), "nan is impossible"),
        (CLOCK, float("inf"), "inf is impossible"),
        (CLOCK, -1.0, "-1.0 is impossible"),
        (CORES, 2.5, "2.5 is a fraction; expected a whole number from 1 to 1000 cores"),
    ],
)
def test_refuses_what_cannot_be(quantity: Quantity, value: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"^a\.toml: key: {problem}"):
        quantity.check(value, where="a.toml: key")


def test_finds_annotated_fields_only() -> None:
    assert quantities(Sample) == {"clock": CLOCK, "cores": CORES}


def test_keys() -> None:
    check_keys({"a"}, known={"a", "b"}, required={"a"}, where="f")
    with pytest.raises(ConfigError, match="f: unknown key 'c'; expected one of: a, b"):
        check_keys({"a", "c"}, known={"a", "b"}, required={"a"}, where="f")
    with pytest.raises(ConfigError, match="f: missing key 'a'"):
        check_keys({"b"}, known={"a", "b"}, required={"a"}, where="f")


@pytest.mark.parametrize("digits", [100, 400, 4000])
def test_an_integer_of_any_length_is_refused(digits: int) -> None:
    with pytest.raises(ConfigError, match=f"a number of {digits} digits; expected"):
        Quantity("time", 0.0, 1.0).check(10 ** (digits - 1), where="x.toml: clock")
