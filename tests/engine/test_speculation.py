from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.draft import Drafter
from sparkcode.engine.speculation import DEFAULT_COSTS, PassCosts, Speculator, chosen
from sparkcode.model.sampling import SamplingParams, make_sampler, nucleus, tempered

VOCABULARY = 5


def table(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Logits [V, V] of a model that looks at the last token only."""
    return np.random.default_rng(seed).normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32)


def test_greedy_keeps_the_longest_right_prefix_and_one_more() -> None:
    rows = np.eye(6, dtype=np.float32)[[3, 4, 1, 2]]
    greedy = make_sampler(SamplingParams())
    assert list(chosen(rows, (3, 4, 5), greedy)) == [3, 4, 1]
    assert list(chosen(rows, (3, 4, 1), greedy)) == [3, 4, 1, 2]
    assert list(chosen(rows, (0, 4, 1), greedy)) == [3]
    assert list(chosen(rows[:1], (), greedy)) == [3]


def decode(
    logits: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    params: SamplingParams,
    length: int,
    propose: Callable[[list[int]], tuple[int, ...]],
) -> list[int]:
    """Tokens after token 0, with drafts from ``propose``."""
    choose, out = make_sampler(params), [0]
    while len(out) <= length:
        draft = propose(out)
        rows = logits[[out[-1], *draft]]
        for token in chosen(rows, draft, choose):
            out.append(token)
            if len(out) > length:
                break
    return out


@given(
    st.integers(0, 50),
    st.sampled_from([0.0, 0.4, 1.0, 3.0]),
    st.sampled_from([1.0, 0.8, 0.3]),
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=4),
)
def test_a_seed_gives_the_same_tokens_with_any_draft(
    seed: int, temperature: float, top_p: float, draft: list[int]
) -> None:
    params = SamplingParams(temperature, top_p, seed)
    plain = decode(table(seed), params, 30, lambda _: ())
    assert decode(table(seed), params, 30, lambda _: tuple(draft)) == plain


@pytest.mark.parametrize("top_p", [1.0, 0.85])
@pytest.mark.parametrize("draft", [(), (1, 2), (0, 4), (3, 3)])
def test_drafts_leave_the_distribution_as_it_is(top_p: float, draft: tuple[int, ...]) -> None:
    """Chi-square of 12,000 pairs of tokens against the exact product of their probabilities."""
    logits, trials = table(3), 12_000
    choose = make_sampler(SamplingParams(0.9, top_p, 11))
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(trials):
        first, *rest = chosen(logits[[0, *draft]], draft, choose)
        second = rest[0] if rest else next(chosen(logits[[first]], (), choose))
        seen[first, second] += 1
    expected = {}
    for first, chance in zip(*nucleus(tempered(logits[0], 0.9), top_p), strict=True):
        ids, mass = nucleus(tempered(logits[first], 0.9), top_p)
        total = sum(nucleus(tempered(logits[0], 0.9), top_p)[1])
        for second, then in zip(ids, mass, strict=True):
            expected[int(first), int(second)] = trials * chance / total * then / mass.sum()
    assert set(seen) <= set(expected)
    statistic = sum((seen[pair] - e) ** 2 / e for pair, e in expected.items())
    freedom = len(expected) - 1
    # Wilson and Hilferty's normal approximation; 3.1 is exceeded once in 1,000 fair trials.
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    assert z < 3.1


def test_an_acceptance_that_keeps_every_draft_would_be_noticed() -> None:
    choose = make_sampler(SamplingParams(0.9, 1.0, 11))
    kept = sum(next(chosen(table(3)[[0, 4]], (4,), choose)) == 4 for _ in range(3000)) / 3000
    exact = float(tempered(table(3)[0], 0.9)[4])
    assert kept == pytest.approx(exact, abs=0.03)
    assert exact < 0.9


def test_costs_are_the_default_until_measured() -> None:
    costs = PassCosts({1: 1.0, 4: 2.0, 8: 4.0})
    assert [costs.cost(rows) for rows in (1, 2, 4, 6, 8, 16)] == [
        1.0,
        pytest.approx(4 / 3),
        2.0,
        3.0,
        4.0,
        8.0,
    ]
    costs.observe(1, 5.0)
    assert costs.cost(1) == 1.0


def test_costs_follow_what_was_measured_and_scale_the_rest() -> None:
    costs = PassCosts({1: 1.0, 4: 2.0, 8: 4.0})
    for seconds in (0.1, 9.0, 0.1):
        costs.observe(1, seconds)
    assert costs.cost(1) == 0.1
    assert costs.cost(4) == pytest.approx(0.2)
    for _ in range(3):
        costs.observe(8, 0.7)
        costs.observe(4, 0.0)
    assert costs.cost(8) == 0.7
    assert costs.cost(6) == pytest.approx(0.7 * 3 / 4)


def test_the_default_costs_rise() -> None:
    assert sorted(DEFAULT_COSTS) == list(DEFAULT_COSTS)
    assert sorted(DEFAULT_COSTS.values()) == list(DEFAULT_COSTS.values())


def test_a_speculator_counts_and_learns() -> None:
    speculator = Speculator(Drafter([], list(range(40))))
    draft = speculator.propose(3, lambda rows: 1.0 + rows / 100)
    assert draft == (0, 1, 2)
    speculator.accept([0, 1, 9], draft)
    assert (speculator.drafted, speculator.accepted) == (3, 2)


def test_drafts_that_do_not_pay_are_watched_until_they_would() -> None:
    speculator = Speculator(Drafter([], [1] * 300))
    prices = [100.0]

    def cost(rows: int) -> float:
        return 1.0 if rows == 1 else prices[0]

    for _ in range(40):
        assert speculator.propose(8, cost) == ()
        speculator.accept([1], ())
    assert (speculator.drafted, speculator.accepted) == (0, 0)
    prices[0] = 1.5
    assert len(speculator.propose(8, cost)) == 8
    assert speculator.propose(0, cost) == ()
