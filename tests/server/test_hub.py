from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import partial

import pytest

from sparkcode.clock import LoopClock
from sparkcode.engine.base import EngineInfo, GenerateRequest, Step
from sparkcode.errors import EngineError
from sparkcode.server.hub import AHEAD, Hub, Run, StepRunner, WorkerThread, run_inline
from tests.server.support import StepEngine, endless, virtual, words

REQUEST = GenerateRequest(items=())


def make_hub(engine: StepEngine, run_step: StepRunner = run_inline) -> Hub:
    return Hub(engine, pace="max", clock=LoopClock(), run_step=run_step)


async def read(run: Run) -> list[str]:
    texts = []
    while not (run.finished and not run.ready):
        run.changed.clear()
        while run.ready:
            texts.append(run.take().step.text)
        if not run.finished:
            await run.changed.wait()
    return texts


def test_turns_run_one_after_another() -> None:
    async def main() -> None:
        active: list[int] = []

        def steps(_: GenerateRequest) -> Iterator[Step]:
            active.append(1)
            assert len(active) == 1
            yield from words("a b")
            active.pop()

        hub = make_hub(StepEngine(steps))
        runs = [hub.start(REQUEST) for _ in range(3)]
        assert hub.load == 3
        assert await asyncio.gather(*map(read, runs)) == [["a ", "b ", ""]] * 3
        assert hub.load == 0

    virtual(main)


def in_turn(order: list[str], bursts: int = 1) -> Callable[[GenerateRequest], Iterator[Step]]:
    """Steps that note who was pulled; each burst has ``bursts`` of them."""
    names = iter("abcdefghijkl")

    def steps(_: GenerateRequest) -> Iterator[Step]:
        name = next(names)
        for at in range(1, 4 * bursts + 1):
            order.append(name)
            yield Step(at / 100, name, 1, more=at % bursts > 0)

    return steps


def test_an_engine_that_batches_has_its_answers_pulled_in_turn() -> None:
    async def main() -> None:
        order: list[str] = []
        hub = make_hub(StepEngine(in_turn(order, 2), concurrent=8))
        runs = [hub.start(REQUEST) for _ in range(3)]
        assert await asyncio.gather(*map(read, runs)) == [["a"] * 8, ["b"] * 8, ["c"] * 8]
        assert "".join(order) == "aabbcc" * 4

    virtual(main)


async def test_a_thread_pulls_in_turn_too() -> None:
    order: list[str] = []
    worker = WorkerThread()
    hub = make_hub(StepEngine(in_turn(order), concurrent=8), worker)
    runs = [hub.start(REQUEST) for _ in range(3)]
    await asyncio.gather(*map(read, runs))
    worker.close()
    # Whoever came first may have been alone; nobody waits for another's end.
    assert order.index("c") < len(order) - 1 - order[::-1].index("a")


def test_no_more_answers_at_once_than_the_engine_likes() -> None:
    async def main() -> None:
        engine = StepEngine(lambda _: endless(), concurrent=2)
        hub = Hub(engine, pace="max", clock=LoopClock(), run_step=run_inline, waiting=1)
        runs = [hub.start(REQUEST) for _ in range(3)]
        await asyncio.sleep(1)
        assert [run.started_at is not None for run in runs] == [True, True, False]
        with pytest.raises(EngineError, match="queued already") as caught:
            hub.start(REQUEST)
        assert caught.value.code == "server_is_overloaded"
        runs[0].cancel()
        await asyncio.sleep(1)
        assert runs[2].started_at is not None
        await hub.close()
        assert hub.load == 0

    virtual(main)


def test_a_reader_that_lags_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        hub = make_hub(StepEngine(lambda _: endless(), concurrent=2))
        lagging, reading = hub.start(REQUEST), hub.start(REQUEST)
        for _ in range(3 * AHEAD):
            while not reading.ready:
                reading.changed.clear()
                await reading.changed.wait()
            reading.take()
        assert len(lagging.ready) == AHEAD
        await hub.close()

    virtual(main)


def test_an_error_ends_only_its_own_of_several() -> None:
    async def main() -> None:
        made: list[int] = []

        def steps(_: GenerateRequest) -> Iterator[Step]:
            made.append(1)
            fails = len(made) == 1
            yield Step(0.1, "a", 1)
            if fails:
                raise EngineError("mine")
            yield from words("b")

        hub = make_hub(StepEngine(steps, concurrent=8))
        bad, good = hub.start(REQUEST), hub.start(REQUEST)
        assert list(await asyncio.gather(read(bad), read(good))) == [["a"], ["a", "b ", ""]]
        assert str(bad.error) == "mine"
        assert good.error is None

    virtual(main)


