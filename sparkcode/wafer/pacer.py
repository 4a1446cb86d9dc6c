"""Pacing: when a computed step may be seen, so that a turn feels as the simulated chip would.

Simulated and wall time stay apart. A step carries its *simulated* time, seconds since the turn
began on the simulated chip; the pacer maps it to a deadline on the *wall's* axis. Deadlines are
absolute, ``start + dilation * sim_time``, never a sleep per token: at 1,000-4,000 tokens per second
a gap is shorter than a loop can sleep, and errors of single sleeps would add up. A late step goes
out at once and those after it still aim at their own deadlines, so the pace recovers if the
computation does.

Several steps become due within one wake-up. The frame clock lets the server send them together, at
most once per interval, while the first step of a turn and the last never wait for a frame.

Neither class reads a clock or sleeps: every time is an argument, in seconds on one monotonic axis.

=======  ============================================  =====================
mode     a step is released                            frames
=======  ============================================  =====================
live     when it was computed                          coalesced
sim      when computed, not before its deadline        coalesced
max      when it was computed                          none: each at once
=======  ============================================  =====================
"""

from __future__ import annotations

from math import inf
from typing import Final, Literal

PaceMode = Literal["live", "sim", "max"]

FRAME_SECONDS: Final = 0.003
"""Between two frames: well below a screen's refresh, well above a loop's sleep resolution."""


class Pacer:
    """Release times of one turn's steps. ``start`` is the wall time of simulated time zero, and
    ``dilation`` the wall's seconds for a simulated one: above 1 a fast chip can be watched."""

    def __init__(self, mode: PaceMode, start: float, dilation: float = 1.0) -> None:
        self.mode: Final = mode
        self.start: Final = start
        self.dilation: Final = dilation
        self.lag = 0.0
        """Seconds by which the latest step was computed after its deadline; 0 unless ``sim``."""
        self.max_lag = 0.0
        """The largest ``lag`` so far."""
        self._released = -inf

    def release_at(self, sim_time: float, computed_at: float) -> float:
        """Wall time at which a step may be released; never before an earlier step's.

        ``sim_time`` is the simulated second at which the step ends, ``computed_at`` the wall time
        at which it was ready.
        """
        release = computed_at
        if self.mode == "sim":
            deadline = self.start + self.dilation * sim_time
            release = max(computed_at, deadline)
            self.lag = release - deadline
            self.max_lag = max(self.max_lag, self.lag)
        self._released = max(self._released, release)
        return self._released


class FrameClock:
    """Groups steps into frames: one frame per ``interval`` seconds, 0 for no grouping.

    The caller keeps the steps that wait. When the oldest is ``due``, or the final one is, it sends
    every step whose release time has come and calls ``flushed``; until then it sleeps to the
    earlier ``flush_at`` of the two.
    """

    def __init__(self, interval: float = FRAME_SECONDS) -> None:
        self.interval: Final = interval
        self._earliest = -inf

    def flush_at(self, release_at: float, *, final: bool = False) -> float:
        """Wall time at which a step may leave. The ``final`` step waits for no frame."""
        return release_at if final else max(release_at, self._earliest)

    def due(self, release_at: float, now: float, *, final: bool = False) -> bool:
        """Whether it may leave at ``now``."""
        return now >= self.flush_at(release_at, final=final)

    def flushed(self, now: float) -> None:
        """A frame was sent at ``now``: the next waits for the interval."""
        self._earliest = now + self.interval


def frame_clock(mode: PaceMode) -> FrameClock:
    """The frames of a pace mode: none at ``max``, else the usual interval."""
    return FrameClock(0.0 if mode == "max" else FRAME_SECONDS)
