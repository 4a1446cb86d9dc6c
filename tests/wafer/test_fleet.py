from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import load_chip
from sparkcode.wafer.fleet import Assumptions, Fleet, plan
from sparkcode.wafer.shape import load_shape
from sparkcode.wafer.simulate import Turn, simulate

ASSUMED = Assumptions(
    megawatts=750.0,
    overhead=1.2,
    context=8000,
    cached=0.9,
    output=200,
    pace=1000.0,
    utilisation=0.5,
    phases=(("2026", 0.5), ("2028", 1.0)),
)
WSE3, OSS = load_chip("wse3"), load_shape("gpt-oss-120b")


def planned(**changes: Any) -> Fleet:
    return plan(WSE3, OSS, replace(ASSUMED, **changes))


def test_power_makes_devices_makes_instances_makes_users() -> None:
    found = planned()
    half, whole = found.phases
    assert whole.devices == int(750e6 / (23_000 * 1.2))
    assert whole.instances == whole.devices // found.instance.devices
    assert whole.users == whole.instances * found.instance.users
    assert half.devices == pytest.approx(whole.devices / 2, abs=1)
    assert found.instance.tokens_per_second >= 1000


def test_the_instance_has_the_most_users_for_each_device() -> None:
    best = planned().instance
    for users in (1, best.users - 1, best.users + 1, 2 * best.users):
        other = simulate(WSE3, OSS, Turn(8000, 200, 7200), users=users)
        slow = 1 / other.sustained_tpot < 1000
        assert slow or other.users / other.devices <= best.users / best.devices


def test_a_slower_promise_serves_more() -> None:
    fast, slow = planned(pace=2000.0), planned(pace=500.0)
    assert slow.phases[-1].users > fast.phases[-1].users


def test_users_get_the_pace_while_prompts_are_read() -> None:
    """What is written in a day is what all users get, and the day has room for their prompts."""
    found = planned()
    last, instance = found.phases[-1], found.instance
    pace = 1 / instance.sustained_tpot
    assert pace >= 1000
    assert last.tokens_per_day == pytest.approx(last.users * pace * 86_400 * 0.5)
    turn = instance.token_turn
    assert turn is not None
    busy = instance.users * pace * (turn + instance.prompt_turn / instance.turn.output)
    assert busy <= 1 + 1e-9
    assert planned(cached=0.99).phases[-1].users > planned(cached=0.5, pace=200.0).phases[-1].users


def test_gpus_too() -> None:
    chip = load_chip("h100")
    found = plan(chip, OSS, replace(ASSUMED, pace=20.0)).instance
    assert found.users > 2
    assert found.devices == simulate(chip, OSS, found.turn).devices


def test_a_promise_that_no_user_gets_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"single user .* less than the promised 9000; promise less"
    ):
        planned(pace=9000.0)


def test_too_little_power_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0\.01 MW power no instance: one takes 0\.\d+ MW"):
        planned(megawatts=0.01)


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(UsageError, match="use a shorter --context"):
        planned(context=1_000_000)
