from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.model.blocks import Blocks, Kind
from sparkcode.model.kernels.reference import fused, product, quantised, unpacked
from sparkcode.model.kernels.selftest import random_records
from sparkcode.model.records import pack_records
from tests.model.kernels import scalar
from tests.model.test_blocks import random_blocks

floats = st.floats(-1e6, 1e6, width=32)


def nearest(value: Fraction) -> np.float32:
    """The float32 next to an exact number, the even one of two."""
    middle = np.float32(float(value))
    near = [np.nextafter(middle, np.float32(end)) for end in (-np.inf, np.inf)]
    return min(
        [middle, *near],
        key=lambda f: (abs(Fraction(float(f)) - value), int(f.view(np.int32)) % 2),
    )


@given(floats, floats, floats)
def test_fused_rounds_once(a: float, b: float, c: float) -> None:
    found = fused(*(np.array([value], np.float32) for value in (a, b, c)))
    assert found[0] == nearest(Fraction(a) * Fraction(b) + Fraction(c))


def test_fused_where_rounding_twice_would_differ() -> None:
    a, b = np.float32(1 + 2**-12), np.float32(1 + 2**-12)  # 1 + 2^-11 + 2^-24, a tie
    c = np.float32(-(2.0**-70))
    found = fused(np.array([a]), np.array([b]), np.array([c]))
    assert found[0] == np.float32(1 + 2**-11)
    above = fused(np.array([a]), np.array([b]), -np.array([c]))
    assert above[0] == np.nextafter(np.float32(1 + 2**-11), np.float32(2))


def test_activations_are_rounded_to_their_largest() -> None:
    x = np.zeros((1, 64), np.float32)
    x[0, :3] = 2, -1, 0.5
    x[0, 40] = 1e-31
    codes, scales = quantised(x)
    assert codes[0, 0, :3].tolist() == [127, -64, 32]
    assert scales[0, 0] == np.float32(2) / np.float32(127)
    assert not codes[0, 1].any()


@pytest.mark.parametrize("kind", ["q4", "q5", "q8"])
def test_records_mean_what_was_packed(kind: Kind) -> None:
    source = random_blocks(kind, 32, 4, 1)
    assert isinstance(source, Blocks)
    records = pack_records(source)
    codes, scales, minima = unpacked(kind, records)
    own = source.codes.reshape(32, 4, 32).astype(np.int64) - scalar.ZERO[kind]
    np.testing.assert_array_equal(codes, own)
    np.testing.assert_array_equal(scales, source.scales.astype(np.float32))
    if source.minima is not None:
        np.testing.assert_array_equal(minima, source.minima.astype(np.float32))
    x = np.random.default_rng(2).standard_normal((3, 128)).astype(np.float32)
    np.testing.assert_array_equal(product(kind, records, x), scalar.product(source, x))


def test_super_records() -> None:
    """Places of one weight's numbers, by hand: row 5, column 70 (block 2, vector 1, place 2)."""
    records = random_records("q4k", 1, 256, seed=3)
    bytes_ = records[0, 0]
    halves = bytes_[:64].view(np.float16).astype(np.float32)
    codes, scales, minima = unpacked("q4k", records)
    assert minima is not None
    assert codes[5, 2, 6] == bytes_[320 + 2 * 256 + 4 * 5 + 2] >> 4
    assert codes[5, 2, 2] == bytes_[320 + 2 * 256 + 4 * 5 + 2] & 15
    assert scales[5, 2] == halves[5] * bytes_[64 + 2 * 16 + 5]
    assert minima[5, 2] == halves[16 + 5] * bytes_[192 + 2 * 16 + 5]


def test_six_bit_records() -> None:
    """Row 5, column 32 + 4 * 6 + 1: block 1, vector 6, place 1."""
    records = random_records("q6", 1, 64, seed=3)
    bytes_ = records[0, 0]
    low = bytes_[64 + 256 + 3 * 64 + 4 * 5 + 1] & 15
    high = bytes_[576 + 128 + 64 + 4 * 5 + 1] >> 4 & 3
    assert unpacked("q6", records)[0][5, 1, 25] == int(low) + 16 * int(high) - 32
