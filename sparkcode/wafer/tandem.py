"""Tokens of several streams on their way through the layers, one by one. Pure.

A layer's region serves one token at a time: it holds each for ``occupancy`` seconds and hands it on
after ``latency``. A stream's next token enters when its last one has left, plus what lies between
(``outside``: hops between wafers). Nothing is random, so the regions are served in the order in
which tokens reach the first of them, and the times follow from a recurrence::

    start(token, layer) = max(done(token, layer - 1), free(layer))

This is the event simulation that the closed form of :mod:`sparkcode.wafer.simulate`,
``max(step, streams * occupancy)`` between two tokens of one stream, is held against.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from math import inf

WARM_UP = 4
"""Tokens of each stream that are left out: the streams start at once and have to spread."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Layers in a row; times in seconds."""

    layers: int
    latency: float
    """Of a token in one layer."""
    occupancy: float
    """From one token to the next in one layer."""
    outside: float = 0.0
    """Between a token's last layer and the first layer of the token after it."""

    @property
    def step(self) -> float:
        """One token's time, alone."""
        return self.layers * self.latency + self.outside


def between_tokens(pipeline: Pipeline, streams: int, tokens: int = 50) -> float:
    """Mean seconds between two tokens of one stream, over all streams.

    ``tokens`` of each stream are counted, at least 1.
    """
    free = [-inf] * pipeline.layers
    waiting = [(0.0, stream) for stream in range(streams)]
    left: list[list[float]] = [[] for _ in range(streams)]
    whole = WARM_UP + tokens
    while waiting:
        now, stream = heapq.heappop(waiting)
        for layer in range(pipeline.layers):
            start = max(now, free[layer])
            free[layer] = start + pipeline.occupancy
            now = start + pipeline.latency
        now += pipeline.outside
        left[stream].append(now)
        if len(left[stream]) <= whole:
            heapq.heappush(waiting, (now, stream))
    spans = [times[whole] - times[WARM_UP] for times in left]
    return sum(spans) / len(spans) / tokens
