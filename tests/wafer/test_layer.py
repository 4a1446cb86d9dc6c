from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

import pytest

from sparkcode.wafer.layer import Work, context_rows, layer_work
from sparkcode.wafer.shape import load_shape
from tests.wafer.shapes import dense, wafer


def test_dense_layer_by_hand() -> None:
    """Ten all-reduces; rows 3 r(d) + 2 r(q) + r(context) + 2 r(d) + r(f)."""
    work = layer_work(wafer(), load_shape("llama-3.1-8b"), side=100, context=2048)
    assert work.hops == pytest.approx(10 * (100 + 5))
    assert work.stages == pytest.approx(10 * 10)
    assert work.rows == 7 * 41 + 21 + 144


@pytest.mark.parametrize(
    ("sizes", "grid", "published"),
    [
        ((32, 4096, 4096, 1024, 14336), 420, 2699.9),
        ((32, 4096, 4096, 1024, 14336), 540, 2501.5),
        ((40, 5120, 5120, 5120, 13824), 420, 2039.2),
        ((40, 5120, 5120, 5120, 13824), 540, 1899.4),
    ],
)
def test_wse2_decode_rates_of_waferllm(
    sizes: tuple[int, int, int, int, int], grid: int, published: float
) -> None:
    """WaferLLM (OSDI 2025), table 4: context 4096, one region, keys and values not grouped."""
    chip = wafer()
    shape = replace(dense("w", sizes), kv_size=sizes[1])
    cycles = layer_work(chip, shape, side=grid, context=4096).cycles(chip)
    assert chip.clock / (cycles * sizes[0]) == pytest.approx(published, rel=0.05)


def test_expert_layer_by_hand() -> None:
    chip, side = wafer(), 200
    shape = load_shape("gpt-oss-120b")
    sub_side = side * sqrt(0.8 / 128)
    work = layer_work(chip, shape, side=side, context=0)
    hops = 9 * (side + sqrt(side) / 2) + 2 * side + 3 * (sub_side + sqrt(sub_side) / 2)
    assert work.hops == pytest.approx(hops)
    rows = 3 * 15 + 2 * 21 + 3 * ceil(2880 / sub_side)
    assert work.rows == pytest.approx(rows)


def test_a_larger_shared_expert_sets_the_time() -> None:
    shape = load_shape("gpt-oss-120b")
    larger = replace(shape, shared_intermediate_size=2 * shape.expert_intermediate_size)
    smaller = replace(shape, shared_intermediate_size=16)
    chip = wafer()
    base = layer_work(chip, shape, side=200, context=0)
    assert layer_work(chip, smaller, side=200, context=0) == base
    assert layer_work(chip, larger, side=200, context=0).rows > base.rows


def test_layers_are_averaged() -> None:
    shape = replace(load_shape("gpt-oss-120b"), intermediate_size=2880)
    chip = wafer()
    full, none, half = (
        layer_work(chip, replace(shape, moe_fraction=share), side=200, context=512).cycles(chip)
        for share in (1.0, 0.0, 0.5)
    )
    assert half == pytest.approx((full + none) / 2)


def test_windowed_layers_see_their_window() -> None:
    shape = load_shape("gpt-oss-120b")
    assert context_rows(shape, 64, 640) == (10 + 2) / 2


def test_work_adds_and_scales() -> None:
    assert (Work(1, 2, 3) + Work(hops=1)) * 2 == Work(4, 4, 6)
