from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.wafer.constants import load_calibration
from sparkcode.wafer.shape import load_shape
from sparkcode.wafer.waferllm import (
    decode_seconds,
    longest_answer,
    prefill_seconds,
    request_seconds,
)
from tests.wafer.shapes import wafer

CHIP = wafer("wse2")
CONSTANTS = load_calibration().constants
LLAMA = load_shape("llama-3.1-8b")
SIDES = st.sampled_from([360, 420, 480, 540, 600, 660, 720])


def test_decode_layer_by_hand() -> None:
    """Ten reductions over 21 groups of 20, and 7 r(d) + r(context) + r(f) rows."""
    hops, stages = 10 * (420 + 10.5), 10 * (10.5 + 10)
    rows = 7 * 10 + 10 + 35
    cycles = hops * CHIP.hop_cycles + stages * CHIP.stage_cycles + rows * CHIP.row_cycles
    found = decode_seconds(CHIP, LLAMA, side=420, context=4096)
    assert found == pytest.approx(32 * cycles / 1.1e9)


def test_prefill_by_hand() -> None:
    """One product 100 x 200 x 300 on a side of 100 would be 100 (mac 1 * 2 * 3 + inner 2)."""
    shape = replace(LLAMA, num_layers=1, hidden_size=200, intermediate_size=300)
    mac, inner = CONSTANTS.mac_cycles, CONSTANTS.inner_cycles
    # Four hidden x hidden, scores and values over 100 tokens, up, gate, down.
    multiplied = 4 * 4 + 2 * 1 + 1 * 2 + 2 * 6 + 6
    within = 4 * 2 + 2 + 1 + 2 * 2 + 3
    found = prefill_seconds(CHIP, CONSTANTS, shape, side=100, tokens=100)
    assert found == pytest.approx(100 * (mac * multiplied + inner * within) / 1.1e9)


@given(side=SIDES, tokens=st.integers(1, 8192), more=st.integers(0, 4096))
def test_more_tokens_take_longer(side: int, tokens: int, more: int) -> None:
    assert decode_seconds(CHIP, LLAMA, side=side, context=tokens + more) >= decode_seconds(
        CHIP, LLAMA, side=side, context=tokens
    )
    short, long = (
        prefill_seconds(CHIP, CONSTANTS, LLAMA, side=side, tokens=count)
        for count in (tokens, tokens + more)
    )
    assert long >= short


def test_a_request_is_its_parts() -> None:
    whole = request_seconds(CHIP, CONSTANTS, LLAMA, sides=(660, 360), tokens=(2048, 128))
    parts = (
        prefill_seconds(CHIP, CONSTANTS, LLAMA, side=660, tokens=2048)
        + LLAMA.kv_bytes(2048) / CONSTANTS.reshuffle_bandwidth
        + 128 * decode_seconds(CHIP, LLAMA, side=360, context=2112)
    )
    assert whole == pytest.approx(parts)


def test_shifting_fills_every_row() -> None:
    kept, shifted = (
        longest_answer(CHIP, CONSTANTS, LLAMA, side=360, shifted=way) for way in (False, True)
    )
    assert kept > 0
    assert shifted == pytest.approx(360 * kept)
    huge = replace(LLAMA, hidden_size=65_536)
    assert longest_answer(CHIP, CONSTANTS, huge, side=360, shifted=True) == 0
