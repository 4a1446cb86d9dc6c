"""Placement: how many wafers a model needs, and how large a region each of its layers gets.

Weights and KV cache share the SRAM of the wafers. Streaming weights in is out of the question
(140 GB through a wafer's 150 GB/s take a second), so they are parked: each layer on a region of its
own, whole layers on a wafer, activations alone between wafers. More wafers give larger regions.

A larger region has fewer rows per core and longer reductions. Where the longer reductions outweigh
the rows, the layer is placed on fewer cores than it could have.

The kernels are compiled for the region that the weights and a short context ask for. Wafers that
longer contexts or more users add hold KV cache and cost their hops; they make no region larger, so
that more context is never faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, isqrt, sqrt
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
    streams: int
    """Users whose KV caches find room at once."""
    max_context: int
    """Longest context of each of them, in tokens."""

    @property
    def wafers(self) -> int:
        return self.devices


def place(
    chip: WaferChip, shape: ModelShape, *, context: int = DEFAULT_CONTEXT, users: int = 1
) -> Placement:
    """The fewest wafers that hold whole layers with ``users`` KV caches of ``context`` tokens, or
    with as many as a wafer for each layer holds.

    Raises ``UsageError`` if a layer would have to be cut between wafers.
    """
    fewest = _layers_per_wafer(chip, shape, context=DEFAULT_CONTEXT, users=1)
    room_for = max(context, DEFAULT_CONTEXT)
    _layers_per_wafer(chip, shape, context=room_for, users=1)
    streams = min(users, _most_users(chip, shape, room_for))
    layers = _layers_per_wafer(chip, shape, context=room_for, users=streams)
    wafers = ceil(shape.num_layers / layers)
    return Placement(
        devices=wafers,
        layers_per_wafer=layers,
        region_side=_region_side(chip, shape, fewest),
        streams=streams,
        max_context=_longest_context(chip, shape, layers, streams),
    )


def _layers_per_wafer(chip: WaferChip, shape: ModelShape, *, context: int, users: int) -> int:
    usable = chip.usable_sram * chip.sram_bytes
    needed = shape.weight_bytes + users * shape.kv_bytes(context)
    layers = floor(usable / needed * shape.num_layers)
    if layers < 1:
        raise UsageError(
            f"{shape.name!r} with {users} x {context} tokens takes {needed / 1e9:,.0f} GB, more "
            f"than {shape.num_layers} of {chip.name!r} hold, one per layer; use a larger chip, "
            "fewer streams or a shorter context"
        )
    # Spread evenly over the wafers that it takes.
    return ceil(shape.num_layers / ceil(shape.num_layers / layers))


def _most_users(chip: WaferChip, shape: ModelShape, context: int) -> int:
    """With a wafer for each layer; at least 1."""
    usable = chip.usable_sram * chip.sram_bytes * shape.num_layers
    # A hair less, so that what is counted here fits there, whatever the rounding.
    room = (usable - shape.weight_bytes) * (1 - 1e-9)
    return max(1, floor(room / shape.kv_bytes(context)))


def _longest_context(chip: WaferChip, shape: ModelShape, layers: int, users: int) -> int:
    """What the fullest wafer's SRAM leaves, for each user."""
    usable = chip.usable_sram * chip.sram_bytes * shape.num_layers / layers
    return shape.context_in((usable - shape.weight_bytes) / users)


def _region_side(chip: WaferChip, shape: ModelShape, layers: int) -> int:
    """The fastest side at a short context among those that hold a layer's weights and for which
    every layer finds room.

    Downward from the largest: once the rows alone, without their padding, take longer than the best
    so far, every smaller side does.
    """
    limit = min(chip.max_region_side, isqrt(int(chip.region_fill * chip.cores / layers)))
    if limit < 1:
        raise UsageError(
            f"{layers} layers do not fit the {chip.cores} cores of {chip.name!r}; use a larger chip"
        )
    core_bytes = chip.sram_bytes / chip.cores
    least = min(limit, ceil(sqrt(shape.weight_bytes / shape.num_layers / core_bytes)))
    rows = layer_work(chip, shape, side=1, context=DEFAULT_CONTEXT).rows
    best, fastest = limit, inf
    for side in range(limit, least - 1, -1):
        if rows / side * chip.row_cycles > fastest:
            break
        cycles = layer_work(chip, shape, side=side, context=DEFAULT_CONTEXT).cycles(chip)
        if cycles <= fastest:
            best, fastest = side, cycles
    return best
