"""What a turn felt like, measured where the user is: at the socket and at the screen.

All times are arguments, in seconds on one axis. The definitions, once:

* **Content** is a delta with text. A delta that only reports tokens is a sample of the token rate,
  not content.
* **TTFT** is request frame written to first content received, **TTFP** to first content painted.
* **ITL** is the time between two samples as they left the socket; percentiles by nearest rank.
  The pause in which a turn's tools work, before its next response, is no interval, and counts for
  no rate but the turn's.
* **Token rate** is (n - 1) / (last - first): the tokens after the first sample over the time they
  took. A first sample that carries k tokens at once has used up k of them, so n - k are counted.
* **Live rate** is the same over the samples of the last second. It is hidden below three samples
  and in a burst: a span under 50 ms says more about buffers than about the model. For a whole turn
  a burst is a span that is also under 2 % of the wait for it (a server that held everything back).
* **Turn rate** is n / (last - request). The two spans are never mixed: a rate that is undefined
  stays so.
* **Display efficiency** is (last token - request) / (its paint - request); 1.0 means that the
  screen kept up. **Backlog** is tokens received and not yet painted.
* **Simulated** figures use only the engine's own stamps and never a wall time.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UnsetType

from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    ErrorEvent,
    FunctionCallArgumentsDelta,
    OutputTextDelta,
    ResponseCompleted,
    ResponseFailed,
    ResponseIncomplete,
    ServerEvent,
    SparkTiming,
    WebSocketTiming,
)

WINDOW_SECONDS: Final = 1.0
BURST_SECONDS: Final = 0.05
BURST_SHARE: Final = 0.02
LEAST_SAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Figures of one turn; times in seconds, rates in tokens a second, None where undefined."""

    ttft: float | None = None
    ttfp: float | None = None
    itl_p50: float | None = None
    itl_p95: float | None = None
    itl_max: float | None = None
    tokens: int = 0
    tokens_per_second: float | None = None
    live_tokens_per_second: float | None = None
    turn_rate: float | None = None
    sim_ttft: float | None = None
    sim_tokens_per_second: float | None = None
    sim_turn_rate: float | None = None
    backlog: int = 0
    display_efficiency: float | None = None
    engine_ttft: float | None = None
    """As the engine measured it, from its own timing event."""
    accepted_per_step: float | None = None
    """Tokens that a forward pass brought on average, told in the same event."""
    sim_lag: float | None = None
    """Most that a token was computed after its deadline on the simulated chip, told there too."""
    elapsed: float | None = None
    """Since the request, up to the end of the response."""


class _Series:
    """Samples of (time, tokens) on one axis, in stretches of which a rate needs only the ends."""

    __slots__ = ("_begin", "_counted", "_offset", "_span", "first", "last", "tokens")

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.tokens = 0
        self._begin: float | None = None
        """Where the newest stretch began."""
        self._span = 0.0
        """Seconds of the stretches before it."""
        self._counted = 0
        """Tokens behind the first sample of their stretch."""
        self._offset = 0.0

    @property
    def running(self) -> bool:
        """Whether the newest stretch has begun."""
        return self._begin is not None

    def add(self, time: float, tokens: int) -> None:
        time += self._offset
        if self._begin is None:
            self._begin = time
            self.first = time if self.first is None else self.first
        else:
            self._counted += tokens
        self.last = time
        self.tokens += tokens

    def cut(self, *, restart: bool = False) -> None:
        """A pause: the next sample begins a stretch. With ``restart`` its axis begins at 0."""
        if self._begin is not None:
            self._span += self.last - self._begin
            self._begin = None
        self._offset = self.last if restart else 0.0

    @property
    def span(self) -> float:
        return self._span + (0.0 if self._begin is None else self.last - self._begin)

    @property
    def rate(self) -> float | None:
        return self._counted / self.span if self._counted > 0 and self.span > 0 else None


