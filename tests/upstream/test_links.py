"""A gateway's links to a Responses server: what becomes of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from sparkcode.server.connection import serve_connection
from sparkcode.server.narrator import Wishes
from sparkcode.upstream.attempt import INTERRUPT_SECONDS
from sparkcode.upstream.pool import MAX_AGE_SECONDS, MAX_IDLE
from tests.server.support import StepEngine, endless, make_service, virtual, words
from tests.upstream.support import Canned, MemoryDialer, question, response, told, upstream


async def left_in_the_middle(dialer: MemoryDialer) -> Any:
    """The engine, after somebody has left an answer after its first text."""
    engine = upstream(dialer, model="spark")
    steps = engine.generate(question("a"))

    async def reading() -> None:
        async for _ in steps:
            pass

    task = asyncio.create_task(reading())
    await asyncio.sleep(0.5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return engine


def test_leaving_a_server_of_our_kind_interrupts_it_and_keeps_the_link() -> None:
    async def main() -> None:
        inner = StepEngine(lambda request: words("hi") if len(request.items) > 1 else endless())
        service = make_service(inner)
        dialer = MemoryDialer(lambda end: serve_connection(service, end, Wishes()), engine="spark")
        engine = await left_in_the_middle(dialer)
        assert inner.closed.is_set()
        assert await told(engine.generate(question("b", "x", "c"))) == "hi "
        assert dialer.dialed == 1
        await engine.close()

    virtual(main)


def test_leaving_any_other_server_drops_the_link() -> None:
    async def main() -> None:
        dialer = MemoryDialer(Canned([[*response(1, "A")[:1], ...]]))
        engine = await left_in_the_middle(dialer)
        with pytest.raises(Exception, match="closed"):
            await dialer.ends[0].send("x")
        await engine.close()

    virtual(main)


def test_a_server_that_does_not_heed_an_interrupt_is_left() -> None:
    async def main() -> float:
        dialer = MemoryDialer(Canned([[*response(1, "A")[:1], ...]]), engine="spark")
        begun = asyncio.get_running_loop().time()
        engine = await left_in_the_middle(dialer)
        took = asyncio.get_running_loop().time() - begun - 0.5
        with pytest.raises(Exception, match="closed"):
            await dialer.ends[0].send("x")
        await engine.close()
        return took

    assert virtual(main) <= INTERRUPT_SECONDS + 0.1


def test_leaving_with_the_last_step_keeps_any_link() -> None:
    async def main() -> None:
        dialer = MemoryDialer(Canned([response(1, "A"), response(2, "B")]))
        engine = upstream(dialer)
        steps = engine.generate(question("a"))
        while (await anext(steps)).finish_reason is None:
            pass
        await steps.aclose()
        assert await told(engine.generate(question("b"))) == "B"
        assert dialer.dialed == 1
        await engine.close()

    virtual(main)


def test_an_old_link_is_not_used() -> None:
    async def main() -> None:
        server = Canned([response(1, "A"), response(2, "C")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        await told(engine.generate(question("a")))
        await asyncio.sleep(MAX_AGE_SECONDS + 1)
        await told(engine.generate(question("a", "A", "c")))
        assert dialer.dialed == 2
        await engine.close()

    virtual(main)


def test_idle_links_are_few() -> None:
    async def main() -> None:
        async def serve(end: Any) -> None:
            await Canned([response(1, "A")])(end)

        dialer = MemoryDialer(serve)
        engine = upstream(dialer)
        for at in range(MAX_IDLE + 3):
            await told(engine.generate(question(f"q{at}")))
        await asyncio.sleep(0.1)
        closed = sum(task.done() for task in dialer.tasks)
        assert (dialer.dialed, closed) == (MAX_IDLE + 3, 3)
        await engine.close()

    virtual(main)
