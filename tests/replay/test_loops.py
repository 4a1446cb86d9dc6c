from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sparkcode.replay.loops import InlineVirtualLoop, ScaledTimeLoop


def test_simulated_time_costs_no_wall_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    with asyncio.Runner(loop_factory=InlineVirtualLoop) as runner:
        assert runner.run(sleep()) == pytest.approx(3600)
    assert time.monotonic() - before < 60


def test_work_for_a_thread_is_done_here_and_takes_no_time() -> None:
    async def ask() -> tuple[int, float]:
        return await asyncio.to_thread(threading.get_ident), asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=InlineVirtualLoop) as runner:
        assert runner.run(ask()) == (threading.get_ident(), 0.0)


def test_its_failure_reaches_who_waits() -> None:
    async def fail() -> None:
        await asyncio.to_thread(int, "x")

    with (
        asyncio.Runner(loop_factory=InlineVirtualLoop) as runner,
        pytest.raises(ValueError, match="invalid literal"),
    ):
        runner.run(fail())


def test_scaled_time_runs_faster() -> None:
    async def sleep() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(10)
        return loop.time() - start

    before = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: ScaledTimeLoop(1000)) as runner:
        assert runner.run(sleep()) >= 10
    assert 0.01 <= time.monotonic() - before < 10
