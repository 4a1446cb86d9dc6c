from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from sparkcode.engine.base import Channel, GenerateRequest, Step, TokenUsage
from sparkcode.errors import EngineError
from sparkcode.protocol.events import (
    ErrorEvent,
    OutputTextDelta,
    ResponseCompleted,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    WebSocketTiming,
)
from sparkcode.server.narrator import Wishes
from tests.server.support import (
    Session,
    StepEngine,
    create,
    endless,
    make_service,
    tags,
    text_of,
    virtual,
    words,
)


def test_a_message_comes_in_the_order_of_the_reference() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("one two")))) as client:
            await client.send(create())
            events = await client.until(ResponseCompleted)
            assert tags(events) == [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "completed",
            ]
            assert [event.sequence_number for event in events] == list(range(len(events)))
            final = events[-1].response
            assert text_of(final) == "one two "
            assert (final.usage.input_tokens, final.usage.output_tokens) == (10, 2)
            assert final.usage.input_tokens_details.cached_tokens == 4
            assert final.usage.total_tokens == 12
            assert events[4].spark is not None

    virtual(main)


def test_a_session_has_the_same_events_each_time() -> None:
    async def main() -> list[dict[str, object]]:
        async with Session(make_service(StepEngine(words("a b c")))) as client:
            await client.send(create())
            return [await client.raw() for _ in range(10)]

    assert virtual(main) == virtual(main)


def test_simulated_time_goes_only_to_those_who_asked() -> None:
    async def main(wishes: Wishes) -> list[dict[str, object]]:
        async with Session(make_service(StepEngine(words("a b"))), wishes) as client:
            await client.send(create())
            frames = [await client.raw() for _ in range(6)]
            return [frame for frame in frames if "delta" in frame]

    assert all("spark" not in frame for frame in virtual(lambda: main(Wishes())))
    timed = virtual(lambda: main(Wishes(timing=True)))
    assert timed[0]["spark"] == {"sim_time": 0.1, "tokens": 1}


def test_deltas_are_released_at_the_simulated_pace_and_share_frames() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        engine = StepEngine(words(" ".join(["x"] * 1000), rate=1000))
        async with Session(make_service(engine), Wishes(timing=True)) as client:
            began = loop.time()
            await client.send(create())
            arrivals = []
            while not isinstance(event := await client.next(), ResponseCompleted):
                if isinstance(event, OutputTextDelta) and event.spark:
                    arrivals.append((loop.time() - began, event.spark.sim_time, event.spark.tokens))
            assert arrivals[0][0] == pytest.approx(0.1, abs=1e-6)
            assert loop.time() - began == pytest.approx(0.1 + 0.999, abs=1e-6)
            assert sum(tokens for _, _, tokens in arrivals) == 1000
            assert 300 <= len(arrivals) <= 340
            assert all(-1e-9 <= at - sim <= 0.003 for at, sim, _ in arrivals)

    virtual(main)


