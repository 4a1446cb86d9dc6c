from __future__ import annotations

import asyncio
import time

from sparkcode.clock import LoopClock, VirtualTimeLoop


async def schedule() -> list[tuple[str, float]]:
    """Two sleepers and a timeout, and when each woke up."""
    clock, log = LoopClock(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep_until(clock.now() + seconds)
            log.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 100.0, 3))
        group.create_task(sleeper("b", 150.0, 2))
    try:
        async with asyncio.timeout(60):
            await asyncio.Event().wait()
    except TimeoutError:
        log.append(("timeout", clock.now()))
    return log


def run_virtual() -> list[tuple[str, float]]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(schedule())


def test_virtual_time_jumps_from_timer_to_timer() -> None:
    began = time.monotonic()
    log = run_virtual()
    assert time.monotonic() - began < 5
    assert log == [
        ("a", 100.0),
        ("b", 150.0),
        ("a", 200.0),
        ("b", 300.0),
        ("a", 300.0),
        ("timeout", 360.0),
    ]


def test_two_runs_have_the_same_schedule() -> None:
    assert run_virtual() == run_virtual()


def test_a_thread_can_wake_a_virtual_loop_that_waits_for_nothing_else() -> None:
    async def wait_for_thread() -> str:
        return await asyncio.to_thread(lambda: "done")

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(wait_for_thread()) == "done"


async def test_a_past_deadline_yields_once() -> None:
    clock = LoopClock()
    ran: list[bool] = []
    asyncio.get_running_loop().call_soon(ran.append, True)
    await clock.sleep_until(clock.now() - 1)
    assert ran == [True]
