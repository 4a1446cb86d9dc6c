"""An answer that is played along a timeline: which of its text is out when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sparkcode.tui.cells import visible, wrap
from sparkcode.wafer.timeline import Timeline


class Track:
    """``pieces`` are the answer's tokens, repeated or cut to as many as the timeline has."""

    def __init__(self, timeline: Timeline, pieces: Sequence[str]) -> None:
        count = len(timeline.times)
        repeated = [pieces[at % len(pieces)] for at in range(count)] if pieces else [""] * count
        self.timeline = timeline
        self._text = "".join(repeated)
        self._ends = [0, *accumulate(len(piece) for piece in repeated)]

    def text(self, now: float) -> str:
        """What is out at ``now`` seconds after the prompt's arrival."""
        return self._text[: self._ends[self.timeline.seen(now)]]

    def tail(self, now: float, width: int, height: int) -> list[str]:
        """The last ``height`` rows of it, wrapped to ``width`` cells."""
        rows: list[str] = []
        for line in self.text(now).split("\n")[-height:]:
            rows += wrap(visible(line), max(1, width)) or [""]
        return rows[-height:]

    def done(self, now: float) -> bool:
        return now >= self.timeline.seconds


def paced(track: Track, now: float) -> float | None:
    """Tokens a second so far, after the first; None before the second."""
    seen = track.timeline.seen(now)
    end = min(now, track.timeline.seconds)
    spent = end - track.timeline.ttft
    return (seen - 1) / spent if seen > 1 and spent > 0 else None
