from __future__ import annotations

import pytest

from sparkcode.bench.figures import Passes, Spread, pair_ratios, peak_ratio, spread


def test_a_spread_is_median_and_ends() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="at least one"):
        spread([])


def test_a_slow_moment_of_both_leaves_their_ratio_alone() -> None:
    assert pair_ratios([20.0, 2.0], [10.0, 1.0]) == [2.0, 2.0]
    assert peak_ratio([20.0, 2.0], [5.0, 4.0]) == 4.0
    with pytest.raises(ValueError, match="shorter"):
        pair_ratios([1.0], [])


def test_rates() -> None:
    passes = Passes(2.0, 2.5, 4.0)
    assert passes.prefill_rate(300) == 150.0
    assert passes.decode_rate(64) == 16.0
