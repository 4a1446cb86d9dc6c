from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import load_chip
from sparkcode.wafer.profile import load_profile
from sparkcode.wafer.shape import ModelShape, load_shape
from sparkcode.wafer.simulate import Simulation, Turn, simulate
from tests.wafer.shapes import shapes

CHIPS = ("wse3", "h100")
MODELS = ("gpt-oss-120b", "llama-3.1-8b", "llama-3.1-70b", "qwen2.5-coder-0.5b")


def simulated(
    chip: str = "wse3", model: str = "gpt-oss-120b", prompt: int = 8192, users: int = 1
) -> Simulation:
    return simulate(load_chip(chip), load_shape(model), Turn(prompt, 100), users=users)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("users", [1, 4, 64])
def test_the_causes_add_up(chip: str, model: str, users: int) -> None:
    found = simulated(chip, model, 1000, users)
    assert sum(found.breakdown.values()) == pytest.approx(found.tpot)
    assert all(seconds >= 0 for seconds in found.breakdown.values())
    assert found.tokens_per_second == pytest.approx(1 / found.tpot)
    assert found.total_tokens_per_second == pytest.approx(users / found.tpot)


def test_one_user_sees_what_the_server_plays() -> None:
    profile = load_profile("wse3", "gpt-oss-120b")
    found = simulated(prompt=1000)
    assert found.ttft == pytest.approx(profile.ttft_seconds(1000))
    assert found.tokens_per_second == pytest.approx(profile.tokens_per_second(1050))
    assert found.answer_seconds == pytest.approx(found.ttft + 99 * found.tpot)


def test_up_to_the_knee_nobody_waits() -> None:
    alone = simulated(prompt=1000)
    assert alone.knee > 2
    few = simulated(prompt=1000, users=2)
    assert few.breakdown.keys() == alone.breakdown.keys()
    crowd = simulated(prompt=1000, users=1000)
    assert crowd.breakdown["waiting"] > 0
    assert crowd.tpot > alone.tpot
    # What all get together grows no further.
    assert crowd.total_tokens_per_second == pytest.approx(
        simulated(prompt=1000, users=2000).total_tokens_per_second, rel=0.05
    )


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("model", ["llama-3.1-70b", "gpt-oss-120b"])
def test_more_users_are_never_faster(chip: str, model: str) -> None:
    counts = [1, 2, 3, 7, 8, 30, 64, 100, 200, 1000]
    found = [simulated(chip, model, 4000, users) for users in counts]
    for few, many in pairwise(found):
        assert few.tpot <= many.tpot * (1 + 1e-12)
        assert few.devices <= many.devices


def test_users_share_the_weights_of_a_gpu() -> None:
    alone, eight = (simulated("h100", "llama-3.1-8b", 1000, users) for users in (1, 8))
    assert eight.breakdown["weights"] == pytest.approx(alone.breakdown["weights"])
    assert eight.breakdown["kv"] == pytest.approx(8 * alone.breakdown["kv"])
    assert alone.tpot < eight.tpot < 8 * alone.tpot
    assert eight.joules_per_token < alone.joules_per_token


@pytest.mark.parametrize("chip", CHIPS)
def test_a_longer_prompt_takes_longer_to_read(chip: str) -> None:
    found = [simulated(chip, "llama-3.1-8b", prompt) for prompt in (100, 1000, 8000, 64_000)]
    for short, long in pairwise(found):
        assert short.ttft < long.ttft


@pytest.mark.parametrize("chip", CHIPS)
def test_a_longer_context_is_slower(chip: str) -> None:
    found = [simulated(chip, "llama-3.1-70b", prompt) for prompt in (100, 1000, 8000, 64_000)]
    for short, long in pairwise(found):
        assert short.tpot < long.tpot


@pytest.mark.parametrize("chip", CHIPS)
def test_what_is_cached_need_not_be_read(chip: str) -> None:
    def cached(tokens: int) -> Simulation:
        return simulate(load_chip(chip), load_shape("llama-3.1-8b"), Turn(8000, 100, tokens))

    found = [cached(tokens) for tokens in (0, 4000, 7900, 8000)]
    for less, more in pairwise(found):
        assert more.ttft < less.ttft
        assert more.prompt_turn < less.prompt_turn
        assert more.tpot == less.tpot
    assert found[-1].prompt_turn == 0
    assert found[-1].ttft < 2 * found[-1].tpot


def test_more_cached_than_there_is_is_refused() -> None:
    with pytest.raises(UsageError, match="9 cached tokens are more than the prompt's 8"):
        simulate(load_chip("wse3"), load_shape("llama-3.1-8b"), Turn(8, 1, 9))


def test_a_crowd_drafts_less() -> None:
    alone, crowd = simulated(model="llama-3.1-70b"), simulated(model="llama-3.1-70b", users=64)
    assert alone.drafted > crowd.drafted == 0
    assert alone.accepted > 2
    assert {"draft", "verify"} <= alone.breakdown.keys()


def test_more_than_the_model_holds_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 'gpt-oss-120b' holds, 131072"):
        simulated(prompt=131_072)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    chip=st.sampled_from(["wse3", "wse3-turbo", "h100", "b200"]),
    shape=shapes(),
    prompt=st.integers(1, 60_000),
    more=st.integers(0, 60_000),
    users=st.integers(1, 64),
    others=st.integers(0, 64),
)
def test_neither_context_nor_company_makes_anything_faster(
    chip: str, shape: ModelShape, prompt: int, more: int, users: int, others: int
) -> None:
    on = load_chip(chip)
    drafted = replace(shape, draft="model")
    try:
        short = simulate(on, drafted, Turn(prompt, 50), users=users)
        long = simulate(on, drafted, Turn(prompt + more, 50), users=users)
        full = simulate(on, drafted, Turn(prompt, 50), users=users + others)
    except UsageError:
        return
    assert long.tpot >= short.tpot * (1 - 1e-12)
    assert long.ttft >= short.ttft * (1 - 1e-12)
    assert full.tpot >= short.tpot * (1 - 1e-12)