@pytest.mark.parametrize("rate", [500, 1000, 4000])
@pytest.mark.parametrize("dilation", [1.0, 20.0, 0.5])
def test_the_achieved_pace_is_exactly_the_predicted_one(rate: int, dilation: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        engine = StepEngine(words(" ".join(["x"] * 201), rate=rate))
        async with Session(make_service(engine, dilation=dilation)) as client:
            began = loop.time()
            await client.send(create())
            first = last = 0.0
            while not isinstance(event := await client.next(), ResponseCompleted):
                if isinstance(event, OutputTextDelta):
                    last = loop.time() - began
                    first = first or last
            assert first == pytest.approx(0.1 * dilation, abs=1e-6)
            assert 200 / (last - first) == pytest.approx(rate / dilation, rel=1e-4)

    virtual(main)


def test_a_long_prefill_is_not_silent() -> None:
    async def main() -> None:
        steps = [Step(sim_time=40.0, text="late", tokens=1), *words("end", ttft=40.0)]
        async with Session(make_service(StepEngine(steps))) as client:
            await client.send(create())
            events = await client.until(ResponseCompleted)
            assert tags(events).count("in_progress") == 3

    virtual(main)


def test_engine_failures_end_the_turn_with_their_code() -> None:
    async def main() -> None:
        engine = StepEngine(words("some text")[:2], EngineError("full", "context_length_exceeded"))
        async with Session(make_service(engine)) as client:
            await client.send(create())
            final = (await client.until(ResponseFailed))[-1].response
            assert (final.status, final.error.code) == ("failed", "context_length_exceeded")
            assert final.error.message == "full"
            await client.send(create(previous_response_id=final.id))
            assert (await client.until(ErrorEvent))[-1].error.code == "previous_response_not_found"

    virtual(main)


def test_an_answer_that_is_cut_off_is_incomplete() -> None:
    async def main() -> None:
        steps = [Step(sim_time=0.1, text="cut", tokens=1), Step(0.1, finish_reason="length")]
        async with Session(make_service(StepEngine(steps))) as client:
            await client.send(create())
            final = (await client.until(ResponseIncomplete))[-1].response
            assert final.incomplete_details.reason == "max_output_tokens"
            assert final.output[0].status == "incomplete"
            assert text_of(final) == "cut"

    virtual(main)


def test_figures_come_before_the_terminal_event() -> None:
    async def main() -> None:
        usage = TokenUsage(10, 4, 7, passes=2, drafted_tokens=8, accepted_tokens=4)
        steps = [
            Step(0.05, prefill_seconds=0.02),
            *words("a b c", ttft=0.2, rate=10)[:-1],
            Step(0.4, decode_seconds=0.03, verify_seconds=0.04, draft_seconds=0.001),
            Step(0.4, finish_reason="stop", usage=usage),
        ]
        async with Session(make_service(StepEngine(steps)), Wishes(metrics=True)) as client:
            await client.send(create())
            events = await client.until(ResponseCompleted)
            assert isinstance(events[-2], WebSocketTiming)
            figures = events[-2].timing_metrics
            assert figures["engine_service_ttft_total_ms"] == pytest.approx(200, abs=1)
            assert figures["engine_service_total_ms"] == pytest.approx(400, abs=1)
            assert figures["engine_service_tbt_across_engine_calls_ms"] == pytest.approx(100, abs=1)
            assert figures["prefill_ms"] == 20
            assert figures["cached_tokens"] == 4
            assert figures["lag_ms"] == 0
            assert figures["decode_ms"] == 30
            assert figures["spark_verify_ms"] == 40
            assert figures["spark_draft_ms"] == 1
            assert figures["spark_accepted_per_step"] == 3

    virtual(main)


def test_an_overloaded_engine_says_so() -> None:
    async def main() -> None:
        service = make_service(StepEngine(lambda _: endless()))
        service.hub._waiting = 0
        async with Session(service) as first, Session(service) as second:
            await first.send(create())
            await first.until(OutputTextDelta)
            await second.send(create())
            error = (await second.until(ErrorEvent))[-1]
            assert (error.status, error.error.code) == (503, "server_is_overloaded")
            assert error.error.type == "server_error"
            service.hub._waiting = 1
            await second.send(create())
            await second.until(ResponseInProgress)

    virtual(main)


def test_progress_is_shown_for_an_open_item_only_and_at_most_60_times_a_second() -> None:
    def steps(_: GenerateRequest) -> Iterable[Step]:
        channel = Channel("custom_tool_call", "apply_patch")
        yield Step(sim_time=0.01, tokens=5, channel=channel)
        yield Step(sim_time=0.02, text="begin\n", tokens=1, channel=channel)
        for at in range(1000):
            yield Step(sim_time=0.02 + (at + 1) / 1000, tokens=1, channel=channel)
        yield Step(sim_time=1.02, text="end\n", tokens=1, channel=channel)
        yield Step(sim_time=1.02, channel=channel, finish_reason="stop")

    async def main(wishes: Wishes) -> list[dict[str, object]]:
        async with Session(make_service(StepEngine(steps)), wishes) as client:
            await client.send(create())
            frames = []
            while (frame := await client.raw())["type"] != "response.completed":
                frames.append(frame)
            return [frame for frame in frames if "delta" in frame]

    assert [frame["delta"] for frame in virtual(lambda: main(Wishes()))] == ["begin\n", "end\n"]
    shown = virtual(lambda: main(Wishes(timing=True)))
    assert shown[0]["spark"] == {"sim_time": 0.02, "tokens": 6}
    assert 50 <= len(shown) <= 64
    assert sum(frame["spark"]["tokens"] for frame in shown) == 1007  # type: ignore[index]


def test_two_items_in_one_response() -> None:
    async def main() -> None:
        call = Channel("function_call", "get_weather", 1)
        steps = [
            Step(0.1, "Let me see. ", 3),
            Step(0.1, '{"city":', 2, call),
            Step(0.1, '"Oslo"}', 2, call, finish_reason="stop"),
        ]
        async with Session(make_service(StepEngine(steps))) as client:
            await client.send(create())
            events = await client.until(ResponseCompleted)
            message, function = events[-1].response.output
            assert message.text == "Let me see. "
            assert (function.name, function.arguments) == ("get_weather", '{"city":"Oslo"}')
            indexes = [event.output_index for event in events if hasattr(event, "output_index")]
            assert indexes == sorted(indexes)
            assert "function_call_arguments.done" in tags(events)

    virtual(main)


def test_without_frames_every_step_is_a_delta() -> None:
    async def main() -> None:
        async with Session(make_service(StepEngine(words("a b c d")), pace="max")) as client:
            await client.send(create())
            events = await client.until(ResponseCompleted)
            deltas = [event.delta for event in events if isinstance(event, OutputTextDelta)]
            assert deltas == ["a ", "b ", "c ", "d "]

    virtual(main)
