from __future__ import annotations

from dataclasses import astuple
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant.meter import StreamMeter, StreamStats
from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    ErrorEvent,
    FunctionCallArgumentsDelta,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ServerEvent,
    SparkTiming,
    WebSocketTiming,
)

Sample = tuple[float, int]


def token(text: str = "x") -> OutputTextDelta:
    return OutputTextDelta(delta=text)


def stamped(sim_time: float, tokens: int = 1, text: str = "x") -> CustomToolCallInputDelta:
    return CustomToolCallInputDelta(delta=text, spark=SparkTiming(sim_time=sim_time, tokens=tokens))


def meter(request: float, *events: tuple[float, ServerEvent]) -> StreamMeter:
    measured = StreamMeter()
    measured.sent(request)
    for now, event in events:
        measured.observe(now, event)
    return measured


def test_nothing_is_known_before_a_request() -> None:
    measured = StreamMeter()
    measured.observe(1.0, token())
    measured.painted(1.0)
    measured.ended(1.0)
    assert measured.stats(2.0) == StreamStats()


def test_a_request_without_an_answer() -> None:
    measured = meter(1.0, (1.5, ResponseCreated(response=Response())))
    measured.painted(1.6)
    assert measured.stats(3.0) == StreamStats(elapsed=2.0)


def test_the_definitions_on_one_token_deltas() -> None:
    times = [10.2, 10.3, 10.5, 10.6, 11.0]
    measured = meter(10.0, *((t, token()) for t in times))
    measured.painted(11.1)
    measured.observe(11.2, ResponseCompleted(response=Response()))
    stats = measured.stats(99.0)
    assert astuple(stats) == pytest.approx(
        astuple(
            StreamStats(
                ttft=0.2,
                ttfp=1.1,
                itl_p50=0.1,
                itl_p95=0.4,
                itl_max=0.4,
                tokens=5,
                tokens_per_second=4 / 0.8,
                live_tokens_per_second=None,
                turn_rate=5 / 1.0,
                backlog=0,
                display_efficiency=1.0 / 1.1,
                elapsed=1.2,
            )
        )
    )


def test_a_delta_without_text_is_a_sample_but_not_content() -> None:
    measured = meter(0.0, (0.1, stamped(0.01, 4, "")), (0.2, stamped(0.02, 4)))
    stats = measured.stats(0.2)
    assert (stats.ttft, stats.tokens) == (0.2, 8)
    assert stats.sim_ttft == 0.01
    assert stats.sim_tokens_per_second == pytest.approx(4 / 0.01)
    assert stats.sim_turn_rate == pytest.approx(8 / 0.02)
    measured.painted(0.2)
    assert measured.stats(0.2).ttfp == 0.2


def test_tokens_alone_are_no_first_paint() -> None:
    measured = meter(0.0, (0.1, stamped(0.01, 4, "")))
    measured.painted(0.15)
    assert measured.stats(0.2).ttfp is None
    measured.observe(0.2, token())
    measured.painted(0.25)
    assert measured.stats(0.3).ttfp == 0.25


def test_text_without_tokens_is_content_but_no_sample() -> None:
    measured = meter(0.0, (0.1, stamped(0.01, 0)), (0.2, stamped(0.02, 0, "")))
    stats = measured.stats(0.3)
    assert (stats.ttft, stats.tokens, stats.turn_rate, stats.sim_ttft) == (0.1, 0, None, None)


