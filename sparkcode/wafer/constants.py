"""The constants that are fitted to published measurements, all of them, in one file.

``constants.toml`` is written by ``scripts/calibrate`` from the published rows that it names, and by
nothing else. Chips refer to a constant by its name (:mod:`sparkcode.wafer.chip`), so that one
number serves every chip of a kind, and each rests on rows of several models. What is assumed and
not fitted stands where it is used, with its source: of that, the worth of a draft
(:mod:`sparkcode.wafer.drafting`) weighs most.

What each stands for is said here; how it enters a prediction, where it is used:
:mod:`~sparkcode.wafer.waferllm` (a bare grid of cores), :mod:`~sparkcode.wafer.cost` (a wafer as a
service runs it), :mod:`~sparkcode.wafer.gpu`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Final

from sparkcode.wafer.quantity import UNITS, Quantity, quantities

FILE: Final = "constants.toml"

Cycles = Annotated[float, Quantity("cycles", 0.0, 1e9)]
Share = Annotated[float, Quantity("fraction", 0.01, 1.0)]
Time = Annotated[float, Quantity("time", 0.0, 0.01)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Base units throughout."""

    hop_cycles: Annotated[float, Quantity("cycles per hop", 0.0, 1e3)]
    """One link between neighbouring cores; the hardware's own is 1."""
    stage_cycles: Annotated[float, Quantity("cycles per stage", 0.0, 1e5)]
    """One software routing stage of a reduction."""
    row_cycles: Annotated[float, Quantity("cycles per row", 0.0, 1e5)]
    """One row of a matrix-vector product: one vector instruction over a core's outputs."""
    mac_cycles: Annotated[float, Quantity("cycles per multiply-add", 0.0, 1e3)]
    """One multiply-add of a matrix product within a core."""
    inner_cycles: Annotated[float, Quantity("cycles per iteration", 0.0, 1e5)]
    """One iteration along the inner dimension of such a product."""
    reshuffle_bandwidth: Annotated[float, Quantity("bandwidth", 1e8, 1e15)]
    """At which the KV cache moves from the prefill's layout to that of decoding."""
    layer_buffer_bytes: Annotated[float, Quantity("bytes", 0.0, 1e6)]
    """Of a core's memory, what each layer placed on it keeps for itself beside weights and KV."""
    kernel_factor: Annotated[float, Quantity("fraction", 0.01, 100.0)]
    """Time of a service's kernels against those that the cycle counts were measured with."""
    prompt_cycles: Cycles
    """Between two prompt tokens that follow each other through the layers."""
    draft_cycles: Cycles
    """A draft model's time for one token."""
    observed_share: Share
    """Share of the advertised pace that users' own measurements, and a service's first kernels,
    reached."""
    bandwidth_efficiency: Share
    """Share of a GPU's memory bandwidth that reading weights reaches."""
    overlap_loss: Share
    """Share of the shorter of memory and arithmetic time that does not hide under the longer."""
    compute_efficiency: Share
    """Share of a GPU's peak arithmetic at 16 bits."""
    compute_efficiency_8bit: Share
    quantised_efficiency: Share
    """Further factor on bandwidth where weights are widened before they are multiplied."""
    expert_efficiency: Share
    """Further factor where weights are chosen by a router."""
    all_reduce_latency: Time
    """Of an all-reduce within a node, beside its launch."""
    node_latency: Time
    """Added where it crosses nodes."""
    link_efficiency: Share
    compiled_kernel: Time
    """A kernel's launch and drain in a stack that compiles the whole step."""
    graph_kernel: Time
    """... that replays captured graphs."""
    eager_kernel: Time
    """... that launches each kernel by itself."""
    reread_share: Share
    """Share of the cache reads that an attention kernel repeats for each query head of a group."""
    lpu_kernel: Time
    """An operator's time on a Groq LPU, whose weights never leave SRAM."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """One constant as its file states it: base units, and the rows that it was fitted to."""

    name: str
    value: float
    unit: str
    rows: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"scripts/calibrate: fitted to {len(self.rows)} published rows"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What ``scripts/calibrate`` found."""

    constants: Constants
    fitted: Mapping[str, Fitted]
    left_out: Mapping[str, float]
    """By class: mean absolute relative error on models that the constants were not fitted to."""


def load_calibration() -> Calibration:
    """The shipped constants. Raises ``ConfigError`` if their file was tampered with."""
    text = files("sparkcode.wafer").joinpath(FILE).read_text(encoding="utf-8")
    return parse_calibration(tomllib.loads(text))


def parse_calibration(table: Mapping[str, Any]) -> Calibration:
    found: dict[str, Fitted] = {}
    for name, quantity in quantities(Constants).items():
        entry = table["constants"][name]
        scale = quantity.units[entry["unit"]]
        value = quantity.check(entry["value"], where=f"{FILE}: {name}", scale=scale)
        base = next(iter(UNITS[quantity.dimension]))
        found[name] = Fitted(name, value, base, tuple(entry["rows"]))
    constants = Constants(**{name: item.value for name, item in found.items()})
    return Calibration(constants, found, dict(table["leave_one_model_out"]))
