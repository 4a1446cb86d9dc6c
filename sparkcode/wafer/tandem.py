"""Tokens of several streams on their way through the layers, one by one. Pure.

A layer's region serves one token at a time: it holds each for ``occupancy`` seconds and hands it on
after ``latency``. A stream sends a round of tokens, one or with its drafts several, and the next
round when the last of them has left, plus what lies between (``outside``: hops between wafers, and
drafting). Nothing is random, so the regions are served in the order in which rounds reach the first
of them, and the times follow from a recurrence::

    start(token, layer) = max(done(token, layer - 1), free(layer))

This is the event simulation that the closed form of :mod:`sparkcode.wafer.simulate`,
``max(round, streams * tokens * occupancy)`` between two rounds of one stream, is held against
(``sim --events`` shows both).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import inf

WARM_UP = 4
"""Rounds of each stream that are left out: the streams start at once and have to spread."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Layers in a row; times in seconds."""

    layers: int
    latency: float
    """Of a token in one layer."""
    occupancy: float
    """From one token to the next in one layer."""
    outside: float = 0.0
    """Between a round's last layer and the first layer of the round after it."""
    tokens: int = 1
    """Of a round, which follow each other."""

    @property
    def round(self) -> float:
        """One round's time, alone."""
        followers = (self.tokens - 1) * self.occupancy
        return self.layers * self.latency + followers + self.outside


def between_rounds(pipeline: Pipeline, streams: int, rounds: int = 50) -> float:
    """Mean seconds between two rounds of one stream, over all streams.

    ``rounds`` of each stream are counted, at least 1.
    """
    free = [-inf] * pipeline.layers
    waiting = [(0.0, stream) for stream in range(streams)]
    left: list[list[float]] = [[] for _ in range(streams)]
    whole = WARM_UP + rounds
    while waiting:
        arrived, stream = heapq.heappop(waiting)
        now = arrived
        for _ in range(pipeline.tokens):
            now = arrived
            for layer in range(pipeline.layers):
                start = max(now, free[layer])
                free[layer] = start + pipeline.occupancy
                now = start + pipeline.latency
        now += pipeline.outside
        left[stream].append(now)
        if len(left[stream]) <= whole:
            heapq.heappush(waiting, (now, stream))
    spans = [times[whole] - times[WARM_UP] for times in left]
    return sum(spans) / len(spans) / rounds
