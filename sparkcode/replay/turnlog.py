"""The figures of every turn of a session, while its meter only knows the newest."""

from __future__ import annotations

from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.session import Session
from sparkcode.clock import Clock
from sparkcode.replay.report import TurnFigures


class TurnLog:
    """Looks at a session and remembers. The meter starts over when a turn's request is sent, so
    until something of a turn has arrived what the meter shows is the turn before it."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._stats: dict[int, StreamStats] = {}

    async def follow(self) -> None:
        """Look at every change, until cancelled."""
        seen = -1
        while True:
            seen = await self._session.changed(seen)
            self.look()

    def look(self) -> None:
        """Take the newest turn's figures as they are now."""
        turn = self._session.turn
        if turn is None:
            return
        if turn.phase in ("streaming", "completed") or turn.number in self._stats:
            self._stats[turn.number] = self._session.meter.stats(self._clock.now())

    @property
    def newest(self) -> StreamStats:
        """The newest turn's figures; all None before it brought anything."""
        turn = self._session.turn
        return StreamStats() if turn is None else self._stats.get(turn.number, StreamStats())

    @property
    def turns(self) -> tuple[TurnFigures, ...]:
        """Every turn, oldest first."""
        figures = []
        for turn in self._session.turns:
            stats = self._stats.get(turn.number, StreamStats())
            figures.append(
                TurnFigures(
                    number=turn.number,
                    phase=turn.phase,
                    ttft=stats.ttft,
                    ttfp=stats.ttfp,
                    tokens=stats.tokens,
                    tokens_per_second=stats.tokens_per_second,
                    sim_ttft=stats.sim_ttft,
                    sim_tokens_per_second=stats.sim_tokens_per_second,
                )
            )
        return tuple(figures)
