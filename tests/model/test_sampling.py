from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.sampling import (
    SamplingParams,
    greedy,
    log_softmax,
    make_sampler,
    nucleus,
    tempered,
)

logits = hnp.arrays(
    np.float32, st.integers(1, 50), elements=st.floats(-80, 80, width=32, allow_subnormal=False)
)
mass = st.floats(0.01, 1.0)


@given(logits)
def test_greedy_takes_the_first_highest(row: F32) -> None:
    token = make_sampler(SamplingParams())(row)
    assert token == row.tolist().index(row.max()) == greedy(row)


@given(logits, mass)
def test_the_nucleus_is_the_smallest_set_that_reaches_its_mass(row: F32, top_p: float) -> None:
    probabilities = tempered(row, 1.0)
    assert probabilities.sum() == pytest.approx(1)
    ids, held = nucleus(probabilities, top_p)
    np.testing.assert_array_equal(held, probabilities[ids])
    assert len(set(ids.tolist())) == len(ids)
    assert held.sum() >= top_p - 1e-9
    if top_p < 1:
        assert held[:-1].sum() < top_p + 1e-9
        outside = np.delete(probabilities, ids)
        assert not len(outside) or outside.max() <= held.min()


@given(logits, st.integers(0, 1000), mass, st.floats(0.1, 3))
def test_a_seed_makes_draws_repeatable(
    row: F32, seed: int, top_p: float, temperature: float
) -> None:
    params = SamplingParams(temperature=temperature, top_p=top_p, seed=seed)
    first, second = make_sampler(params), make_sampler(params)
    drawn = [first(row) for _ in range(5)]
    assert drawn == [second(row) for _ in range(5)]
    allowed = set(nucleus(tempered(row, temperature), top_p)[0].tolist())
    assert set(drawn) <= allowed


@given(logits, st.floats(5e-324, 1e-12))
def test_a_vanishing_temperature_is_greedy(row: F32, temperature: float) -> None:
    row = np.unique(row)
    token = make_sampler(SamplingParams(temperature=temperature, seed=1))(row)
    assert row[token] == pytest.approx(row.max(), abs=1e-9)


def test_draws_follow_the_distribution() -> None:
    row = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    sampler = make_sampler(SamplingParams(temperature=1.0, seed=3))
    counts = np.bincount([sampler(row) for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.03)


def test_without_a_seed_draws_differ() -> None:
    row = np.zeros(1000, np.float32)
    first, second = (make_sampler(SamplingParams(temperature=1.0)) for _ in range(2))
    assert [first(row) for _ in range(20)] != [second(row) for _ in range(20)]


@given(logits)
def test_log_softmax_is_the_logarithm_of_the_probabilities(
    row: F32,
) -> None:
    np.testing.assert_allclose(np.exp(log_softmax(row)), tempered(row, 1.0), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("seed", -1),
    ],
)
def test_impossible_parameters_are_named(name: str, value: float) -> None:
    with pytest.raises(EngineError, match=f"{name} {value!r} has to be") as caught:
        SamplingParams(**{name: value})  # type: ignore[arg-type]  # values of the wrong range
    assert caught.value.code == "invalid_value"
