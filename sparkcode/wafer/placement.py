"""Placement: how many wafers a model needs, and how large a region each of its layers gets.

Weights and KV cache share the SRAM of the wafers. Streaming weights in is out of the question
(140 GB through a wafer's 150 GB/s take a second), so they are parked: each layer on a region of its
own, whole layers on a wafer, activations alone between wafers. More wafers give larger regions.

A larger region has fewer rows per core and longer reductions. Where the longer reductions outweigh
the rows, the layer is placed on fewer cores than it could have.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import WaferChip
from sparkcode.wafer.layer import layer_work
from sparkcode.wafer.shape import ModelShape

DEFAULT_CONTEXT: Final = 2048
"""Tokens of KV cache that a placement makes room for; the constants were fitted with it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model lies."""

    devices: int
    """Wafers."""
    layers_per_wafer: int
    region_side: int
    """Cores along one side of a layer's square region."""
    kv_capacity_bytes: float
    """SRAM that weights leave for KV caches, over all wafers."""
    max_context: int
    """Longest context of each stream, in tokens."""

    @property
    def wafers(self) -> int:
        return self.devices


def place(
    chip: WaferChip, shape: ModelShape, *, context: int = DEFAULT_CONTEXT, users: int = 1
) -> Placement:
    """The fewest wafers that hold the weights and ``users`` KV caches of ``context`` tokens.

    Raises ``UsageError`` if a layer would have to be cut between wafers.
    """
    usable = chip.usable_sram * chip.sram_bytes
    needed = shape.weight_bytes + users * shape.kv_bytes(context)
    wafers = max(1, ceil(needed / usable))
    if wafers > shape.num_layers:
        raise UsageError(
            f"{shape.name!r} with {users} x {context} tokens takes {needed / 1e9:,.0f} GB, more "
            f"than {shape.num_layers} of {chip.name!r} hold, one per layer; use a larger chip, "
            "fewer streams or a shorter context"
        )
    layers = ceil(shape.num_layers / wafers)
    capacity = wafers * usable - shape.weight_bytes
    return Placement(
        devices=wafers,
        layers_per_wafer=layers,
        region_side=_region_side(chip, shape, layers, context),
        kv_capacity_bytes=capacity,
        max_context=shape.context_in(capacity / users),
    )


def _region_side(chip: WaferChip, shape: ModelShape, layers: int, context: int) -> int:
    """The fastest side at ``context`` among those for which every layer finds room."""
    limit = min(chip.max_region_side, isqrt(int(chip.region_fill * chip.cores / layers)))
    if limit < 1:
        raise UsageError(
            f"{layers} layers do not fit the {chip.cores} cores of {chip.name!r}; use a larger chip"
        )
    return min(
        range(1, limit + 1),
        key=lambda side: layer_work(chip, shape, side=side, context=context).cycles(chip),
    )
