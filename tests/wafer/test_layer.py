from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from sparkcode.wafer.layer import Work, context_rows, layer_work
from sparkcode.wafer.shape import load_shape
from tests.wafer.shapes import wafer


def test_dense_layer_by_hand() -> None:
    """Ten all-reduces; rows 3 r(d) + 2 r(q) + r(context) + 2 r(d) + r(f)."""
    work = layer_work(wafer(), load_shape("llama-3.1-8b"), side=100, context=2048)
    assert work.hops == pytest.approx(10 * (100 + 5))
    assert work.stages == pytest.approx(10 * 10)
    assert work.rows == 7 * 41 + 21 + 144


def test_expert_layer_by_hand() -> None:
    """Each expert over the whole region, one after another; two short reductions more."""
    chip, side = wafer(), 200
    work = layer_work(chip, load_shape("gpt-oss-120b"), side=side, context=0)
    hops = 12 * (side + sqrt(side) / 2) + 2 * side
    assert work.hops == pytest.approx(hops)
    assert work.rows == 3 * 15 + 2 * 21 + 4 * (2 * 15 + 15)


def test_a_shared_expert_comes_after_the_chosen_ones() -> None:
    shape = load_shape("gpt-oss-120b")
    chip = wafer()
    alone = layer_work(chip, shape, side=200, context=0)
    shared = replace(shape, shared_intermediate_size=2000)
    more = layer_work(chip, shared, side=200, context=0)
    assert (more.hops, more.stages) == (alone.hops, alone.stages)
    assert more.rows == alone.rows + 2 * 15 + 10


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