def test_the_tokens_that_a_first_delta_carries_are_not_spread_over_the_rest() -> None:
    measured = meter(0.0, (1.0, stamped(0.1, 8)), (2.0, stamped(0.2, 4)))
    assert measured.stats(2.0).tokens_per_second == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        ([0.5], None),
        ([0.5, 0.5], None),
        ([0.02, 0.021, 0.022], 2 / 0.002),
        ([71.0, 71.029], None),
        ([71.0, 72.0], 1.0),
    ],
)
def test_a_burst_after_a_long_wait_has_no_rate(times: list[float], rate: float | None) -> None:
    measured = meter(0.0, *((t, token()) for t in times))
    known = measured.stats(times[-1]).tokens_per_second
    assert known == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("times", "now", "rate"),
    [
        ([0.1, 0.2], 0.2, None),
        ([0.1, 0.2, 0.3], 0.3, 10.0),
        ([0.1, 0.11, 0.12], 0.12, None),
        ([0.1, 0.2, 0.3], 1.05, 10.0),
        ([0.1, 0.2, 0.3], 1.1, None),
        ([0.1, 1.1, 1.5, 2.0], 2.0, 2 / 0.9),
        ([0.1, 1.0, 1.5, 2.0], 2.0, None),
    ],
)
def test_the_live_rate_has_a_window(times: list[float], now: float, rate: float | None) -> None:
    measured = meter(0.0, *((t, token()) for t in times))
    known = measured.stats(now).live_tokens_per_second
    assert known == (None if rate is None else pytest.approx(rate))


def test_backlog_and_efficiency_follow_the_paints() -> None:
    measured = meter(0.0, (1.0, token()), (2.0, token()))
    assert measured.stats(2.0).backlog == 2
    assert measured.stats(2.0).display_efficiency is None
    measured.painted(2.0)
    assert measured.stats(2.0).display_efficiency == 1.0
    measured.observe(3.0, token())
    assert measured.stats(3.0).backlog == 1
    assert measured.stats(3.0).display_efficiency == 1.0
    measured.painted(4.0)
    measured.painted(9.0)
    assert measured.stats(9.0).backlog == 0
    assert measured.stats(9.0).display_efficiency == pytest.approx(3 / 4)


def test_a_paint_at_the_time_of_the_request_has_no_efficiency() -> None:
    measured = meter(1.0, (1.0, token()))
    measured.painted(1.0)
    assert measured.stats(1.0).display_efficiency is None
    assert measured.stats(1.0).turn_rate is None


def test_the_engine_tells_its_own_time_to_first_token() -> None:
    def told(value: object) -> ServerEvent:
        return WebSocketTiming(timing_metrics={"engine_service_ttft_total_ms": value})

    assert meter(0.0, (1.0, told(233))).stats(1.0).engine_ttft == pytest.approx(0.233)
    assert meter(0.0, (1.0, told("233"))).stats(1.0).engine_ttft is None
    assert meter(0.0, (1.0, told(True))).stats(1.0).engine_ttft is None
    assert meter(0.0, (1.0, WebSocketTiming(timing_metrics={}))).stats(1.0).engine_ttft is None


def test_the_engine_tells_how_many_tokens_a_pass_brought() -> None:
    def told(value: object) -> ServerEvent:
        return WebSocketTiming(timing_metrics={"spark_accepted_per_step": value})

    assert meter(0.0, (1.0, told(3.25))).stats(1.0).accepted_per_step == 3.25
    assert meter(0.0, (1.0, told("3"))).stats(1.0).accepted_per_step is None


def test_the_server_tells_how_far_it_fell_behind_the_chip() -> None:
    def told(value: object) -> ServerEvent:
        return WebSocketTiming(timing_metrics={"lag_ms": value})

    assert meter(0.0, (1.0, told(1250))).stats(1.0).sim_lag == pytest.approx(1.25)
    assert meter(0.0, (1.0, told(None))).stats(1.0).sim_lag is None


def test_nothing_counts_after_the_end() -> None:
    measured = meter(0.0, (1.0, token()), (2.0, ErrorEvent()), (3.0, token()))
    assert (measured.stats(5.0).tokens, measured.stats(5.0).elapsed) == (1, 2.0)
    stopped = meter(0.0, (1.0, FunctionCallArgumentsDelta(delta="{")))
    stopped.ended(1.5)
    stopped.ended(1.9)
    stopped.observe(2.0, token())
    assert (stopped.stats(5.0).tokens, stopped.stats(5.0).elapsed) == (1, 1.5)


