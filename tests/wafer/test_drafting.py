from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.wafer.cost import make_cost
from sparkcode.wafer.drafting import MAX_DRAFTED, accepted_tokens, best_cycle, cycle
from sparkcode.wafer.shape import Draft, load_shape
from tests.wafer.shapes import wafer


@dataclass(frozen=True)
class Flat:
    """Times that no context changes."""

    draft: float
    step: float
    stage: float = 0.0

    def draft_seconds(self, context: int) -> float:
        return self.draft

    def verify_seconds(self, tokens: int, context: int) -> float:
        return self.step + (tokens - 1) * self.stage


@pytest.mark.parametrize(("drafted", "measured"), [(1, 1.92), (3, 2.82), (5, 3.01)])
def test_accepted_lengths_that_were_measured(drafted: int, measured: float) -> None:
    """TensorRT-LLM's developers, for DeepSeek-R1."""
    assert accepted_tokens(drafted) == pytest.approx(measured, rel=0.06)


def test_nothing_drafted_is_plain_decoding() -> None:
    plain = cycle(Flat(1.0, 10.0), 0, 0)
    assert (plain.accepted, plain.seconds, plain.seconds_per_token) == (1.0, 10.0, 10.0)


@pytest.mark.parametrize(("draft", "most"), [("none", 0), ("head", 1), ("model", MAX_DRAFTED)])
def test_a_free_draft_is_as_long_as_allowed(draft: Draft, most: int) -> None:
    assert best_cycle(Flat(0.0, 1.0), draft, 0).drafted == most


def test_a_draft_that_costs_too_much_is_left() -> None:
    assert best_cycle(Flat(1.0, 1.0), "model", 0).drafted == 0


@given(step=st.floats(0.1, 10), stage=st.floats(0, 1), draft=st.floats(0, 1))
def test_drafting_never_slows(step: float, stage: float, draft: float) -> None:
    cost = Flat(draft, step, stage)
    best = best_cycle(cost, "model", 0)
    assert best.seconds_per_token <= step
    assert best.accepted == accepted_tokens(best.drafted)
    assert best.seconds == pytest.approx(best.drafted * (draft + stage) + step)


def test_a_head_drafts_with_a_layer_more() -> None:
    cost = make_cost(wafer(), load_shape("glm-4.6"))
    found = best_cycle(cost, "head", 2048)
    assert found.drafted == 1
    assert found.draft_seconds == pytest.approx(cost.decode_seconds(2048) / 92)
