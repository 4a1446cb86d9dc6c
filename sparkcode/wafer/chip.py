"""Chips: what the hardware gives, and the few constants fitted to measurements of it.

A chip is a data file, ``chips/NAME.toml``. Every number in it is a table that carries its unit, its
source and its standing, so that a prediction can be traced to what it rests on::

    [clock]
    value = 1.1
    unit = "GHz"
    source = "where this is stated or how it was found"
    kind = "hardware"    # a fact of the device; or "fitted" to measurements, or "assumed"

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
from sparkcode.wafer.quantity import Quantity, check_keys, quantities

DEFAULT_CHIP: Final = "wse3"

Standing = Literal["hardware", "fitted", "assumed"]

_STANDINGS: Final = ("hardware", "fitted", "assumed")
_ENTRY_KEYS: Final = frozenset({"value", "unit", "source", "kind"})

Fraction = Annotated[float, Quantity("fraction", 0.01, 1.0)]
Seconds = Annotated[float, Quantity("time", 0.0, 1.0)]
Bytes = Annotated[float, Quantity("bytes", 1e6, 1e15)]
Watts = Annotated[float, Quantity("power", 1.0, 1e6)]
Hertz = Annotated[float, Quantity("frequency", 1e6, 1e11)]
BytesPerSecond = Annotated[float, Quantity("bandwidth", 1e8, 1e17)]
FlopsPerSecond = Annotated[float, Quantity("arithmetic", 1e9, 1e19)]
Cores = Annotated[int, Quantity("cores", 1, 1e8, whole=True)]
Devices = Annotated[int, Quantity("devices", 1, 1024, whole=True)]
Tokens = Annotated[int, Quantity("tokens", 1, 65_536, whole=True)]
TokensPerStep = Annotated[float, Quantity("tokens per step", 1.0, 64.0)]


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
    usable_sram: Fraction
    """Share of SRAM that weights and KV cache can fill."""
    region_fill: Fraction
    """Share of the cores that the regions of a wafer's layers cover."""
    expert_fill: Fraction
    """Share of a region that its experts' sub-grids cover."""
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
    prompt_fill: Seconds
    """Until the first prompt token has filled the pipeline."""
    prompt_stage: Seconds
    """Per further prompt token, at an empty context."""
    accepted_per_step: TokensPerStep
    """Tokens a step yields for a model served with speculative decoding."""
    power: Watts
    """Rated, per wafer's system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuChip:
    """One GPU and the link to its neighbours. Base units throughout."""

    name: str
    description: str
    memory_bytes: Bytes
    usable_memory: Fraction
    """Share of memory that weights and KV cache can fill."""
    memory_bandwidth: BytesPerSecond
    peak_flops: FlopsPerSecond
    """Dense, 16 bits: quantised weights are widened before they are multiplied."""
    link_bandwidth: BytesPerSecond
    """Per direction, between devices of one node."""
    max_devices: Devices
    """Devices of one node, the largest tensor-parallel group."""
    bandwidth_efficiency: Fraction
    quantised_efficiency: Fraction
    """Further factor where weights take less than 2 bytes per parameter."""
    expert_efficiency: Fraction
    """Further factor where weights are chosen by a router."""
    kv_efficiency: Fraction
    compute_efficiency: Fraction
    link_efficiency: Fraction
    overlap_loss: Fraction
    """Share of the shorter of memory and arithmetic time that is not hidden under the longer."""
    layer_overhead: Seconds
    """Launches and small operators of one layer."""
    hidden_overhead: Fraction
    """Share of it that remains when a pass carries many tokens."""
    few_tokens: Tokens
    """Up to here a pass hides no launches under its work."""
    all_reduce_latency: Seconds
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
    data = read("chips", name, folder)
    if _kind(data) is WaferChip:
        return _build(WaferChip, data)
    return _build(GpuChip, data)


def chip_constants(name: str, folder: Path | None = None) -> tuple[Constant, ...]:
    """Every number of a chip's file with its source, in the order of the class's fields."""
    data = read("chips", name, folder)
    return _constants(_kind(data), data)


def _kind(data: DataFile) -> type[WaferChip] | type[GpuChip]:
    match data.table.get("kind"):
        case "wafer":
            return WaferChip
        case "gpu":
            return GpuChip
        case other:
            raise ConfigError(f"{data.where}: kind {other!r}; expected 'wafer' or 'gpu'")


def _build(cls: type[_ChipT], data: DataFile) -> _ChipT:
    numbers: dict[str, Any] = {item.name: item.value for item in _constants(cls, data)}
    description = _text(data.table, "description", data.where)
    return cls(name=data.name, description=description, **numbers)


def _constants(cls: type[WaferChip] | type[GpuChip], data: DataFile) -> tuple[Constant, ...]:
    expected = quantities(cls)
    keys = {"kind", "description", *expected}
    check_keys(set(data.table), known=keys, required=keys, where=data.where)
    return tuple(
        _constant(name, data.table[name], quantity, where=f"{data.where}: {name}")
        for name, quantity in expected.items()
    )


def _constant(name: str, entry: object, quantity: Quantity, *, where: str) -> Constant:
    listed = " or ".join(repr(unit) for unit in quantity.units)
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


def _text(table: Mapping[str, object], key: str, where: str) -> str:
    text = table[key]
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{where}: {key} {text!r}; expected a line of text")
    return text
