from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.wafer.chip import Chip, load_chip
from sparkcode.wafer.cost import CostModel, WaferCost, make_cost
from sparkcode.wafer.gpu import GpuCost
from sparkcode.wafer.shape import ModelShape, load_shape, shape_names
from tests.wafer.shapes import FEW, shapes, wafer

CONTEXTS = st.integers(0, 131_072)
LLAMA_8B = load_shape("llama-3.1-8b")


def wafer_cost(shape: ModelShape = LLAMA_8B) -> WaferCost:
    cost = make_cost(wafer(), shape)
    assert isinstance(cost, WaferCost)
    return cost


def test_step_of_an_8b_with_the_kernels_that_were_measured() -> None:
    """The WSE-2's constants, nothing refitted: about 422 us, 13.0 us a layer."""
    cost = make_cost(replace(wafer(), kernel_factor=1.0), LLAMA_8B)
    step = cost.decode_seconds(2048)
    assert step == pytest.approx(422e-6, rel=0.01)
    assert (step - 5e-6) / 32 == pytest.approx(13.0e-6, rel=0.01)
    parts = cost.breakdown(2048)
    assert (parts["collectives"] + parts["hops"]) / 32 == pytest.approx(4e-6, rel=0.05)
    assert parts["rows"] / 32 == pytest.approx(9e-6, rel=0.05)


def test_the_first_prompt_token_fills_the_pipeline() -> None:
    cost = wafer_cost()
    assert cost.prefill_seconds(0, 100) == 0
    one = cost.stage_seconds(250)
    expected = cost.decode_seconds(0) + 500 * one
    assert cost.prefill_seconds(500, 0) == pytest.approx(expected, rel=0.001)


def test_prompts_are_read_at_tens_of_thousands_of_tokens_a_second() -> None:
    """Server-side prompt times of the service: about 36,000, whatever the model."""
    for name in ("llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b"):
        assert 30_000 < 1 / wafer_cost(load_shape(name)).stage_seconds(0) < 40_000


def test_a_cached_prefix_is_attended_to_but_not_prefilled() -> None:
    cost = wafer_cost()
    whole = cost.prefill_seconds(20_000, 0)
    parts = cost.prefill_seconds(12_000, 0) + cost.prefill_seconds(8_000, 12_000)
    # The pipeline is filled twice.
    assert parts - whole == pytest.approx(cost.decode_seconds(12_000))
    assert cost.prefill_seconds(1, 100_000) > cost.prefill_seconds(1, 0)


def test_verification_follows_through_the_pipeline() -> None:
    cost = wafer_cost()
    step = cost.decode_seconds(2048)
    assert cost.verify_seconds(1, 2048) == step
    assert cost.verify_seconds(5, 2048) == pytest.approx(step + 4 * cost.stage_seconds(2048))
    assert cost.verify_seconds(0, 2048) == step
    assert cost.verify_seconds(8, 2048) < 8 * step


def test_long_contexts_slow_small_regions_most() -> None:
    """100k tokens of context cost an 8B on one wafer about 20 us a layer before the kernel's
    factor, which is more than its layer took."""
    cost = make_cost(replace(wafer(), kernel_factor=1.0), LLAMA_8B)
    added = cost.decode_seconds(102_048) - cost.decode_seconds(2048)
    assert added / 32 == pytest.approx(20e-6, rel=0.05)


def test_a_stage_stops_growing_where_every_layer_has_a_window() -> None:
    windowed = wafer_cost(replace(LLAMA_8B, window=1024, window_layers=32))
    assert windowed.stage_seconds(1024) == windowed.stage_seconds(100_000)
    mixed = wafer_cost(replace(LLAMA_8B, window=1024, window_layers=31))
    assert mixed.stage_seconds(1024) < mixed.stage_seconds(100_000)


@pytest.mark.parametrize("chip", ["wse3", "gb200"])
@pytest.mark.parametrize("name", shape_names())
def test_breakdown_adds_up(chip: str, name: str) -> None:
    loaded, shape = load_chip(chip), load_shape(name)
    cost = make_cost(loaded, shape)
    parts = cost.breakdown(4096)
    assert sum(parts.values()) == pytest.approx(cost.decode_seconds(4096))
    assert min(parts.values()) >= 0


def test_the_chip_s_kind_picks_the_model() -> None:
    wafer_model: CostModel = make_cost(load_chip("wse3"), LLAMA_8B)
    gpu_model: CostModel = make_cost(load_chip("h100"), LLAMA_8B)
    assert isinstance(wafer_model, WaferCost)
    assert isinstance(gpu_model, GpuCost)
    assert wafer_model.decode_seconds(0) < gpu_model.decode_seconds(0)


@pytest.mark.parametrize("chip", [load_chip("wse3"), load_chip("h100")], ids=lambda c: c.name)
@FEW
@given(shape=shapes(), context=CONTEXTS, more=CONTEXTS, tokens=st.integers(0, 5000))
def test_more_context_or_tokens_are_never_faster(
    chip: Chip, shape: ModelShape, context: int, more: int, tokens: int
) -> None:
    cost = make_cost(chip, shape)
    longer = context + more
    exact = 1 - 1e-12
    assert cost.decode_seconds(longer) >= exact * cost.decode_seconds(context) > 0
    for seconds in (cost.prefill_seconds, cost.verify_seconds):
        assert seconds(tokens, longer) >= exact * seconds(tokens, context)
        assert seconds(tokens + 1, context) >= exact * seconds(tokens, context)
        assert seconds(tokens + 1 + more, context) >= exact * seconds(tokens, context)


@FEW
@given(shape=shapes(), cores=st.integers(1000, 900_000), fewer=st.floats(0.1, 1.0))
def test_fewer_cores_are_never_faster(shape: ModelShape, cores: int, fewer: float) -> None:
    chip = replace(wafer(), cores=cores)
    small = replace(chip, cores=max(100, int(cores * fewer)))
    assert make_cost(small, shape).decode_seconds(2048) >= (1 - 1e-12) * make_cost(
        chip, shape
    ).decode_seconds(2048)


@FEW
@given(shape=shapes(), factor=st.floats(1.0, 4.0), context=CONTEXTS, tokens=st.integers(1, 5000))
def test_a_faster_clock_is_never_slower(
    shape: ModelShape, factor: float, context: int, tokens: int
) -> None:
    slow, fast = (
        make_cost(replace(wafer(), clock=wafer().clock * each), shape) for each in (1.0, factor)
    )
    exact = 1 + 1e-12
    assert fast.decode_seconds(context) <= exact * slow.decode_seconds(context)
    assert fast.prefill_seconds(tokens, context) <= exact * slow.prefill_seconds(tokens, context)


@FEW
@given(
    shape=shapes(),
    factor=st.floats(1.0, 4.0),
    name=st.sampled_from(
        ["hop_cycles", "stage_cycles", "row_cycles", "kernel_factor", "wafer_hop", "prompt_cycles"]
    ),
)
def test_slower_parts_are_never_faster(shape: ModelShape, factor: float, name: str) -> None:
    chip = wafer()
    slow = make_cost(replace(chip, **{name: getattr(chip, name) * factor}), shape)
    fast = make_cost(chip, shape)
    assert slow.decode_seconds(2048) >= (1 - 1e-12) * fast.decode_seconds(2048)
