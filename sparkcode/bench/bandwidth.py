"""Memory bandwidth: how many bytes a second several threads read from an array that fits no cache.

Decoding reads every weight once a token, so bytes a token times tokens a second cannot exceed this
figure, and the share of it says how much an engine leaves on the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

STREAM_BYTES = 256 << 20
_PASSES = 3


class MemoryStream:
    """An array that ``threads`` threads read at once, each a stretch of its own."""

    def __init__(
        self,
        threads: int,
        *,
        size: int = STREAM_BYTES,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        # Written once, so that every page is there and is a page of its own.
        self._parts = np.array_split(np.ones(size // 8, np.uint64), threads)
        self._timer = timer

    def bytes_per_second(self) -> float:
        """The best of three passes."""
        with ThreadPoolExecutor(len(self._parts)) as pool:
            return max(self._pass(pool) for _ in range(_PASSES))

    def _pass(self, pool: ThreadPoolExecutor) -> float:
        began = self._timer()
        # A maximum is the reduction that NumPy vectorises best: it waits for memory only.
        list(pool.map(np.max, self._parts))
        return sum(part.nbytes for part in self._parts) / (self._timer() - began)
