from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.wafer.pacer import FRAME_SECONDS, FrameClock, PaceMode, Pacer, frame_clock
from sparkcode.wafer.profile import load_profile

MODES: tuple[PaceMode, ...] = get_args(PaceMode)
TIMES = st.floats(0, 1e6)


def arrivals(
    mode: PaceMode,
    sim_times: list[float],
    computed: list[float],
    wake_up: Callable[[int], float] = lambda _: 0.0,
) -> tuple[list[float], int]:
    """When each step leaves a server on a simulated clock, and in how many frames.

    ``wake_up(n)`` is how late the server's n-th sleep ends.
    """
    pacer, frames = Pacer(mode, start=0.0), frame_clock(mode)
    releases = [pacer.release_at(*step) for step in zip(sim_times, computed, strict=True)]
    sent: list[float] = []
    count = 0
    while len(sent) < len(releases):
        oldest = len(sent)
        at = min(frames.flush_at(releases[oldest]), frames.flush_at(releases[-1], final=True))
        now = at + wake_up(count)
        assert frames.due(releases[oldest], now) or frames.due(releases[-1], now, final=True)
        ready = sum(release <= now for release in releases[oldest:])
        sent += [now] * ready
        frames.flushed(now)
        count += 1
    return sent, count


@pytest.mark.parametrize("rate", [500, 1000, 4000])
@pytest.mark.parametrize("late", [0.0, 0.0004])
def test_achieved_rate_is_the_predicted_one(rate: int, late: float) -> None:
    steps = 200
    sim_times = [(n + 1) / rate for n in range(steps)]
    sent, frames = arrivals("sim", sim_times, [0.0] * steps, lambda _: late)
    assert (steps - 1) / (sent[-1] - sent[0]) == pytest.approx(rate, rel=0.01)
    assert sent[0] == pytest.approx(sim_times[0] + late)
    assert all(
        due <= left <= due + FRAME_SECONDS + late + 1e-12
        for due, left in zip(sim_times, sent, strict=True)
    )
    if rate > 1 / FRAME_SECONDS:
        assert frames < steps
    assert frames <= (sent[-1] - sent[0]) / FRAME_SECONDS + 2


def test_a_profile_s_rate_is_felt() -> None:
    cost = load_profile().cost
    now, sim_times = cost.prefill_seconds(300, 0), []
    for n in range(200):
        now += cost.decode_seconds(300 + n)
        sim_times.append(now)
    sent, _ = arrivals("sim", sim_times, [0.0] * 200)
    predicted = 199 / (sim_times[-1] - sim_times[0])
    assert 199 / (sent[-1] - sent[0]) == pytest.approx(predicted, rel=0.01)


@settings(deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(MODES),
    start=TIMES,
    steps=st.lists(st.tuples(TIMES, TIMES), min_size=1),
)
def test_releases_never_decrease_nor_precede_the_computation(
    mode: PaceMode, start: float, steps: list[tuple[float, float]]
) -> None:
    pacer = Pacer(mode, start)
    last = 0.0
    for sim_time, computed_at in steps:
        release = pacer.release_at(sim_time, computed_at)
        assert release >= max(last, computed_at)
        assert 0 <= pacer.lag <= pacer.max_lag
        if mode == "sim":
            assert release >= start + sim_time
        else:
            assert pacer.max_lag == 0
        last = release


@pytest.mark.parametrize("dilation", [0.1, 1.0, 10.0])
def test_a_dilated_second_is_as_long_as_asked(dilation: float) -> None:
    pacer = Pacer("sim", start=5.0, dilation=dilation)
    assert pacer.release_at(2.0, 0.0) == 5.0 + 2.0 * dilation
    assert pacer.lag == 0
    pacer.release_at(3.0, 5.0 + 3.0 * dilation + 0.5)
    assert pacer.lag == pytest.approx(0.5)


@pytest.mark.parametrize("mode", ["live", "max"])
def test_live_and_max_release_as_computed(mode: PaceMode) -> None:
    pacer = Pacer(mode, start=10.0)
    assert pacer.release_at(5.0, 10.1) == 10.1
    assert pacer.release_at(0.0, 99.0) == 99.0
    assert pacer.lag == 0


def test_sim_waits_for_the_deadline() -> None:
    pacer = Pacer("sim", start=10.0)
    assert pacer.release_at(0.5, 10.1) == 10.5
    assert pacer.lag == 0


def test_lag_is_shown_and_recovers() -> None:
    pacer = Pacer("sim", start=10.0)
    assert pacer.release_at(0.1, 10.4) == 10.4
    assert pacer.lag == pytest.approx(0.3)
    assert pacer.release_at(0.2, 10.41) == 10.41
    assert pacer.lag == pytest.approx(0.21)
    assert pacer.release_at(0.9, 10.5) == 10.9
    assert pacer.lag == 0
    assert pacer.max_lag == pytest.approx(0.3)


def test_the_first_step_and_the_last_wait_for_no_frame() -> None:
    frames = FrameClock(0.003)
    assert frames.due(1.0, 1.0)
    frames.flushed(1.0)
    assert frames.flush_at(1.001) == pytest.approx(1.003)
    assert not frames.due(1.001, 1.002)
    assert frames.due(1.001, 1.002, final=True)
    assert frames.due(1.001, 1.0031)
    assert not frames.due(2.0, 1.5)
    assert not frames.due(2.0, 1.5, final=True)


def test_max_sends_each_step_at_once() -> None:
    times = [n / 10_000 for n in range(50)]
    sent, frames = arrivals("max", [9.0] * 50, times)
    assert sent == times
    assert frames == 50
    _, coalesced = arrivals("live", [9.0] * 50, times)
    assert coalesced <= 4
