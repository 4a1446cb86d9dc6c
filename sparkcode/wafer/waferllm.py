"""WaferLLM's kernels on a bare grid of cores, whose measurements gave the cycle counts. Pure.

He et al. (OSDI 2025) run one model's layers one after another on one square grid of a WSE-2 and
report decode and prefill rates, whole requests, and how far a KV cache can grow. Their kernels
ignore that keys and values are grouped, and they fix the groups of a reduction::

    decode  = layers * (hop * hops + stage * stages + row * rows) / clock
    prefill = layers * P * sum(mac * M/P * r(K) * r(N) + inner * r(K)) / clock

over all products ``M x K x N`` of a layer, with ``r(n) = ceil(n / P)``: tiles of weights are padded
to whole rows and columns, the prompt's are not. A request moves its KV cache from the prefill's
layout to that of decoding in between.

A core's memory holds, for each layer placed on it, tiles of its weights, its buffers, and KV cache.
Kept where it arises, the cache fills one row of cores and stops; shifted from row to row it fills
the region.

**Forms that lost**, by the error on models that the constants were not fitted to: padded tiles of
the prompt; products narrowed to grouped keys and values; a cost of moving the weights, or the cache
as if it were not grouped; a fixed share of memory instead of a layer's buffers; a term for the
length of reduced vectors; no term for stages.
"""

from __future__ import annotations

from math import ceil, sqrt

from sparkcode.wafer.chip import WaferChip
from sparkcode.wafer.constants import Constants
from sparkcode.wafer.layer import Work
from sparkcode.wafer.shape import ModelShape

_GROUPS = {360: 18, 420: 20, 540: 20, 660: 22}
"""Groups of a reduction by the grid's side, where the paper's scripts say so."""
_BYTES = 2
"""Of a weight and of a cached element."""


def decode_seconds(chip: WaferChip, shape: ModelShape, *, side: int, context: int) -> float:
    """One token at ``context`` on a grid of ``side`` cores squared."""
    groups = _GROUPS.get(side, round(sqrt(side)))
    group = side / groups
    reduction = Work(hops=side + group / 2, stages=group / 2 + groups / 2)
    rows = 7 * ceil(shape.hidden_size / side) + ceil(context / side)
    rows += ceil(shape.intermediate_size / side)
    return shape.num_layers * (reduction * 10 + Work(rows=rows)).cycles(chip) / chip.clock


def prefill_seconds(
    chip: WaferChip, constants: Constants, shape: ModelShape, *, side: int, tokens: int
) -> float:
    """A prompt of ``tokens`` on a grid of ``side`` cores squared."""
    hidden, intermediate = shape.hidden_size, shape.intermediate_size
    products = [
        *[(hidden, hidden)] * 4,
        (hidden, tokens),
        (tokens, hidden),
        *[(hidden, intermediate)] * 2,
        (intermediate, hidden),
    ]
    cycles = 0.0
    for inner, outer in products:
        within = ceil(inner / side)
        multiplied = tokens / side * within * ceil(outer / side)
        cycles += constants.mac_cycles * multiplied + constants.inner_cycles * within
    return shape.num_layers * side * cycles / chip.clock


def request_seconds(
    chip: WaferChip,
    constants: Constants,
    shape: ModelShape,
    *,
    sides: tuple[int, int],
    tokens: tuple[int, int],
) -> float:
    """A prompt and its answer; ``sides`` of the grids and ``tokens`` of both, in that order."""
    prompt, answer = tokens
    before = prefill_seconds(chip, constants, shape, side=sides[0], tokens=prompt)
    moved = shape.kv_bytes(prompt) / constants.reshuffle_bandwidth
    middle = prompt + answer // 2
    each = decode_seconds(chip, shape, side=sides[1], context=middle)
    return before + moved + answer * each


def longest_answer(
    chip: WaferChip, constants: Constants, shape: ModelShape, *, side: int, shifted: bool
) -> float:
    """Tokens of KV cache that a grid's rows hold, if shifted between them or not."""
    layers = shape.num_layers * side**2 / chip.cores
    hidden, wide, narrow = (
        ceil(size / side) for size in (shape.hidden_size, shape.intermediate_size, shape.kv_size)
    )
    weights = _BYTES * (2 * hidden**2 + 2 * hidden * narrow + 3 * hidden * wide)
    free = chip.core_sram_bytes / layers - weights - constants.layer_buffer_bytes
    tokens = free / (2 * narrow * _BYTES)
    return max(0.0, tokens * (side if shifted else 1))
