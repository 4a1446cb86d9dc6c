from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.cost import make_cost
from sparkcode.wafer.gpu import GpuCost, place_gpu
from sparkcode.wafer.shape import ModelShape, load_shape
from tests.wafer.shapes import FEW, dense, gpu, shapes


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
    ideal = 2 * 7.5e9 * 8192 / (989e12 * gpu().compute_efficiency)
    assert ideal < cost.prefill_seconds(8192, 0) < 1.7 * ideal
    assert cost.prefill_seconds(0, 0) == 0


def test_devices() -> None:
    assert make_cost(gpu(), load_shape("llama-3.1-8b")).placement.devices == 1
    split = make_cost(gpu(), load_shape("llama-3.1-70b"), context=131_072)
    assert split.placement.devices == 4
    assert split.placement.max_context == 131_072
    assert split.breakdown(0)["all_reduce"] > 0


def test_users_whose_caches_find_no_room_wait() -> None:
    shape = load_shape("llama-3.1-8b")
    room = int(55.94e9 / shape.kv_bytes(8192))
    few, many = (place_gpu(gpu(), shape, context=8192, users=n) for n in (room, room + 9))
    assert (few.devices, few.streams) == (many.devices, many.streams) == (1, room)
    assert few.max_context == pytest.approx(55.94e9 / room / 131_072, abs=2)


@FEW
@given(
    shape=shapes(),
    context=st.integers(1, 100_000),
    more=st.integers(0, 30_000),
    users=st.integers(1, 200),
    others=st.integers(0, 200),
)
def test_neither_context_nor_users_make_a_group_larger(
    shape: ModelShape, context: int, more: int, users: int, others: int
) -> None:
    few = place_gpu(gpu(), shape, context=context, users=users)
    longer = place_gpu(gpu(), shape, context=context + more, users=users)
    many = place_gpu(gpu(), shape, context=context, users=users + others)
    assert few.devices == longer.devices == many.devices
    assert longer.streams <= few.streams <= many.streams


def test_new_tokens_attend_to_the_cached_ones() -> None:
    """Reading in parts what is read at once costs the same attention."""
    cost = make_cost(gpu(), load_shape("llama-3.1-70b"))
    whole = cost.prefill_seconds(64_000, 0)
    parts = sum(cost.prefill_seconds(16_000, at * 16_000) for at in range(4))
    assert parts == pytest.approx(whole, rel=0.03)
    assert cost.prefill_seconds(1000, 95_000) > 2 * cost.prefill_seconds(1000, 0)


@given(window=st.integers(1, 300), context=st.integers(0, 500), tokens=st.integers(1, 400))
def test_windows_bound_what_is_attended_to(window: int, context: int, tokens: int) -> None:
    shape = dense("w", (10, 64, 64, 64, 64), window=window, window_layers=4)
    full = sum(context + at for at in range(tokens)) / tokens
    short = sum(min(window, context + at) for at in range(tokens)) / tokens
    assert shape.mean_attended(context, tokens) == pytest.approx(0.6 * full + 0.4 * short)


def test_a_model_larger_than_a_node_does_not_fit() -> None:
    huge = dense("405b", (126, 16384, 16384, 1024, 53248))
    with pytest.raises(
        UsageError,
        match=r"'405b' takes 812 GB and 1 GB for 2048 tokens, more than 8 of 'h100'",
    ):
        make_cost(gpu(), huge)


def test_eight_bits_are_multiplied_faster_where_the_device_can() -> None:
    plain = load_shape("llama-3.1-8b")
    eight = replace(plain, weight_bytes_per_parameter=1.0, activation_bits=8)
    assert not eight.widened
    assert replace(plain, weight_bytes_per_parameter=1.0).widened
    for name, gain in (("h100", 1.3), ("a100", 1.0)):
        times = [make_cost(gpu(name), shape).prefill_seconds(8192, 0) for shape in (plain, eight)]
        assert times[0] / times[1] > gain if gain > 1 else times[0] / times[1] < 1.4


def test_layers_with_experts_launch_more() -> None:
    dense_layer = load_shape("llama-2-7b")
    experts = load_shape("mixtral-8x7b")
    launches = [
        make_cost(gpu(), shape).breakdown(0)["launches"] for shape in (dense_layer, experts)
    ]
    assert launches[1] / launches[0] == pytest.approx(13 / 9)


def test_older_kernels_read_grouped_caches_again() -> None:
    shape = load_shape("llama-3.1-8b")
    again = make_cost(replace(gpu(), reread_share=0.5), shape)
    once = make_cost(gpu(), shape)
    assert again.breakdown(4096)["kv"] == pytest.approx(2.5 * once.breakdown(4096)["kv"])


def test_crossing_nodes_costs_every_layer_twice() -> None:
    near = make_cost(gpu(), load_shape("llama-3.1-70b"))
    assert isinstance(near, GpuCost)
    far = replace(near, placement=replace(near.placement, nodes=2))
    more = far.decode_seconds(0) - near.decode_seconds(0)
    assert more == pytest.approx(160 * gpu().node_latency)


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
