"""Physical quantities: the dimension and the possible range of a number in a data file.

A field of a chip or a shape says what it is in its annotation, ``Annotated[float, Quantity(...)]``,
so that one declaration serves the type checker, the reader of the class and the file's check.
Everything is held in base units (seconds, bytes, hertz, watts); files may use the usual multiples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, get_args, get_origin, get_type_hints

from sparkcode.errors import ConfigError

UNITS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
        "frequency": {"Hz": 1.0, "MHz": 1e6, "GHz": 1e9},
        "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
        "bandwidth": {"B/s": 1.0, "GB/s": 1e9, "TB/s": 1e12, "PB/s": 1e15},
        "arithmetic": {"FLOP/s": 1.0, "TFLOP/s": 1e12, "PFLOP/s": 1e15},
        "power": {"W": 1.0, "kW": 1e3},
        "fraction": {"1": 1.0},
        "cores": {"cores": 1.0},
        "devices": {"devices": 1.0},
        "layers": {"layers": 1.0},
        "experts": {"experts": 1.0},
        "tokens": {"tokens": 1.0},
        "elements": {"elements": 1.0},
        "bits": {"bits": 1.0},
        "bytes per parameter": {"B/parameter": 1.0},
        "bytes per element": {"B/element": 1.0},
        "cycles per hop": {"cycles/hop": 1.0},
        "cycles per stage": {"cycles/stage": 1.0},
        "cycles per row": {"cycles/row": 1.0},
        "cycles": {"cycles": 1.0, "kcycles": 1e3},
        "cycles per multiply-add": {"cycles/MAC": 1.0},
        "cycles per iteration": {"cycles/iteration": 1.0},
    }
)
"""Base units per written unit, by dimension. The first unit of a dimension is its base."""


LARGEST: Final = 1e60
"""No quantity of any unit comes near."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A dimension of ``UNITS`` and the closed range, in base units, outside which no value makes
    sense. ``whole`` quantities are counts."""

    dimension: str
    low: float
    high: float
    whole: bool = False

    @property
    def units(self) -> Mapping[str, float]:
        return UNITS[self.dimension]

    def check(self, value: object, *, where: str, scale: float = 1.0) -> float:
        """``value`` times ``scale`` in base units.

        Raises ``ConfigError`` unless it is a number in range, whole where it has to be. ``where``
        names the file and the key.
        """
        base = next(iter(self.units))
        wanted = (
            f"expected {'a whole number' if self.whole else 'a number'} "
            f"from {self.low:g} to {self.high:g} {base}"
        )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}: {value!r} is no number; {wanted}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ConfigError(f"{where}: a number of {len(str(value))} digits; {wanted}")
        scaled = value * scale
        if not self.low <= scaled <= self.high:
            raise ConfigError(f"{where}: {value!r} is impossible; {wanted}")
        if not self.whole:
            return float(scaled)
        if scaled != int(scaled):
            raise ConfigError(f"{where}: {value!r} is a fraction; {wanted}")
        return int(scaled)


def quantities(cls: type) -> dict[str, Quantity]:
    """The fields of ``cls`` that are annotated with a :class:`Quantity`, in order."""
    found = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if get_origin(hint) is Annotated:
            found[name] = next(item for item in get_args(hint) if isinstance(item, Quantity))
    return found


def check_keys(given: set[str], *, known: set[str], required: set[str], where: str) -> None:
    """Raise ``ConfigError`` for a key that is not known, or a required one that is absent."""
    if unknown := given - known:
        listed = ", ".join(sorted(known))
        raise ConfigError(f"{where}: unknown key {min(unknown)!r}; expected one of: {listed}")
    if missing := required - given:
        raise ConfigError(f"{where}: missing key {min(missing)!r}; add it")
