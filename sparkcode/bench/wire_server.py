"""The server that ``bench wire`` measures: the real one, with an engine that takes no work.

An instruction ``short`` is answered with one token at once; anything else with a token each
:data:`STEP_SECONDS`, so that every token is a delta of its own, as a fast chip gives them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from sparkcode.clock import LoopClock
from sparkcode.engine.base import EngineInfo, GenerateRequest, Step, TokenUsage
from sparkcode.server.app import create_app
from sparkcode.server.auth import Gate
from sparkcode.server.hub import SWITCH_INTERVAL_SECONDS, Hub
from sparkcode.server.listener import Listener, base_url, bind, run_server, start_listening
from sparkcode.server.service import Service

STEP_SECONDS: Final = 0.001
LONG_TOKENS: Final = 250
SHORT: Final = "short"


@dataclass(frozen=True, slots=True)
class Metronome:
    """Tokens in time, made of nothing."""

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "metronome", 131_072)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        count = 1 if request.last_user_text.endswith(SHORT) else LONG_TOKENS
        for number in range(count):
            if number:
                await asyncio.sleep(STEP_SECONDS)
            yield Step(sim_time=number * STEP_SECONDS, text=" word", tokens=1)
        end = count * STEP_SECONDS
        yield Step(sim_time=end, finish_reason="stop", usage=TokenUsage(1, 0, count))

    async def warm(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        yield Step(sim_time=0.0, finish_reason="stop", usage=TokenUsage())


async def serve() -> None:
    """Serve on a free port of loopback until standard input ends; the URL is printed."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    with bind("127.0.0.1", 0) as bound:
        start_listening(bound)
        hub = Hub(Metronome(), pace="max", clock=LoopClock(), run_step=None)
        url = base_url(bound)
        listener = Listener(
            create_app(Service(hub, time.time), Gate("")),
            bound,
            lambda: print(json.dumps({"url": url}), flush=True),
        )
        loop = asyncio.get_running_loop()

        def wait() -> None:
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(listener.stop)

        threading.Thread(target=wait, daemon=True).start()
        await listener.run_until_stopped()


if __name__ == "__main__":
    run_server(serve())
