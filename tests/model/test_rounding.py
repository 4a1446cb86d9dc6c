from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.model.rounding import Rounded, round_to

KINDS: tuple[Rounded, ...] = get_args(Rounded)
LOWEST = {"q5": 16, "q6": 32, "q8": 127}
HIGHEST = {"q5": 15, "q6": 31, "q8": 127}
ZERO = {"q5": 16, "q6": 32, "q8": 128}

F32 = npt.NDArray[np.float32]


def plain(values: F32, kind: Rounded) -> F32:
    """The largest magnitude of each block on the lowest code, the others to the nearest."""
    blocks = values.reshape(-1, 32)
    peaks = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(axis=1)]
    steps = (peaks / -LOWEST[kind]).astype(np.float16).astype(np.float32)[:, None]
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps != 0)
    codes = np.clip(np.rint(blocks * inverse), -LOWEST[kind], HIGHEST[kind])
    found: F32 = (codes * steps).reshape(values.shape)
    return found


def squares(off: F32) -> npt.NDArray[np.float64]:
    """Sum over each block."""
    found: npt.NDArray[np.float64] = np.square(off.astype(np.float64)).reshape(-1, 32).sum(axis=1)
    return found


@given(
    st.sampled_from(KINDS),
    st.integers(1, 9),
    st.integers(1, 5),
    st.floats(1e-4, 1e3),
    st.floats(0.5, 4),
    st.integers(0, 99),
)
def test_no_block_is_worse_than_with_plain_rounding(
    kind: Rounded, rows: int, blocks: int, size: float, tail: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    normal = random.standard_normal((rows, blocks * 32))
    values = (np.sign(normal) * np.abs(normal) ** tail * size).astype(np.float32)
    rounded = round_to(kind, values)
    codes = rounded.codes.astype(int) - ZERO[kind]
    assert codes.min() >= -LOWEST[kind]
    assert codes.max() <= HIGHEST[kind]
    mine, simple = squares(rounded.values() - values), squares(plain(values, kind) - values)
    assert (mine <= simple * (1 + 1e-4)).all()


@pytest.mark.parametrize("kind", ["q5", "q6"])
def test_least_squares_gain(kind: Rounded) -> None:
    values = np.random.default_rng(1).standard_normal((300, 64)).astype(np.float32)
    mine = squares(round_to(kind, values).values() - values).sum()
    assert mine < 0.92 * squares(plain(values, kind) - values).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_can_hold_is_kept(kind: Rounded) -> None:
    codes = np.random.default_rng(1).integers(-LOWEST[kind], HIGHEST[kind] + 1, (4, 64))
    codes[:, ::32] = -LOWEST[kind]  # else the block's step cannot be told from its codes
    values = (codes * 0.25).astype(np.float32)
    np.testing.assert_array_equal(round_to(kind, values).values(), values)


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_stay_zeros(kind: Rounded) -> None:
    rounded = round_to(kind, np.zeros((2, 64), np.float32))
    assert rounded.finite()
    assert not rounded.values().any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_too_large_for_a_scale_is_noticed(kind: Rounded) -> None:
    values = np.ones((2, 64), np.float32)
    values[1, 40] = 1e20
    rounded = round_to(kind, values)
    assert not rounded.finite()
    assert np.isfinite(rounded.scales[0]).all()


def test_many_blocks_are_rounded_piece_by_piece() -> None:
    values = np.random.default_rng(1).standard_normal((1000, 320)).astype(np.float32)
    whole = round_to("q5", values)
    np.testing.assert_array_equal(whole.codes[900:], round_to("q5", values[900:]).codes)