class _Run:
    """What one request has brought so far."""

    def __init__(self, request: float) -> None:
        self.request = request
        self.end: float | None = None
        self.engine_ttft: float | None = None
        self.accepted_per_step: float | None = None
        self.sim_lag: float | None = None
        self._ttft: float | None = None
        self._ttfp: float | None = None
        self._wall = _Series()
        self._sim = _Series()
        self._window: deque[tuple[float, int]] = deque()
        self._intervals: list[float] = []
        self._last_delta = request
        self._fresh = False
        self._painted_tokens = 0
        self._paint: tuple[float, float] | None = None

    def delta(self, now: float, text: str, spark: SparkTiming | UnsetType) -> None:
        tokens = int(bool(text)) if isinstance(spark, UnsetType) else max(0, spark.tokens)
        if not text and not tokens:
            return
        self._fresh, self._last_delta = True, now
        if text and self._ttft is None:
            self._ttft = now - self.request
        if not tokens:
            return
        if self._wall.running:
            insort(self._intervals, now - self._wall.last)
        self._wall.add(now, tokens)
        self._window.append((now, tokens))
        self._forget(now)
        if not isinstance(spark, UnsetType):
            self._sim.add(spark.sim_time, tokens)

    def resumed(self) -> None:
        self.end = None
        self._wall.cut()
        # The engine's stamps count from each request.
        self._sim.cut(restart=True)
        self._window.clear()

    def painted(self, now: float) -> None:
        if not self._fresh:
            return
        self._fresh = False
        self._painted_tokens = self._wall.tokens
        self._paint = (self._last_delta, now)
        if self._ttfp is None and self._ttft is not None:
            self._ttfp = now - self.request

    def stats(self, now: float) -> StreamStats:
        over = self.end is not None
        return StreamStats(
            ttft=self._ttft,
            ttfp=self._ttfp,
            itl_p50=_nearest_rank(self._intervals, 0.50),
            itl_p95=_nearest_rank(self._intervals, 0.95),
            itl_max=_nearest_rank(self._intervals, 1.0),
            tokens=self._wall.tokens,
            tokens_per_second=self._rate(),
            live_tokens_per_second=None if over else self._live(now),
            turn_rate=self._turn_rate(),
            sim_ttft=self._sim.first,
            sim_tokens_per_second=self._sim.rate,
            sim_turn_rate=self._sim.tokens / self._sim.last if self._sim.last > 0 else None,
            backlog=self._wall.tokens - self._painted_tokens,
            display_efficiency=self._efficiency(),
            engine_ttft=self.engine_ttft,
            accepted_per_step=self.accepted_per_step,
            sim_lag=self.sim_lag,
            elapsed=(now if self.end is None else self.end) - self.request,
        )

    def _forget(self, now: float) -> None:
        while self._window and self._window[0][0] <= now - WINDOW_SECONDS:
            self._window.popleft()

    def _rate(self) -> float | None:
        span = self._wall.span
        burst = span < BURST_SECONDS and span < BURST_SHARE * (self._wall.last - self.request)
        return None if burst else self._wall.rate

    def _live(self, now: float) -> float | None:
        self._forget(now)
        if len(self._window) < LEAST_SAMPLES:
            return None
        recent = _Series()
        for time, tokens in self._window:
            recent.add(time, tokens)
        return None if recent.span < BURST_SECONDS else recent.rate

    def _turn_rate(self) -> float | None:
        span = self._wall.last - self.request
        return self._wall.tokens / span if self._wall.tokens and span > 0 else None

    def _efficiency(self) -> float | None:
        if self._paint is None:
            return None
        token, paint = self._paint
        return (token - self.request) / (paint - self.request) if paint > self.request else None


class StreamMeter:
    """Measures the newest turn; ``sent`` starts over.

    Events before the first ``sent`` or after the turn's end change nothing.
    """

    def __init__(self) -> None:
        self._run: _Run | None = None

    def sent(self, now: float) -> None:
        """A request frame was written: a new turn starts."""
        self._run = _Run(now)

    def resumed(self) -> None:
        """The same turn goes on with another request."""
        if self._run is not None:
            self._run.resumed()

    def observe(self, now: float, event: ServerEvent) -> None:
        """An event of the turn left the socket."""
        run = self._run
        if run is None or run.end is not None:
            return
        match event:
            case (
                OutputTextDelta(delta=text, spark=spark)
                | CustomToolCallInputDelta(delta=text, spark=spark)
                | FunctionCallArgumentsDelta(delta=text, spark=spark)
            ):
                run.delta(now, text, spark)
            case WebSocketTiming(timing_metrics=metrics):
                run.engine_ttft = _seconds(metrics.get("engine_service_ttft_total_ms"))
                run.accepted_per_step = _number(metrics.get("spark_accepted_per_step"))
                run.sim_lag = _seconds(metrics.get("lag_ms"))
            case ResponseCompleted() | ResponseIncomplete() | ResponseFailed() | ErrorEvent():
                run.end = now
            case _:
                pass

    def ended(self, now: float) -> None:
        """The turn ended here (interrupted, or the link was lost): nothing more is counted."""
        if self._run is not None and self._run.end is None:
            self._run.end = now

    def painted(self, now: float) -> None:
        """A frame with everything received so far is on the screen."""
        if self._run is not None:
            self._run.painted(now)

    def stats(self, now: float) -> StreamStats:
        """The figures at ``now``; cheap enough to ask for at every frame."""
        return StreamStats() if self._run is None else self._run.stats(now)


def _nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _seconds(milliseconds: object) -> float | None:
    number = _number(milliseconds)
    return None if number is None else number / 1000


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
