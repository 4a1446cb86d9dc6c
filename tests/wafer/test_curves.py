from __future__ import annotations

from itertools import pairwise

import pytest

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import Chip, load_chip
from sparkcode.wafer.curves import operators, pace_by_context, pareto, spread_of
from sparkcode.wafer.shape import load_shape
from sparkcode.wafer.simulate import Turn

WSE3, H100 = load_chip("wse3"), load_chip("h100")


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-120b", "glm-4.6", "qwen2.5-coder-0.5b"])
def test_operators_are_all_of_the_model(name: str) -> None:
    shape = load_shape(name)
    found = operators(shape, users=1, context=0)
    assert sum(each.flops for each in found) == pytest.approx(2 * shape.active_parameters)
    read = shape.bytes_read(shape.experts_per_token)
    assert sum(each.bytes for each in found) == pytest.approx(read)


def test_users_share_weights_but_not_caches() -> None:
    shape = load_shape("llama-3.1-8b")
    one, eight = (
        {each.name: each for each in operators(shape, users=users, context=4096)}
        for users in (1, 8)
    )
    assert eight["head"].intensity == pytest.approx(8 * one["head"].intensity)
    assert eight["attention"].intensity == pytest.approx(one["attention"].intensity)
    assert one["attention"].intensity == pytest.approx(4096 / 1024)


@pytest.mark.parametrize("chip", [WSE3, H100], ids=lambda chip: chip.name)
def test_a_longer_context_is_slower(chip: Chip) -> None:
    points = pace_by_context(chip, load_shape("llama-3.1-8b"), [100, 10_000, 10_000_000])
    assert [point.x for point in points] == [100, 10_000, 131_071]
    assert all(one.y >= two.y for one, two in pairwise(points))


@pytest.mark.parametrize("chip", [WSE3, H100], ids=lambda chip: chip.name)
def test_the_front_trades_one_for_the_other(chip: Chip) -> None:
    points = pareto(chip, load_shape("llama-3.1-8b"), Turn(4000, 100))
    assert len(points) > 3
    for few, many in pairwise(points):
        assert many.x <= few.x * (1 + 1e-9)
        assert many.y > few.y
    with pytest.raises(UsageError):
        pareto(H100, load_shape("kimi-k2"), Turn(4000, 100))


def test_turns_of_many_lengths() -> None:
    found = spread_of(WSE3, load_shape("gpt-oss-120b"), Turn(8000, 200, 4000))
    prompts = [each.turn.prompt for each in found]
    assert prompts == sorted(prompts)
    assert prompts[0] < 1500
    assert prompts[-1] > 40_000
    assert all(each.turn.cached <= each.turn.prompt for each in found)
    # Longer than the model holds is cut, not refused.
    assert spread_of(WSE3, load_shape("gpt-oss-120b"), Turn(120_000, 1000))
