"""One request over a link of its own: asked, answered, over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sparkcode.assistant.meter import StreamMeter, StreamStats
from sparkcode.assistant.turn import Turn, fold
from sparkcode.errors import EngineUnreachableError
from sparkcode.protocol.events import ResponseCreate, ServerEvent
from sparkcode.protocol.machine import Machine

if TYPE_CHECKING:
    from sparkcode.clock import Clock
    from sparkcode.link.transport import Transport


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that is final, and how it went."""

    turn: Turn
    last: ServerEvent
    """The event that ended it."""
    stats: StreamStats


async def ask(transport: Transport, request: ResponseCreate, turn: Turn, clock: Clock) -> Answered:
    """Send ``request`` over a fresh link and fold the whole answer into ``turn``.

    EngineUnreachableError when the link ends before it, RemoteProtocolError for frames that are
    none of the protocol's.
    """
    machine, meter = Machine("client"), StreamMeter()
    meter.sent(clock.now())
    await transport.send(machine.send(request))
    async for frame in transport.frames():
        # A client's machine receives nothing but server events.
        event = cast(ServerEvent, machine.receive(frame))
        meter.observe(clock.now(), event)
        turn = fold(turn, event)
        if turn.final:
            return Answered(turn, event, meter.stats(clock.now()))
    raise EngineUnreachableError("the engine closed the link before the answer was whole")
