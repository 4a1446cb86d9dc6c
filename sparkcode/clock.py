"""Time as a dependency: everything that waits does so through a :class:`Clock`.

Two clocks exist, and the event loop is the only difference between them:

* ``LoopClock`` on an ordinary loop is the wall clock (monotonic seconds).
* ``LoopClock`` on a :class:`VirtualTimeLoop` is simulated: when nothing is ready to run, the loop
  jumps to the next timer instead of sleeping. ``asyncio.sleep``, timeouts and a screen's own
  timers all obey, so a two-minute session replays in the time its computation takes and two runs
  have the same schedule.

A ``VirtualTimeLoop`` must not be shared with threads or sockets whose answers matter: it does not
wait for what is not yet ready. Pure code takes times as numbers and needs neither.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Protocol


class Clock(Protocol):
    """Seconds on one monotonic axis, and a way to wait on it."""

    def now(self) -> float:
        """Seconds since an arbitrary, fixed start."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Return once ``now() >= when``; a past ``when`` still yields to the loop once."""
        ...


class LoopClock:
    """The running event loop's own time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, when: float) -> None:
        await asyncio.sleep(max(0.0, when - self.now()))


class _JumpingSelector(selectors.SelectSelector):
    """Reports what is ready now and hands the remaining wait to the loop as a jump."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            # Nothing is scheduled: only a thread's wake-up or a socket can end this wait.
            return super().select(None)
        self.elapsed += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time moves only when it has nothing to do.

    Time starts at 0.0 and advances from timer to timer.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed
