"""A turn of a real engine as a timeline: when its answer came, by the wall's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final, cast

from sparkcode.assistant.plain import one_line
from sparkcode.errors import EngineUnreachableError, SparkError
from sparkcode.link.chain import Chain
from sparkcode.link.dialer import UrlDialer
from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    ErrorEvent,
    OutputTextDelta,
    ResponseCompleted,
    ResponseCreate,
    ResponseFailed,
    ResponseIncomplete,
    ServerEvent,
    Usage,
)
from sparkcode.protocol.machine import Machine
from sparkcode.wafer.timeline import Timeline

QUESTION: Final = "Explain step by step how a hash table works, with a short example in Python."
SILENCE_SECONDS: Final = 120.0
"""Without a frame for so long, an engine is given up."""


class UnansweredError(SparkError):
    """An engine that was asked said that it cannot answer, or said nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A turn, with the tokens of its prompt as the engine counted them; 0 where it did not."""

    timeline: Timeline
    prompt: int
    cached: int


async def measure(url: str, api_key: str, question: str, output: int) -> Measured:
    """Ask the engine at ``url`` for at most ``output`` tokens and note when they come.

    EngineUnreachableError if there is none, UnansweredError if it gives no answer.
    """
    transport, peer = await UrlDialer(url, api_key).dial()
    try:
        machine, chain = Machine("client"), Chain(incremental=False)
        request = ResponseCreate(
            model=peer.model or "spark", input=question, max_output_tokens=output, store=False
        )
        frames = transport.frames()
        began = perf_counter()
        await transport.send(machine.send(chain.request(request)))
        times, used = await _listen(frames, machine, began)
    finally:
        await transport.close()
    if not times:
        raise UnansweredError(f"{url} answered without a text; ask something else with --ask")
    name = f"{peer.engine or url} {peer.model}"
    cached = used.input_tokens_details.cached_tokens
    found = Timeline(name, _spread(times, used.output_tokens), simulated=False)
    return Measured(found, used.input_tokens, min(cached, used.input_tokens))


async def _listen(
    frames: AsyncIterator[str], machine: Machine, began: float
) -> tuple[list[float], Usage]:
    """Seconds at which deltas came, and the tokens that the engine counted."""
    times: list[float] = []
    while True:
        try:
            frame = await asyncio.wait_for(anext(frames), SILENCE_SECONDS)
        except StopAsyncIteration:
            raise EngineUnreachableError("the engine ended the link before its answer") from None
        except TimeoutError:
            raise UnansweredError(f"no word for {SILENCE_SECONDS:g} s; is it busy?") from None
        # A client's machine receives nothing but server events.
        event = cast(ServerEvent, machine.receive(frame))
        match event:
            case OutputTextDelta() | CustomToolCallInputDelta():
                times.append(perf_counter() - began)
            case ResponseCompleted(response=response) | ResponseIncomplete(response=response):
                return times, response.usage or Usage()
            case ResponseFailed(response=response):
                said = response.error.message if response.error else "no reason"
                raise UnansweredError(f"the engine failed: {one_line(said)}")
            case ErrorEvent(error=refused):
                raise UnansweredError(f"the engine refused: {one_line(refused.message)}")
            case _:
                pass


def _spread(times: list[float], tokens: int) -> list[float]:
    """A time for each token: those of a delta that carried several came with it."""
    if tokens <= len(times):
        return times
    return [times[at * len(times) // tokens] for at in range(tokens)]
