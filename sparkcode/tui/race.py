"""The race: one turn, side by side, each lane at its own pace.

Every lane is a timeline that is known before the start, simulated or measured. The screen plays
them against one clock, at real speed or slower or faster, and says at the end who was ahead by how
much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from sparkcode.clock import Clock, LoopClock
from sparkcode.tui.cells import clip
from sparkcode.tui.paint import make_paint
from sparkcode.tui.status import Parts, milliseconds, rate, spread
from sparkcode.tui.theme import DEFAULT_THEME, load_themes
from sparkcode.tui.track import Track, paced
from sparkcode.tui.widgets.lines import Lines

FRAME_HZ: Final = 30
SLOWEST: Final = 1 / 1024
FASTEST: Final = 1024.0
WIDE_LANE: Final = 34
"""Cells from which a lane tells both its first token and its pace."""
PAUSE_SECONDS: Final = 0.5
"""Of the wall, before the start."""


class RaceApp(App[None]):
    """See the module. ``speed`` is lane seconds per second of the wall."""

    CSS = """
    Screen { background: $background; color: $foreground; layout: vertical; }
    #title, #finish, #keys { height: 1; }
    #lanes { height: 1fr; }
    .lane { width: 1fr; padding: 0 1; }
    .name, .figures { height: 1; }
    .text { height: 1fr; }
    """
    TITLE = "sparkcode race"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,r,enter", "again", "again", show=False),
        Binding("minus,left", "speed(0.5)", "slower", show=False),
        Binding("plus,equals_sign,right", "speed(2)", "faster", show=False),
        Binding("q,escape,ctrl+q,ctrl+c", "quit", "leave", show=False, priority=True),
    ]

    def __init__(
        self,
        tracks: Sequence[Track],
        title: str,
        *,
        speed: float = 1.0,
        theme: str = DEFAULT_THEME,
        clock: Clock | None = None,
    ) -> None:
        themes = load_themes()
        chosen = themes.get(theme)
        super().__init__()
        self.animation_level = "none"
        paint = make_paint(chosen)
        self.tracks = tracks
        self.speed = speed
        self._clock: Clock = LoopClock() if clock is None else clock
        self._began = 0.0
        self._moment = 0.0
        self._says = title
        self._title = Lines(paint, id="title")
        self._texts = [Lines(paint, id=f"text{at}", ground="ground") for at in range(len(tracks))]
        self._names = [Lines(paint, id=f"name{at}") for at in range(len(tracks))]
        self._figures = [Lines(paint, id=f"figures{at}") for at in range(len(tracks))]
        self._finish = Lines(paint, id="finish", ground="ground")
        self._keys = Lines(paint, id="keys")
        self.register_theme(chosen.textual())
        self.theme = chosen.name

    def compose(self) -> ComposeResult:
        yield self._title
        with Horizontal(id="lanes"):
            for name, text, figures in zip(self._names, self._texts, self._figures, strict=True):
                name.add_class("name")
                text.add_class("text")
                figures.add_class("figures")
                with Vertical(classes="lane"):
                    yield name
                    yield text
                    yield figures
        yield self._finish
        yield self._keys

    def on_mount(self) -> None:
        self.action_again()
        self.set_interval(1 / FRAME_HZ, self._paint_frame)

    def action_again(self) -> None:
        """From the start, after a moment to look up."""
        self._moment = 0.0
        self._began = self._clock.now() + PAUSE_SECONDS

    def action_speed(self, factor: float) -> None:
        """Change the speed where the race stands."""
        now = self._clock.now()
        self._moment = self._at(now)
        self._began = max(now, self._began)
        self.speed = min(FASTEST, max(SLOWEST, self.speed * factor))

    def _at(self, now: float) -> float:
        """Lane seconds; before the start a moment below zero, so that nothing is out."""
        elapsed = now - self._began
        return self._moment + elapsed * self.speed if elapsed >= 0 else self._moment - 1e-9

    def _paint_frame(self) -> None:
        end = max(track.timeline.seconds for track in self.tracks)
        now = min(end, self._at(self._clock.now()))
        width = self.size.width
        speed = "real time" if self.speed == 1 else f"{_times(self.speed)}x real time"
        right: Parts = [(f"{milliseconds(max(0.0, now), 1).strip()} at {speed} ", "text")]
        self._title.show(spread([(f" {clip(self._says, width - 30)}", "primary")], right, width))
        for at, track in enumerate(self.tracks):
            self._paint_lane(at, track, now)
        over = all(track.done(now) for track in self.tracks)
        self._finish.show([(f" {clip(verdict(self.tracks), width - 2)}", "good")] if over else [])
        keys = (("Space", "again"), ("- +", "slower, faster"), ("q", "leave"))
        self._keys.show([part for key, label in keys for part in _key(key, label)])

    def _paint_lane(self, at: int, track: Track, now: float) -> None:
        text = self._texts[at]
        width, height = text.size
        self._names[at].show([(clip(track.timeline.name, max(1, width)), "accent")])
        text.show(*([(row, "text")] for row in track.tail(now, width, max(1, height))))
        self._figures[at].show(figures(track, now, width))


def figures(track: Track, now: float, width: int) -> Parts:
    """Time to first token, pace and progress, as far as they are known at ``now``."""
    timeline = track.timeline
    first = timeline.ttft if now >= timeline.ttft else None
    seen, whole = timeline.seen(now), len(timeline.times)
    done = track.done(now)
    left: Parts = [("TTFT", "muted"), (milliseconds(first, 4), "text")]
    pace: Parts = [(rate(paced(track, now), 6), "text"), (" tok/s", "muted")]
    if width >= WIDE_LANE:
        left += pace
    elif not done:
        left = pace
    progress = f"{milliseconds(timeline.seconds, 1).strip()} ✓" if done else f"{seen}/{whole}"
    return spread(left, [(progress, "good" if done else "muted")], width)


def verdict(tracks: Sequence[Track]) -> str:
    """Who was done first, and by how much."""
    first, *others = sorted((track.timeline for track in tracks), key=lambda each: each.seconds)
    second = others[0] if others else first
    if second.seconds <= first.seconds * 1.005:
        return "a dead heat"
    return (
        f"{first.name}: {100 * first.seconds / second.seconds:.0f} % of the next one's time, "
        f"{_times(first.tokens_per_second / second.tokens_per_second)}x its pace"
    )


def _times(factor: float) -> str:
    """``12``, ``1.4``, ``0.13``."""
    if factor >= 9.95:
        return f"{factor:,.0f}"
    return f"{factor:.1f}" if factor >= 1 else f"{factor:.2g}"


def _key(key: str, label: str) -> Parts:
    return [(f" {key}", "primary"), (f" {label} ", "muted")]
