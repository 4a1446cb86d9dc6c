from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from sparkcode.clock import LoopClock
from sparkcode.engine.scripted import Rule, ScriptedEngine
from sparkcode.link.transport import Transport
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import ResponseCreate
from sparkcode.replay.loops import InlineVirtualLoop
from sparkcode.replay.wire import MemoryWire

RULE = Rule(reply="one two three four", ttft=0.25, tokens_per_second=10)


def virtually(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=InlineVirtualLoop) as runner:
        return runner.run(work)


def question(text: str = "go") -> str:
    return encode(
        ResponseCreate(model="spark", input=[{"role": "user", "content": text, "type": "message"}])
    )


async def answer(client: Transport) -> list[tuple[float, dict[str, Any]]]:
    """(time, event) up to the end of a response."""
    loop, seen = asyncio.get_running_loop(), []
    async for frame in client.frames():
        event = msgspec.json.decode(frame)
        seen.append((loop.time(), event))
        if event["type"] == "response.completed":
            break
    return seen


async def ask(wire: MemoryWire) -> list[tuple[float, dict[str, Any]]]:
    client, _ = await wire.dial()
    await client.send(question())
    return await answer(client)


def deltas(seen: list[tuple[float, dict[str, Any]]]) -> list[tuple[float, str]]:
    return [
        (round(when, 6), event["delta"])
        for when, event in seen
        if event["type"] == "response.output_text.delta"
    ]


def test_the_pace_alone_says_when_a_token_comes() -> None:
    async def run() -> list[tuple[float, dict[str, Any]]]:
        wire = MemoryWire(ScriptedEngine((RULE,)), pace="sim", clock=LoopClock())
        seen = await ask(wire)
        await wire.close()
        return seen

    seen = virtually(run())
    assert deltas(seen) == [(0.25, "one"), (0.35, " two"), (0.45, " three"), (0.55, " four")]
    assert next(event["spark"] for _, event in seen if "spark" in event) == {
        "sim_time": 0.25,
        "tokens": 1,
    }
    assert any(event["type"] == "responsesapi.websocket_timing" for _, event in seen)


def test_two_runs_give_the_same_frames_at_the_same_times() -> None:
    async def run() -> list[tuple[float, dict[str, Any]]]:
        return await ask(MemoryWire(ScriptedEngine((RULE,)), pace="sim", clock=LoopClock()))

    assert virtually(run()) == virtually(run())


def test_the_peer_says_who_answers() -> None:
    async def run() -> tuple[str, str, str]:
        wire = MemoryWire(ScriptedEngine(), pace="max", clock=LoopClock())
        _, peer = await wire.dial()
        await wire.close()
        return peer.kind, peer.engine, peer.model

    assert virtually(run()) == ("memory", "scripted", "scripted")


def test_closing_ends_a_response_that_streams() -> None:
    async def run() -> tuple[float, int]:
        wire = MemoryWire(ScriptedEngine((RULE,)), pace="sim", clock=LoopClock())
        client, _ = await wire.dial()
        await client.send(question())
        await asyncio.sleep(0.3)
        await wire.close()
        await client.close()
        frames = [frame async for frame in client.frames()]
        return asyncio.get_running_loop().time(), sum("delta" in frame for frame in frames)

    when, count = virtually(run())
    assert when < 0.5
    assert 0 < count < 8


def test_a_second_link_is_served_too() -> None:
    async def run() -> list[int]:
        wire = MemoryWire(ScriptedEngine((RULE,)), pace="max", clock=LoopClock())
        both = await asyncio.gather(ask(wire), ask(wire))
        await wire.close()
        return [len(deltas(seen)) for seen in both]

    assert all(virtually(run()))
