"""The chip as a picture: regions of layers, and where a token is on its way through them. Pure.

A wafer is a block of regions, one for each layer on it; a token passes them one after another,
wafer after wafer. GPUs of a group share every layer, so a token is in the same layer on all of
them, and each is a bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Final

from sparkcode.tui.cells import clip
from sparkcode.tui.status import Parts
from sparkcode.wafer.cost import WaferCost
from sparkcode.wafer.gpu import GpuCost

PASSED: Final = ("■", "primary")
HERE: Final = ("█", "good")
AHEAD: Final = ("·", "muted")
_CELL: Final = 2
"""Columns of a region, with the gap beside it."""
_GAP: Final = 2
"""Columns between two wafers."""


def picture(cost: WaferCost | GpuCost, progress: float, width: int, height: int) -> list[Parts]:
    """At most ``height`` rows of ``width`` cells; ``progress`` of a step, from 0 to 1."""
    layers = cost.shape.num_layers
    here = min(layers - 1, int(progress * layers))
    if isinstance(cost, WaferCost):
        return _wafers(cost, here, width, height)
    return _gpus(cost, here, width, height)


def _wafers(cost: WaferCost, here: int, width: int, height: int) -> list[Parts]:
    held = cost.placement.layers_per_wafer
    columns = min(held, max(1, (width + _GAP) // _CELL - 1), ceil(sqrt(2 * held)))
    deep = ceil(held / columns)
    wide = max(1, (width + _GAP) // (columns * _CELL + _GAP))
    between = 1 if deep > 1 else 0
    bands = max(1, (height + between) // (deep + between))
    wafers = cost.placement.wafers
    top = max(0, min(here // held // wide, ceil(wafers / wide) - bands)) * wide
    shown = min(wafers, top + wide * bands)
    rows: list[Parts] = []
    for first in range(top, shown, wide):
        band = range(first, min(first + wide, shown))
        if rows and between:
            rows.append([])
        for line in range(deep):
            parts: Parts = []
            for wafer in band:
                parts += _regions(cost, here, wafer * held + line * columns, columns, line)
                parts.append((" " * _GAP, "muted"))
            rows.append(parts)
    left = wafers - shown
    if left and rows:
        told = f"… and {left} wafer{'s' * (left > 1)} more"
        rows[-1] = [*rows[-1][: max(1, len(rows[-1]) // 2)], (told, "muted")]
    return rows[:height]


def _regions(cost: WaferCost, here: int, first: int, columns: int, line: int) -> Parts:
    """One row of a wafer's regions. Every other row runs back, as the token's path does."""
    held = cost.placement.layers_per_wafer
    wafer_end = (first // held + 1) * held
    layers = [first + at for at in range(columns)]
    if line % 2:
        layers.reverse()
    parts: Parts = []
    for layer in layers:
        if layer >= min(cost.shape.num_layers, wafer_end):
            parts.append((" " * _CELL, "muted"))
            continue
        sign, style = PASSED if layer < here else HERE if layer == here else AHEAD
        parts.append((sign + " ", style))
    return parts


def _gpus(cost: GpuCost, here: int, width: int, height: int) -> list[Parts]:
    group = cost.placement.devices
    shown = min(group, height if group <= height else max(1, height - 1))
    cells = max(4, width - 8)
    done = here * cells // cost.shape.num_layers
    bar: Parts = [(PASSED[0] * done, PASSED[1]), HERE]
    bar.append((AHEAD[0] * max(0, cells - done - 1), AHEAD[1]))
    rows: list[Parts] = [[(f"#{device + 1:<6}", "muted"), *bar] for device in range(shown)]
    if shown < group:
        rows.append([(f"… and {group - shown} devices more", "muted")])
    return rows[:height]


def bars(causes: Mapping[str, float], width: int) -> list[Parts]:
    """Seconds by cause, each with its share of the whole as a bar."""
    whole = sum(causes.values()) or 1.0
    room = max(1, width - 27)
    rows: list[Parts] = []
    for cause, seconds in causes.items():
        share = seconds / whole
        rows.append(
            [
                (f"{clip(cause.replace('_', ' '), 11):<12}", "muted"),
                (f"{_time(seconds):>9}", "text"),
                (f"{share * 100:4.0f}% ", "muted"),
                ("█" * round(room * share), "accent"),
            ]
        )
    return rows


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"
