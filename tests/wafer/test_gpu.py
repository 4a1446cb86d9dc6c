from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import GpuChip
from sparkcode.wafer.cost import make_cost
from sparkcode.wafer.shape import ModelShape, load_shape
from tests.wafer.shapes import FEW, dense, gpu, shapes

LLAMA_7B = dense("llama2-7b", (32, 4096, 4096, 4096, 11008), vocab_size=32_000)
LLAMA_70B = dense("llama2-70b", (80, 8192, 8192, 1024, 28672), vocab_size=32_000)
MIXTRAL = dense(
    "mixtral-8x7b",
    (32, 4096, 4096, 1024, 0),
    vocab_size=32_000,
    num_experts=8,
    experts_per_token=2,
    expert_intermediate_size=14336,
    moe_fraction=1.0,
)


def a100() -> GpuChip:
    return replace(
        gpu(),
        name="a100",
        memory_bandwidth=2.04e12,
        peak_flops=312e12,
        link_bandwidth=300e9,
        power=400.0,
    )


@pytest.mark.parametrize(
    ("shape", "changes", "published"),
    [
        (LLAMA_7B, {}, 104.9),
        (LLAMA_7B, {"weight_bytes_per_parameter": 1.0}, 155.58),
        (LLAMA_70B, {}, 21.32),
        (LLAMA_70B, {"weight_bytes_per_parameter": 0.55}, 25.25),
        (MIXTRAL, {}, 78.75),
    ],
    ids=["7b", "7b-int8", "70b-tp2", "70b-int4", "mixtral-tp2"],
)
def test_published_single_stream_rates(
    shape: ModelShape, changes: dict[str, Any], published: float
) -> None:
    """gpt-fast's README: A100-80GB, one stream, short context; the same stack as the H100's."""
    cost = make_cost(a100(), replace(shape, **changes))
    assert 1 / cost.decode_seconds(100) == pytest.approx(published, rel=0.25)


def test_published_time_to_first_token() -> None:
    """TensorRT-LLM v0.5: Llama 70B at 16 bits on four A100, 2048 tokens, 377 ms."""
    cost = make_cost(replace(a100(), usable_memory=0.6), LLAMA_70B)
    assert cost.placement.devices == 4
    assert cost.prefill_seconds(2048, 0) == pytest.approx(0.377, rel=0.4)


def test_an_8b_on_an_h100_is_bound_by_memory() -> None:
    parts = make_cost(gpu(), load_shape("llama-3.1-8b")).breakdown(2048)
    assert parts["weights"] > 0.7 * sum(parts.values())
    assert parts["all_reduce"] == 0


def test_verifying_a_draft_costs_a_dense_model_about_one_step() -> None:
    cost = make_cost(gpu(), load_shape("llama-3.1-8b"))
    assert cost.verify_seconds(5, 2048) == pytest.approx(cost.decode_seconds(2048), rel=0.02)
    assert cost.verify_seconds(0, 2048) == cost.decode_seconds(2048)


def test_a_long_prompt_is_bound_by_arithmetic() -> None:
    cost = make_cost(gpu(), load_shape("llama-3.1-8b"))
    ideal = 2 * 7.5e9 * 8192 / (989e12 * 0.71)
    assert ideal < cost.prefill_seconds(8192, 0) < 1.5 * ideal
    assert cost.prefill_seconds(0, 0) == 0


def test_devices() -> None:
    assert make_cost(gpu(), load_shape("llama-3.1-8b")).placement.devices == 1
    split = make_cost(gpu(), load_shape("llama-3.1-70b"), context=131_072)
    assert split.placement.devices == 4
    assert split.placement.max_context == 131_072
    assert split.breakdown(0)["all_reduce"] > 0
    shared = make_cost(gpu(), load_shape("llama-3.1-8b"), users=64)
    assert shared.placement.max_context == pytest.approx(55.94e9 / 64 / 131_072, abs=2)


def test_a_model_larger_than_a_node_does_not_fit() -> None:
    huge = dense("405b", (126, 16384, 16384, 1024, 53248))
    with pytest.raises(UsageError, match=r"'405b' .* takes 81\d GB, more than 8 of 'h100' hold"):
        make_cost(gpu(), huge)


@FEW
@given(
    shape=shapes(),
    share=st.floats(0.1, 1.0),
    tokens=st.integers(1, 4096),
    name=st.sampled_from(["memory_bandwidth", "peak_flops", "link_bandwidth"]),
)
def test_less_hardware_is_never_faster(
    shape: ModelShape, share: float, tokens: int, name: str
) -> None:
    chip = gpu()
    slow = make_cost(replace(chip, **{name: getattr(chip, name) * share}), shape)
    fast = make_cost(chip, shape)
    exact = 1 - 1e-12
    assert slow.decode_seconds(2048) >= exact * fast.decode_seconds(2048)
    assert slow.prefill_seconds(tokens, 0) >= exact * fast.prefill_seconds(tokens, 0)
