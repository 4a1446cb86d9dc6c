"""Event loops for a script: simulated time, or wall time that runs faster or slower.

On the simulated loop a wait costs nothing, so nothing may be waited for that the loop does not know
of. Work that code hands to a thread would be such a thing: it is therefore done in the loop's own
thread, where it takes no simulated time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

from sparkcode.clock import VirtualTimeLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class InlineVirtualLoop(VirtualTimeLoop):
    """Simulated time, and threads that are none."""

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        async def call() -> T:
            return func(*args)

        return self.create_task(call())


class _ScaledSelector(selectors.SelectSelector):
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._speed)


class ScaledTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose second lasts 1 / ``speed`` seconds of the wall; ``speed`` is above 0."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(_ScaledSelector(speed))

    def time(self) -> float:
        return super().time() * self._speed
