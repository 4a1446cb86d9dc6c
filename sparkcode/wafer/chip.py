"""Chips: what the hardware gives, and the few constants fitted to measurements of it.

A chip is a data file, ``chips/NAME.toml``. Every number in it is a table that carries its unit, its
source and its standing, so that a prediction can be traced to what it rests on::

    [clock]
    value = 1.1
    unit = "GHz"
    source = "where this is stated or how it was found"
    kind = "hardware"    # a fact of the device; or "assumed"; or "fitted" to measurements of it

What is fitted to published measurements of many devices stands in one place
(:mod:`sparkcode.wafer.constants`), and a chip names it::

    [row_cycles]
    constant = "row_cycles"

Two kinds exist. A **wafer** holds weights and KV cache in SRAM beside the cores; its time goes into
moving vectors across the mesh and issuing instructions. A **GPU** streams weights from memory; its
time goes into bandwidth, launches and, over several devices, all-reduces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from sparkcode.errors import ConfigError
from sparkcode.wafer.catalogue import DataFile, names, read
from sparkcode.wafer.constants import Calibration, load_calibration
from sparkcode.wafer.quantity import Quantity, check_keys, quantities

DEFAULT_CHIP: Final = "wse3"

Standing = Literal["hardware", "fitted", "assumed"]

_STANDINGS: Final = ("hardware", "fitted", "assumed")
_ENTRY_KEYS: Final = frozenset({"value", "unit", "source", "kind"})
_CONSTANT: Final = "constant"
"""The one key of an entry that names a fitted constant."""

Fraction = Annotated[float, Quantity("fraction", 0.01, 1.0)]
Seconds = Annotated[float, Quantity("time", 0.0, 1.0)]
Bytes = Annotated[float, Quantity("bytes", 1e6, 1e15)]
Watts = Annotated[float, Quantity("power", 1.0, 1e6)]
Hertz = Annotated[float, Quantity("frequency", 1e6, 1e11)]
BytesPerSecond = Annotated[float, Quantity("bandwidth", 1e8, 1e17)]
FlopsPerSecond = Annotated[float, Quantity("arithmetic", 1e9, 1e19)]
Cores = Annotated[int, Quantity("cores", 1, 1e8, whole=True)]
Devices = Annotated[int, Quantity("devices", 1, 65_536, whole=True)]
Cycles = Annotated[float, Quantity("cycles", 0.0, 1e9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaferChip:
    """One wafer and the system around it. Base units throughout."""

    name: str
    description: str
    cores: Cores
    """Cores enabled on one wafer."""
    max_region_side: Cores
    """Longest side, in cores, of a square region that the compiler will place."""
    clock: Hertz
    sram_bytes: Bytes
    """Per wafer; weights and KV cache live here and nowhere else."""
    core_sram_bytes: Annotated[float, Quantity("bytes", 1e3, 1e8)]
    memory_bandwidth: BytesPerSecond
    """Of all cores' SRAM together."""
    peak_flops: FlopsPerSecond
    """Dense, 16 bits, of all cores together."""
    usable_sram: Fraction
    """Share of SRAM that weights and KV cache can fill."""
    region_fill: Fraction
    """Share of the cores that the regions of a wafer's layers cover."""
    dispatch_side: Cores
    """Side of the group of cores that routes tokens to experts and combines their answers."""
    hop_cycles: Annotated[float, Quantity("cycles per hop", 0.0, 1e3)]
    stage_cycles: Annotated[float, Quantity("cycles per stage", 0.0, 1e5)]
    """One software routing stage of a reduction."""
    row_cycles: Annotated[float, Quantity("cycles per row", 0.0, 1e5)]
    """One row of a matrix-vector product: one vector instruction over a core's outputs."""
    kernel_factor: Annotated[float, Quantity("fraction", 0.01, 100.0)]
    """Time of this system's kernels against those that the cycle counts were fitted to."""
    wafer_hop: Seconds
    """From one wafer to the next."""
    prompt_cycles: Annotated[float, Quantity("cycles", 1.0, 1e9)]
    """Per prompt token after the first, at an empty context."""
    draft_cycles: Cycles
    """Per token of a draft model."""
    power: Watts
    """Rated, per wafer's system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuChip:
    """One GPU, the link to its neighbours, and how software drives it. Base units throughout."""

    name: str
    description: str
    memory_bytes: Bytes
    usable_memory: Fraction
    """Share of memory that weights and KV cache can fill."""
    memory_bandwidth: BytesPerSecond
    peak_flops: FlopsPerSecond
    """Dense, 16 bits: quantised weights are widened before they are multiplied."""
    peak_flops_8bit: FlopsPerSecond
    """Dense, 8 bits; that of 16 bits where the device has no faster arithmetic."""
    link_bandwidth: BytesPerSecond
    """Per direction, between devices of one node."""
    max_devices: Devices
    """Devices of one node, the largest tensor-parallel group."""
    bandwidth_efficiency: Fraction
    quantised_efficiency: Fraction
    """Further factor where weights are widened before they are multiplied."""
    expert_efficiency: Fraction
    """Further factor where weights are chosen by a router."""
    compute_efficiency: Fraction
    compute_efficiency_8bit: Fraction
    link_efficiency: Fraction
    overlap_loss: Fraction
    """Share of the shorter of memory and arithmetic time that is not hidden under the longer."""
    kernel_seconds: Seconds
    """Launch and drain of one kernel, or of one all-reduce, as the serving software drives it."""
    reread_share: Annotated[float, Quantity("fraction", 0.0, 1.0)]
    """Share of the cache reads that attention repeats for each query head of a group."""
    all_reduce_latency: Seconds
    node_latency: Seconds
    """Added to an all-reduce that crosses nodes."""
    power: Watts


Chip = WaferChip | GpuChip

_ChipT = TypeVar("_ChipT", WaferChip, GpuChip)


@dataclass(frozen=True, slots=True)
class Constant:
    """One number of a chip's file, in base units, with what it rests on."""

    name: str
    value: float
    unit: str
    source: str
    kind: Standing


