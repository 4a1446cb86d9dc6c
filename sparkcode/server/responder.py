"""One response on its way out: pulls steps, waits for their time, tells them.

The responder is the only place where a response waits. It wakes for four reasons: a computed step
is due, a frame may leave, the client interrupted, or nothing was said for
:data:`KEEP_ALIVE_SECONDS` (clients watch for silence, and a long prefill is silent).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from math import inf
from typing import Any, Final

from sparkcode.clock import Clock
from sparkcode.engine.base import GenerateRequest, Step, TokenUsage
from sparkcode.errors import EngineError
from sparkcode.protocol.events import (
    Response,
    ResponseCompleted,
    ResponseFailed,
    ResponseIncomplete,
    ServerEvent,
    WebSocketTiming,
)
from sparkcode.server.hub import AHEAD, Computed, Hub, Run
from sparkcode.server.narrator import Narrator
from sparkcode.wafer.pacer import PaceMode, Pacer, frame_clock

LOOP_SECONDS: Final = 0.0015
"""What an event loop's timer may be off by."""
LOOK_SECONDS: Final = 0.0001
KEEP_ALIVE_SECONDS: Final = 15.0


class Responder:
    """Answers one request through the hub. ``wall_time`` gives Unix seconds."""

    def __init__(
        self,
        hub: Hub,
        narrator: Narrator,
        request: GenerateRequest,
        *,
        warm: bool,
        metrics: bool,
        wall_time: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._narrator = narrator
        self._request = request
        self._warm = warm
        self._metrics = metrics
        self._wall_time = wall_time
        self._interrupted = False
        self._run: Run | None = None
        self._said_at = 0.0
        self.failure: EngineError | None = None
        """What the response failed with."""
        self.final: Response | None = None
        """The response as its terminal event gives it; None until then."""

    @property
    def response_id(self) -> str:
        return self._narrator.response_id

    @property
    def stopped(self) -> bool:
        """Whether the client wanted no more."""
        return self._interrupted

    def interrupt(self) -> None:
        """The client wants no more; too late if the terminal event has been given out."""
        self._interrupted = True
        if self._run is not None:
            self._run.notify()

    async def events(self) -> AsyncGenerator[list[ServerEvent], None]:
        """Batches of events that are to be sent at once, the last with the terminal event.

        Closing the generator stops the engine within one step.
        """
        try:
            run = self._run = self._hub.start(self._request, warm=self._warm)
        except EngineError as error:
            yield self._narrator.started()
            yield self._end(self._failed(error))
            return
        try:
            # The engine begins while the first frames are written.
            await asyncio.sleep(0)
            yield self._narrator.started()
            async with aclosing(self._follow(run)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            run.cancel()

    async def _follow(self, run: Run) -> AsyncGenerator[list[ServerEvent], None]:
        clock = self._hub.clock
        release = _Release(run, self._hub, warm=self._warm)
        self._said_at = clock.now()
        # One alarm for the whole response: a timer for each delta would cost more than the delta.
        alarm: asyncio.Task[None] | None = None
        try:
            events: list[ServerEvent] = []
            while not self._interrupted:
                run.changed.clear()
                now = clock.now()
                steps = release.due(now)
                events = self._told(steps, now)
                if release.over:
                    if events and self._hub.pace == "sim":
                        # The last text is due now; telling the end takes a moment of its own.
                        yield events
                        events = []
                    break
                if not events and now >= self._said_at + KEEP_ALIVE_SECONDS:
                    events = self._narrator.keep_alive()
                if events:
                    self._said_at = now
                    yield events
                elif not steps:
                    alarm = alarm or asyncio.create_task(self._alarm(run))
                    await _wait(clock, run.changed, release.next_at, exact=release.exact)
            else:
                events = []
        finally:
            if alarm is not None:
                alarm.cancel()
        yield [*events, *self._end(self._last_words(run, release), release.figures(clock.now()))]

    def _told(self, steps: list[Step], now: float) -> list[ServerEvent]:
        """What ``steps`` bring: one delta, or at the pace without frames one for each."""
        if self._hub.pace != "max" or len(steps) < 2:
            return self._narrator.frame(steps, now)
        return [event for step in steps for event in self._narrator.frame([step], now)]

    async def _alarm(self, run: Run) -> None:
        """Wakes the response whenever it has been silent for too long."""
        clock = self._hub.clock
        until = self._said_at + KEEP_ALIVE_SECONDS
        while True:
            await clock.sleep_until(until)
            now, until = clock.now(), self._said_at + KEEP_ALIVE_SECONDS
            if now >= until:
                run.notify()
                # A client that does not read is not asked more often.
                until = now + KEEP_ALIVE_SECONDS

    def _last_words(self, run: Run, release: _Release) -> list[ServerEvent]:
        if self._interrupted:
            return self._narrator.interrupted()
        if run.error is not None:
            return self._failed(run.error)
        if release.cut_off:
            return self._narrator.cut_off()
        return self._narrator.completed(int(self._wall_time()))

    def _failed(self, error: EngineError) -> list[ServerEvent]:
        self.failure = error
        return self._narrator.failed(error)

    def _end(
        self, events: list[ServerEvent], figures: dict[str, Any] | None = None
    ) -> list[ServerEvent]:
        """Remembers the final response and puts the figures before the terminal event."""
        *closing, terminal = events
        assert isinstance(terminal, ResponseCompleted | ResponseIncomplete | ResponseFailed)
        self.final = terminal.response
        if figures is None or not self._metrics:
            return events
        return [*closing, WebSocketTiming(timing_metrics=figures), terminal]


class _Release:
    """Which computed steps may be seen, and the times of a run that a HUD wants to know."""

    def __init__(self, run: Run, hub: Hub, *, warm: bool) -> None:
        self._run = run
        self._hub = hub
        self._warm = warm
        self._pacer: Pacer | None = None
        self._frames = frame_clock(hub.pace)
        self._held: deque[Computed] = deque()
        """Steps that wait; ``at`` is the time from which they may be seen."""
        self._computed: tuple[float, float] | None = None
        """Times of the first and the last step with tokens."""
        self._released: tuple[float, float] | None = None
        self._begun = False
        """Whether text has been released."""
        self._tokens = 0
        self._prefill = 0.0
        self._decode = 0.0
        self._draft = 0.0
        self._verify = 0.0
        self._usage = TokenUsage()
        self.cut_off = False
        self.over = False
        """Every step has been released, or the run ended without a last step."""

    @property
    def next_at(self) -> float:
        """Time at which the next step may leave; far away when none is ready."""
        self._fill()
        if not self._held:
            return inf
        at = self._frames.flush_at(self._held[0].at)
        last = self._held[-1]
        return at if last.step.finish_reason is None else min(at, last.at)

    @property
    def exact(self) -> bool:
        """Whether the next frame is a response's first text or its end, from which a pace shows."""
        ends = bool(self._held) and self._held[-1].step.finish_reason is not None
        return self._hub.pace == "sim" and (ends or not self._begun)

    def due(self, now: float) -> list[Step]:
        """Takes every step whose time has come, if a frame may leave.

        The first text leaves alone: a client takes its simulated TTFT from that frame's stamp.
        """
        steps: list[Step] = []
        if self.next_at <= now:
            while self._held and self._held[0].at <= now:
                steps.append(self._held.popleft().step)
                self._observe_release(steps[-1], now)
                if steps[-1].text and not self._begun:
                    self._begun = True
                    break
            self._frames.flushed(now)
        if self._run.finished and not self._run.ready and not self._held:
            self.over = True
        return steps

    def figures(self, now: float) -> dict[str, Any]:
        """Milliseconds, under the names that public clients know, and some of our own."""
        asked, started = self._run.asked_at, self._run.started_at
        figures: dict[str, Any] = {
            "engine_service_total_ms": _ms(now - asked),
            "queue_ms": _ms((now if started is None else started) - asked),
            "prefill_ms": _ms(self._prefill),
            "decode_ms": _ms(self._decode),
            "cached_tokens": self._usage.cached_tokens,
            "lag_ms": _ms(self._pacer.max_lag if self._pacer else 0.0),
            "spark_draft_ms": _ms(self._draft),
            "spark_verify_ms": _ms(self._verify),
        }
        if (accepted := self._usage.tokens_per_pass) is not None:
            figures["spark_accepted_per_step"] = round(accepted, 3)
        if started is None or self._computed is None or self._released is None:
            return figures
        computed, released = self._computed[0], self._released[0]
        busy = self._computed[1] - started
        gaps = max(1, self._tokens - 1)
        return figures | {
            "responses_duration_excl_engine_and_client_tool_time_ms": _ms(now - asked - busy),
            "engine_iapi_ttft_total_ms": _ms(computed - started),
            "engine_service_ttft_total_ms": _ms(released - asked),
            "engine_iapi_tbt_across_engine_calls_ms": _ms((self._computed[1] - computed) / gaps),
            "engine_service_tbt_across_engine_calls_ms": _ms((self._released[1] - released) / gaps),
        }

    def _fill(self) -> None:
        """Takes what is computed and gives each step its release time."""
        while self._run.ready and len(self._held) < AHEAD:
            computed = self._run.take()
            if self._pacer is None:
                # Waiting for other turns is no time of the simulated chip; nor is warming up.
                start = computed.at if self._run.started_at is None else self._run.started_at
                mode: PaceMode = "max" if self._warm else self._hub.pace
                self._pacer = Pacer(mode, start, self._hub.dilation)
            at = self._pacer.release_at(computed.step.sim_time, computed.at)
            self._held.append(Computed(computed.step, at))
            self._observe_compute(computed)

    def _observe_compute(self, computed: Computed) -> None:
        step = computed.step
        self._prefill += step.prefill_seconds
        self._decode += step.decode_seconds
        self._draft += step.draft_seconds
        self._verify += step.verify_seconds
        if step.usage is not None:
            self._usage = step.usage
        if step.tokens:
            self._tokens += step.tokens
            self._computed = (self._computed or (computed.at, 0.0))[0], computed.at

    def _observe_release(self, step: Step, now: float) -> None:
        if step.tokens:
            self._released = (self._released or (now, 0.0))[0], now
        if step.finish_reason is not None:
            self.over = True
            self.cut_off = step.finish_reason == "length"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


async def _wait(clock: Clock, changed: asyncio.Event, until: float, *, exact: bool) -> None:
    """Returns when ``changed`` is set or at ``until``.

    Event loops count in milliseconds; for the last of them an ``exact`` wait asks again and again.
    """
    if until == inf:
        await changed.wait()
        return
    early = until - LOOP_SECONDS if exact else until
    if exact and clock.now() >= early:
        while clock.now() < until and not changed.is_set():
            await clock.sleep_until(min(until, clock.now() + LOOK_SECONDS))
        return
    timer = asyncio.ensure_future(clock.sleep_until(early))
    waiter = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait({timer, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        waiter.cancel()