def test_a_new_request_starts_over() -> None:
    measured = meter(0.0, (1.0, token()))
    measured.sent(5.0)
    assert measured.stats(6.0) == StreamStats(elapsed=1.0)


@given(
    st.lists(st.tuples(st.floats(0.001, 2), st.integers(1, 9)), min_size=1, max_size=40),
    st.floats(0, 10),
)
def test_every_figure_is_what_its_definition_says(samples: list[Sample], request: float) -> None:
    times = list(accumulate((gap for gap, _ in samples), initial=request))[1:]
    counts = [count for _, count in samples]
    measured = meter(request, *((t, stamped(t, n)) for t, n in zip(times, counts, strict=True)))
    stats = measured.stats(times[-1])
    gaps = sorted(b - a for a, b in pairwise(times))
    span = times[-1] - times[0]
    assert stats.tokens == stats.backlog == sum(counts)
    assert stats.ttft == pytest.approx(times[0] - request)
    assert stats.turn_rate == pytest.approx(sum(counts) / (times[-1] - request))
    if gaps:
        assert stats.itl_max == gaps[-1]
        for share, known in ((50, stats.itl_p50), (95, stats.itl_p95)):
            assert known is not None
            assert sum(gap <= known for gap in gaps) * 100 >= share * len(gaps)
            assert sum(gap < known for gap in gaps) * 100 < share * len(gaps)
        if span >= 0.05:
            assert stats.tokens_per_second == pytest.approx(sum(counts[1:]) / span)
    window = [(t, n) for t, n in zip(times, counts, strict=True) if t > times[-1] - 1.0]
    width = window[-1][0] - window[0][0]
    if len(window) >= 3 and width >= 0.05:
        live = sum(n for _, n in window[1:]) / width
        assert stats.live_tokens_per_second == pytest.approx(live)
    else:
        assert stats.live_tokens_per_second is None


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=20), st.floats(0, 3))
def test_a_screen_that_lags_is_never_above_one(gaps: list[float], lag: float) -> None:
    times = list(accumulate(gaps))
    measured = meter(0.0, *((t, token()) for t in times))
    measured.painted(times[-1] + lag)
    efficiency = measured.stats(times[-1] + lag).display_efficiency
    assert efficiency == pytest.approx(times[-1] / (times[-1] + lag))


def test_a_pause_between_two_responses_is_no_interval() -> None:
    end = ResponseCompleted(response=Response())
    measured = meter(10.0, (10.5, stamped(0.1)), (10.6, stamped(0.2)), (10.7, stamped(0.3)))
    measured.observe(10.7, end)
    assert measured.stats(30.0).elapsed == pytest.approx(0.7)
    measured.resumed()
    assert measured.stats(30.0).live_tokens_per_second is None
    for now, event in ((40.0, stamped(0.5)), (40.1, stamped(0.6, 3)), (40.1, end)):
        measured.observe(now, event)
    stats = measured.stats(50.0)
    assert (stats.ttft, stats.tokens) == (0.5, 7)
    assert stats.itl_max == pytest.approx(0.1)
    assert stats.tokens_per_second == pytest.approx(5 / 0.3)
    assert stats.elapsed == pytest.approx(30.1)
    assert stats.sim_ttft == pytest.approx(0.1)
    assert stats.sim_tokens_per_second == pytest.approx(5 / 0.3)
    # The simulated times of both requests, one behind the other.
    assert stats.sim_turn_rate == pytest.approx(7 / 0.9)


def test_a_turn_that_goes_on_before_it_began() -> None:
    measured = StreamMeter()
    measured.resumed()
    assert measured.stats(1.0) == StreamStats()
    measured.sent(1.0)
    measured.resumed()
    measured.observe(2.0, token())
    measured.observe(2.5, token())
    assert measured.stats(3.0).ttft == 1.0
    assert measured.stats(3.0).tokens_per_second == pytest.approx(2.0)
