"""Textual on simulated time: its clocks follow the event loop's.

Textual waits with ``asyncio.sleep`` but decides how long by ``time.monotonic``. On a
:class:`~sparkcode.clock.VirtualTimeLoop` the two must be one, or a timer sleeps again and again for
a moment that the wall has not reached. The names below are all places in Textual 8.2.8 where a
schedule depends on a clock; what only measures (start-up time, profiles) is left alone.

``wait_for_idle`` compares processor time with wall time, so how often it sleeps depends on the
machine. Here it is one sleep.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import textual._parser
import textual._time
import textual._wait
import textual.app
import textual.message_pump
import textual.pilot
import textual.widget

_CLOCKS: Final = (
    ("textual._time", "get_time"),
    ("textual._time", "time"),
    ("textual._parser", "get_time"),
    ("textual.message_pump", "time"),
    ("textual.widget", "monotonic"),
)
_IDLE: Final = ("textual.app", "textual.pilot")


async def _idle(min_sleep: float = 0.02, max_sleep: float = 1.0) -> None:
    await asyncio.sleep(textual._wait.SLEEP_GRANULARITY)


@contextmanager
def simulated_time(now: Callable[[], float]) -> Iterator[None]:
    """Within the context, every clock of Textual reads ``now`` (seconds)."""
    places = [(module, name, now) for module, name in _CLOCKS]
    idles = [(module, "wait_for_idle", _idle) for module in _IDLE]
    before = []
    for module, name, replacement in (*places, *idles):
        before.append((module, name, getattr(sys.modules[module], name)))
        setattr(sys.modules[module], name, replacement)
    try:
        yield
    finally:
        for module, name, original in before:
            setattr(sys.modules[module], name, original)
