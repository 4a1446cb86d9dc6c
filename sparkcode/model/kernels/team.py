"""Threads that share one job at a time and sleep in between.

The caller's own thread takes part. A helper that comes too late, because other programs hold its
processor, finds the job taken back and the caller does not wait for it: a job is as quick as the
threads that really run.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

_MOST_THREADS = 8
"""Products wait for memory, not for arithmetic, long before so many."""


def available_threads() -> int:
    """Processors this process may run on, 8 at most."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    return min(os.cpu_count() or 1, _MOST_THREADS)


class _Share:
    """One helper's part in a job: started by the helper, or taken back by the caller."""

    __slots__ = ("_claimed", "_ended", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._claimed = threading.Lock()
        self._ended: SimpleQueue[None] = SimpleQueue()

    def start(self) -> None:
        if self._claimed.acquire(blocking=False):
            self._work()
            self._ended.put(None)

    def settle(self) -> None:
        """Return when the share has ended or can no longer start."""
        if not self._claimed.acquire(blocking=False):
            self._ended.get()


class Team:
    """``size`` threads, the caller's included; the helpers end with the object."""

    def __init__(self, size: int) -> None:
        self._inboxes: list[SimpleQueue[_Share | None]] = [SimpleQueue() for _ in range(size - 1)]
        for inbox in self._inboxes:
            threading.Thread(target=_serve, args=(inbox,), name="kernel", daemon=True).start()
            weakref.finalize(self, inbox.put, None)

    @property
    def size(self) -> int:
        return len(self._inboxes) + 1

    def run(self, work: Callable[[], None]) -> None:
        """Run ``work``, which must not raise, on every thread at once that is free to.

        It has to divide the job among whoever comes: it may run once or ``size`` times.
        """
        shares = [_Share(work) for _ in self._inboxes]
        try:
            for inbox, share in zip(self._inboxes, shares, strict=True):
                inbox.put(share)
            work()
        finally:  # an interrupt, too, leaves nobody behind who still writes
            for share in shares:
                share.settle()


def _serve(inbox: SimpleQueue[_Share | None]) -> None:
    while (share := inbox.get()) is not None:
        share.start()
        del share  # its arrays are not kept until the next job comes