def test_the_engine_does_not_run_far_ahead_of_its_reader() -> None:
    async def main() -> None:
        engine = StepEngine(lambda _: endless())
        hub = make_hub(engine)
        run = hub.start(REQUEST)
        await asyncio.sleep(1)
        assert engine.pulled == AHEAD
        run.take()
        await asyncio.sleep(1)
        assert engine.pulled == AHEAD + 1
        run.cancel()
        await asyncio.sleep(1)
        assert engine.closed.is_set()
        assert run.finished

    virtual(main)


def test_a_cancelled_turn_that_waits_never_reaches_the_engine() -> None:
    async def main() -> None:
        engine = StepEngine(lambda _: endless())
        hub = make_hub(engine)
        hub.start(REQUEST)
        await asyncio.sleep(0.1)
        waiting = hub.start(REQUEST)
        waiting.cancel()
        await hub.close()
        assert waiting.finished
        assert waiting.started_at is None
        assert len(engine.requests) == 1

    virtual(main)


def test_a_fault_in_an_engine_ends_its_turn_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        def broken(_: GenerateRequest) -> Iterator[Step]:
            yield Step(0.1, "a", 1)
            raise ZeroDivisionError

        engine = StepEngine(broken)
        hub = make_hub(engine)
        run = hub.start(REQUEST)
        assert await read(run) == ["a"]
        assert isinstance(run.error, EngineError)
        assert str(run.error) == "the engine failed: ZeroDivisionError"
        engine.steps = words("fine")
        assert await read(hub.start(REQUEST)) == ["fine ", ""]

    with caplog.at_level(logging.ERROR):
        virtual(main)
    assert "ZeroDivisionError" in caplog.text


def test_a_turn_whose_task_dies_ends_with_an_error() -> None:
    async def main() -> None:
        hub = make_hub(StepEngine(lambda _: endless()))
        run = hub.start(REQUEST)
        await asyncio.sleep(0.1)
        for task in list(hub._tasks):
            task.cancel()
        await asyncio.sleep(0.1)
        assert run.finished
        assert run.error is not None

    virtual(main)


async def test_a_worker_thread_runs_every_call_of_a_generator() -> None:
    threads = set()
    worker = WorkerThread()

    def steps(_: GenerateRequest) -> Iterator[Step]:
        try:
            for step in words("a b"):
                threads.add(threading.current_thread().name)
                yield step
        finally:
            threads.add(threading.current_thread().name)

    run = make_hub(StepEngine(steps), worker).start(REQUEST)
    assert await read(run) == ["a ", "b ", ""]
    worker.close()
    assert threads == {"engine_0"}


class Waiting:
    """An engine that waits on the loop: a step, then whatever it is told to do."""

    def __init__(self, then: Callable[[], Awaitable[None]]) -> None:
        self.then = then
        self.closed = False

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("upstream", "m", 100, concurrent=2)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        try:
            yield Step(sim_time=0.0, text="a", tokens=1)
            await self.then()
            yield Step(sim_time=0.0, finish_reason="stop")
        finally:
            self.closed = True

    async def warm(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        yield Step(sim_time=0.0, finish_reason="stop")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise EngineError("no", "odd")


async def breaks() -> None:
    raise ValueError("a bug")


def waiting_hub(engine: Waiting) -> Hub:
    return Hub(engine, pace="max", clock=LoopClock(), run_step=None)


def test_an_engine_that_waits_is_read_on_the_loop() -> None:
    async def main() -> None:
        engine = Waiting(partial(asyncio.sleep, 5))
        hub = waiting_hub(engine)
        assert await read(hub.start(REQUEST)) == ["a", ""]
        assert engine.closed
        assert await read(hub.start(REQUEST, warm=True)) == [""]

    virtual(main)


def test_a_cancel_reaches_an_engine_in_the_middle_of_its_waiting() -> None:
    async def main() -> None:
        engine = Waiting(for_ever)
        hub = waiting_hub(engine)
        run = hub.start(REQUEST)
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.sleep(0.1)
        assert engine.closed
        assert run.finished
        assert hub.load == 0

    virtual(main)


@pytest.mark.parametrize(("then", "code"), [(fails, "odd"), (breaks, "server_error")])
def test_a_failure_while_waiting_ends_the_run(
    then: Callable[[], Awaitable[None]], code: str
) -> None:
    async def main() -> None:
        run = waiting_hub(Waiting(then)).start(REQUEST)
        assert await read(run) == ["a"]
        assert run.error is not None
        assert run.error.code == code

    virtual(main)


def test_a_reader_that_is_far_behind_stops_an_engine_that_waits() -> None:
    class Many(Waiting):
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
            for _ in range(AHEAD * 2):
                yield Step(sim_time=0.0, text="a")

    async def main() -> None:
        run = waiting_hub(Many(for_ever)).start(REQUEST)
        await asyncio.sleep(1)
        assert len(run.ready) == AHEAD
        assert len(await read(run)) == AHEAD * 2

    virtual(main)