def chip_names(folder: Path | None = None) -> list[str]:
    """Names that ``load_chip`` knows, sorted; ``folder`` adds the user's own."""
    return names("chips", folder)


def load_chip(name: str, folder: Path | None = None) -> Chip:
    """The chip called ``name``, or described by the .toml file at that path.

    Raises ``UsageError`` for an unknown name, listing those that exist, and ``ConfigError`` for a
    file with an unknown or missing key, a wrong unit or an impossible value.
    """
    return build_chip(read("chips", name, folder), load_calibration())


def build_chip(data: DataFile, calibration: Calibration) -> Chip:
    """As ``load_chip``, from a file already read and with the constants given."""
    if _kind(data) is WaferChip:
        return _build(WaferChip, data, calibration)
    return _build(GpuChip, data, calibration)


def chip_constants(name: str, folder: Path | None = None) -> tuple[Constant, ...]:
    """Every number of a chip's file with its source, in the order of the class's fields."""
    data = read("chips", name, folder)
    return _constants(_kind(data), data, load_calibration())


def _kind(data: DataFile) -> type[WaferChip] | type[GpuChip]:
    match data.table.get("kind"):
        case "wafer":
            return WaferChip
        case "gpu":
            return GpuChip
        case other:
            raise ConfigError(f"{data.where}: kind {other!r}; expected 'wafer' or 'gpu'")


def _build(cls: type[_ChipT], data: DataFile, calibration: Calibration) -> _ChipT:
    found = _constants(cls, data, calibration)
    numbers: dict[str, Any] = {item.name: item.value for item in found}
    description = _text(data.table, "description", data.where)
    return cls(name=data.name, description=description, **numbers)


def _constants(
    cls: type[WaferChip] | type[GpuChip], data: DataFile, calibration: Calibration
) -> tuple[Constant, ...]:
    expected = quantities(cls)
    keys = {"kind", "description", *expected}
    check_keys(set(data.table), known=keys, required=keys, where=data.where)
    return tuple(
        _constant(name, data.table[name], quantity, calibration, where=f"{data.where}: {name}")
        for name, quantity in expected.items()
    )


def _constant(
    name: str, entry: object, quantity: Quantity, calibration: Calibration, *, where: str
) -> Constant:
    listed = " or ".join(repr(unit) for unit in quantity.units)
    if isinstance(entry, dict) and _CONSTANT in entry:
        return _named(name, entry, quantity, calibration, where)
    if not isinstance(entry, dict):
        raise ConfigError(
            f"{where}: {entry!r} is no table; expected value, unit (here {listed}), source and kind"
        )
    check_keys(set(entry), known=set(_ENTRY_KEYS), required=set(_ENTRY_KEYS), where=where)
    unit = entry["unit"]
    if not isinstance(unit, str) or unit not in quantity.units:
        raise ConfigError(f"{where}: unit {unit!r}; expected {listed}")
    standing = entry["kind"]
    if standing not in _STANDINGS:
        raise ConfigError(f"{where}: kind {standing!r}; expected one of: {', '.join(_STANDINGS)}")
    return Constant(
        name=name,
        value=quantity.check(entry["value"], where=where, scale=quantity.units[unit]),
        unit=next(iter(quantity.units)),
        source=_text(entry, "source", where),
        kind=cast("Standing", standing),
    )


def _named(
    name: str, entry: Mapping[str, object], quantity: Quantity, calibration: Calibration, where: str
) -> Constant:
    """A fitted constant under the name that the chip gives it."""
    check_keys(set(entry), known={_CONSTANT}, required={_CONSTANT}, where=where)
    fitting = [known for known, item in calibration.fitted.items() if item.unit in quantity.units]
    chosen = entry[_CONSTANT]
    if chosen not in fitting:
        listed = ", ".join(fitting)
        raise ConfigError(f"{where}: constant {chosen!r}; expected one of: {listed}")
    found = calibration.fitted[chosen]
    value = quantity.check(found.value, where=where)
    return Constant(name, value, found.unit, found.source, "fitted")


def _text(table: Mapping[str, object], key: str, where: str) -> str:
    text = table[key]
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{where}: {key} {text!r}; expected a line of text")
    return text
