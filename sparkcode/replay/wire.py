"""A whole engine behind a dialer, in one process: no socket, no thread, no wall clock.

The client's end of an in-memory link is what the session gets; the other end is served by the same
code that serves a socket. The engine's steps are computed on the loop, so on a simulated clock they
take no time and the pace alone decides when a token arrives. Ids count up instead of being drawn,
and nothing else in an answer depends on the run.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sparkcode.clock import Clock
from sparkcode.engine.base import Engine
from sparkcode.link.transport import Peer, Transport, memory_pair
from sparkcode.server.connection import serve_connection
from sparkcode.server.hub import Hub, run_inline
from sparkcode.server.narrator import Wishes, counting_ids
from sparkcode.server.service import Service
from sparkcode.wafer.pacer import PaceMode

URL: Final = "memory:"
_WISHES: Final = Wishes(timing=True, metrics=True, lean=True, brief=True)
"""What our own client asks for on a socket."""


class MemoryWire:
    """Dialer to an engine in this process; :meth:`close` ends its connections."""

    def __init__(self, engine: Engine, *, pace: PaceMode, clock: Clock) -> None:
        hub = Hub(engine, pace=pace, clock=clock, run_step=run_inline)
        self._service = Service(hub=hub, wall_time=clock.now, ids=counting_ids())
        self._serving: set[asyncio.Task[None]] = set()

    async def dial(self) -> tuple[Transport, Peer]:
        client, server = memory_pair()
        serving = asyncio.create_task(serve_connection(self._service, server, _WISHES))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        info = self._service.hub.info
        peer = Peer("memory", URL, info.engine, info.model, info.profile)
        return client, peer

    async def close(self) -> None:
        """Ends what is being served and waits until the engine is idle."""
        tasks = list(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._service.hub.close()
