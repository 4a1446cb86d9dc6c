from __future__ import annotations

from dataclasses import replace
from math import ceil, isqrt, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.layer import layer_work
from sparkcode.wafer.placement import place
from sparkcode.wafer.shape import ModelShape, load_shape, shape_names
from tests.wafer.shapes import FEW, dense, shapes, wafer


@pytest.mark.parametrize(
    ("name", "wafers", "side_limit"),
    [("llama-3.1-8b", 1, 160), ("llama-3.1-70b", 4, 203), ("gpt-oss-120b", 2, 214)],
)
def test_published_models(name: str, wafers: int, side_limit: int) -> None:
    """The vendor: a 70B on as few as four systems, an 8B on one."""
    placed = place(wafer(), load_shape(name))
    assert placed.wafers == placed.devices == wafers
    assert 0.95 * side_limit <= placed.region_side <= side_limit


def test_a_frontier_model() -> None:
    """SemiAnalysis (2026): 1.6 trillion parameters at about 4.4 bits on 24 systems."""
    shape = dense("frontier", (120, 16384, 16384, 1024, 260_000), weight_bytes_per_parameter=0.55)
    assert shape.total_parameters == pytest.approx(1.6e12, rel=0.05)
    assert 22 <= place(wafer(), shape).wafers <= 26


@pytest.mark.parametrize("name", shape_names())
def test_a_layer_s_weights_fit_its_region(name: str) -> None:
    chip, shape = wafer(), load_shape(name)
    placed = place(chip, shape)
    room = placed.region_side**2 * chip.sram_bytes / chip.cores
    assert shape.weight_bytes / shape.num_layers <= room
    assert placed.layers_per_wafer * shape.weight_bytes / shape.num_layers <= 0.85 * 44e9
    assert placed.layers_per_wafer * placed.region_side**2 <= chip.cores


def test_kv_caches_need_wafers_and_shorten_the_context() -> None:
    chip, shape = wafer(), load_shape("llama-3.1-70b")
    short, long = place(chip, shape), place(chip, shape, context=131_072)
    assert long.wafers > short.wafers
    assert long.max_context == shape.context_length
    assert short.max_context < 30_000
    assert place(chip, shape, context=short.max_context).wafers == short.wafers
    assert place(chip, shape, context=short.max_context + 50).wafers > short.wafers
    shared = place(chip, shape, users=8)
    assert shared.max_context == pytest.approx(short.max_context / 8, abs=1)


@FEW
@given(shape=shapes(), context=st.integers(0, 131_072), users=st.integers(1, 32))
def test_wafers_for_caches_make_no_region_larger(
    shape: ModelShape, context: int, users: int
) -> None:
    chip = wafer()
    try:
        full = place(chip, shape, context=context, users=users)
    except UsageError:
        return
    assert full.region_side == place(chip, shape).region_side
    assert min(context, shape.context_length) <= full.max_context


@FEW
@given(shape=shapes(), cores=st.integers(3_000, 900_000))
def test_the_search_for_the_side_misses_none(shape: ModelShape, cores: int) -> None:
    chip = replace(wafer(), cores=cores)
    placed = place(chip, shape)
    limit = min(750, isqrt(int(chip.region_fill * cores / placed.layers_per_wafer)))
    least = sqrt(shape.weight_bytes / shape.num_layers / chip.sram_bytes * cores)
    cycles = {
        side: layer_work(chip, shape, side=side, context=2048).cycles(chip)
        for side in range(min(limit, ceil(least)), limit + 1)
    }
    assert cycles[placed.region_side] == min(cycles.values())


def test_the_side_is_the_fastest_of_those_that_fit() -> None:
    chip = wafer()
    shape = load_shape("qwen2.5-coder-0.5b")
    best = place(chip, shape).region_side
    limit = 185

    def cycles(side: int) -> float:
        return layer_work(chip, shape, side=side, context=2048).cycles(chip)

    assert best < limit
    assert cycles(best) == min(cycles(side) for side in range(1, limit + 1))


def test_no_region_is_longer_than_the_compiler_allows() -> None:
    shape = load_shape("llama-3.1-8b")
    assert place(wafer(), shape).region_side > 100
    assert place(replace(wafer(), max_region_side=100), shape).region_side == 100


def test_a_layer_larger_than_a_wafer_does_not_fit() -> None:
    shape = dense("huge", (2, 65_536, 65_536, 65_536, 262_144))
    with pytest.raises(UsageError, match=r"'huge' with 1 x 2048 tokens takes .* GB, more than 2"):
        place(wafer(), shape)


def test_more_layers_than_cores_do_not_fit() -> None:
    chip = replace(wafer(), cores=16)
    with pytest.raises(UsageError, match="24 layers do not fit the 16 cores of 'wse3'"):
        place(chip, load_shape("qwen2.5-coder-0.5b"))


def test_users_whose_caches_find_no_room_wait() -> None:
    """A wafer for each layer is the most that there can be."""
    chip, shape = wafer(), load_shape("llama-3.1-8b")
    full = place(chip, shape, context=100_000, users=100_000)
    assert full.wafers == shape.num_layers
    room = shape.num_layers * chip.usable_sram * chip.sram_bytes - shape.weight_bytes
    assert full.streams == int(room / shape.kv_bytes(100_000))
    assert full.max_context >= 100_000
    assert place(chip, shape, context=100_000, users=full.streams).streams == full.streams
