from __future__ import annotations

import pytest

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import chip_names, load_chip
from sparkcode.wafer.cost import make_cost
from sparkcode.wafer.profile import Profile, load_profile
from sparkcode.wafer.shape import load_shape, shape_names


def test_the_default_is_spark() -> None:
    """OpenAI (2026-02-12): more than 1,000 tokens per second, 128k tokens of context."""
    profile = load_profile()
    assert profile.name == "wse3/gpt-oss-120b"
    assert profile.max_context == 131_072
    assert 1000 < profile.tokens_per_second(96_000) < profile.tokens_per_second(0) < 2500
    assert profile.cycle(0).accepted == 1.0


@pytest.mark.parametrize("chip", chip_names())
def test_every_pair_has_a_profile_or_says_why_not(chip: str) -> None:
    largest = load_chip(chip)
    for shape in shape_names():
        try:
            make_cost(largest, load_shape(shape))
        except UsageError:
            with pytest.raises(UsageError, match="use a larger chip"):
                load_profile(chip, shape)
            continue
        profile = load_profile(chip, shape)
        assert profile == Profile(profile.chip, profile.shape)
        assert profile.tokens_per_second(2048) > 1
        assert sum(profile.breakdown(2048).values()) == profile.cost.decode_seconds(2048)


def test_drafts_count_on_the_wafer_only() -> None:
    wafer, gpu = load_profile("wse3", "llama-3.1-70b"), load_profile("h100", "llama-3.1-70b")
    assert wafer.cycle(0).drafted > 1
    assert wafer.tokens_per_second(0) > 1.2 / wafer.cost.decode_seconds(0)
    assert gpu.cycle(0).drafted == 0
    assert gpu.tokens_per_second(0) == pytest.approx(1 / gpu.cost.decode_seconds(0))


def test_first_token_follows_prefill_and_a_step() -> None:
    profile = load_profile()
    expected = profile.cost.prefill_seconds(100, 50) + profile.cost.decode_seconds(150)
    assert profile.ttft_seconds(100, 50) == expected
    assert profile.ttft_seconds(100) < expected


@pytest.mark.parametrize("name", ["gpt-oss-120b", "llama-3.1-70b", "glm-4.6"])
def test_tokens_of_a_round_come_together(name: str) -> None:
    """On average at the pace that is stated; the first after a plain step."""
    profile = load_profile("wse3", name)
    first, *gaps = [profile.token_seconds(number, 2048) for number in range(1, 2002)]
    assert first == profile.cost.decode_seconds(2048)
    round_seconds = profile.cycle(2048).seconds
    assert set(gaps) <= {0.0, round_seconds}
    assert gaps[0] == round_seconds
    assert len(gaps) / sum(gaps) == pytest.approx(profile.tokens_per_second(2048), rel=0.002)


def test_energy() -> None:
    """An 8B costs a wafer about 10 J a token by rated power; a GPU about half of that."""
    assert load_profile("wse3", "llama-3.1-8b").joules_per_token(2048) == pytest.approx(10, rel=0.4)
    assert load_profile("h100", "llama-3.1-8b").joules_per_token(2048) == pytest.approx(5, rel=0.2)
    seventy = load_profile("wse3", "llama-3.1-70b")
    power = seventy.devices * 23_000
    assert seventy.joules_per_token(0) == pytest.approx(power / seventy.tokens_per_second(0))


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="unknown chip"):
        load_profile("abacus")
    with pytest.raises(UsageError, match="unknown model"):
        load_profile("wse3", "eliza")
