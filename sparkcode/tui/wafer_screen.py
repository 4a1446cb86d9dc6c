"""The wafer panel: what the simulated chip does with a token, and how other chips would feel.

Above, the chip with a token on its way, slowed down until it can be seen, and what its step is made
of. Below, the what-if line: ``feel h100`` streams the newest answer again as that chip would, and
``feel 50`` at a plain pace. All of it is simulated, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input

from sparkcode.assistant.session import Session
from sparkcode.clock import Clock
from sparkcode.engine.scripted import pieces
from sparkcode.errors import SparkError
from sparkcode.tui.cells import clip, visible, wrap
from sparkcode.tui.paint import Paint
from sparkcode.tui.race import figures
from sparkcode.tui.region_map import bars, picture
from sparkcode.tui.status import Parts, spread
from sparkcode.tui.track import Track
from sparkcode.tui.widgets.lines import Lines
from sparkcode.wafer.network import WEBSOCKET
from sparkcode.wafer.profile import Profile, load_profile
from sparkcode.wafer.simulate import Turn, simulate
from sparkcode.wafer.timeline import asked, play

FRAME_HZ: Final = 20
PASS_SECONDS: Final = 2.0
"""Of the wall, for a token's way through all layers."""
WORD: Final = "feel"
UNNAMED: Final = "the engine names no chip that is known here; this is the default"
PROMPT_TOKENS: Final = 2048
"""Of a prompt whose length is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest answer of a session."""

    pieces: tuple[str, ...]
    """Its text in tokens."""
    turn: Turn


def newest_answer(session: Session) -> Answer | None:
    """The last one with any text, in tokens as its engine counted them where it did."""
    told = [turn for turn in session.turns if turn.text or turn.patch]
    if not told:
        return None
    turn = told[-1]
    text = "\n\n".join(part for part in (turn.text, turn.patch) if part)
    found = tuple(pieces(text))
    used = turn.usage
    prompt = used.input_tokens if used and used.input_tokens else PROMPT_TOKENS
    cached = min(prompt, used.input_tokens_details.cached_tokens) if used else 0
    return Answer(found, Turn(prompt, len(found), cached))


def named(profile: str) -> Profile | None:
    """The profile that an engine says it plays, if it is one that is known here."""
    try:
        found = asked(profile)
    except SparkError:
        return None
    return found if isinstance(found, Profile) else None


class WaferScreen(ModalScreen[None]):
    """See the module. ``profile`` is None for an engine that plays none that is known, ``answer``
    before the first one."""

    CSS = """
    WaferScreen { background: $background; layout: vertical; }
    #wafer-title, #wafer-figures, #wafer-keys { height: 1; }
    #wafer-note { height: 2; }
    #wafer-top { height: 38%; min-height: 9; }
    #wafer-map { width: 1fr; height: 100%; margin-left: 1; }
    #wafer-bars { width: 1fr; height: 100%; }
    #wafer-text { height: 1fr; margin: 0 1; }
    #wafer-line { height: 3; border: round $primary; background: $background; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f2", "dismiss", "Close", show=False),
    ]

    def __init__(
        self,
        profile: Profile | None,
        answer: Answer | None,
        paint: Paint,
        clock: Clock,
        feel: str = "",
    ) -> None:
        super().__init__()
        self._note: Parts = [] if profile else [(UNNAMED, "fair")]
        self.profile = profile = profile or load_profile()
        self.track: Track | None = None
        self._answer = answer
        self._clock = clock
        self._opened = self._felt = clock.now()
        self._first = feel
        turn = answer.turn if answer else Turn(PROMPT_TOKENS, 1)
        # A chip may be asked for a model of a shorter context than the one that answered.
        longest = profile.shape.context_length
        output = min(turn.output, max(1, longest // 2))
        prompt = min(turn.prompt, max(1, longest - output))
        turn = Turn(prompt, output, min(turn.cached, prompt))
        self._step = simulate(profile.chip, profile.shape, turn, transport=WEBSOCKET)
        self._title = Lines(paint, id="wafer-title")
        self._map = Lines(paint, id="wafer-map", ground="ground")
        self._bars = Lines(paint, id="wafer-bars", ground="ground")
        self._says = Lines(paint, id="wafer-note", ground="ground")
        self._text = Lines(paint, id="wafer-text", ground="ground")
        self._figures = Lines(paint, id="wafer-figures")
        self._line = Input(placeholder="feel wse3, feel h100, feel 50 ...", id="wafer-line")
        self._keys = Lines(paint, id="wafer-keys")

    def compose(self) -> ComposeResult:
        yield self._title
        with Horizontal(id="wafer-top"):
            yield self._map
            yield self._bars
        yield self._says
        yield self._text
        yield self._figures
        yield self._line
        yield self._keys

    def on_mount(self) -> None:
        self._line.border_title = "what if"
        self._line.focus()
        if self._first:
            self.feel(self._first)
        self.set_interval(1 / FRAME_HZ, self._paint_frame)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.feel(event.value)
        self._line.value = ""

    def feel(self, line: str) -> None:
        """``feel NAME`` or ``NAME``: stream the newest answer at that pace."""
        words = line.strip().removeprefix("/").split()
        name = "".join(words[1:] if words[:1] == [WORD] else words)
        if not name:
            self._note = [("what if on which chip, or at how many tokens a second?", "fair")]
            return
        if self._answer is None:
            self._note = [("there is no answer yet to stream again: ask something first", "fair")]
            return
        try:
            meant = asked(name, self.profile.shape.name)
            found = play(meant, self._answer.turn, WEBSOCKET)
        except SparkError as error:
            self._note = [(visible(str(error)), "bad")]
            return
        self._note = []
        self.track = Track(found, self._answer.pieces)
        self._felt = self._clock.now()

    def _paint_frame(self) -> None:
        now = self._clock.now()
        width = self.size.width
        self._title.show(self._heading(width))
        progress = (now - self._opened) / PASS_SECONDS % 1
        wide, high = self._map.size
        self._map.show(*picture(self.profile.cost, progress, max(8, wide - 2), max(1, high)))
        self._bars.show(*bars(self._step.breakdown, max(30, self._bars.size.width - 1)))
        self._says.show(*self._noted(width))
        self._paint_track(now, width)
        keys = (("Enter", "feel it"), ("Esc", "close"))
        shown = [((f" {key}", "primary"), (f" {label} ", "muted")) for key, label in keys]
        self._keys.show([part for pair in shown for part in pair])

    def _noted(self, width: int) -> list[Parts]:
        return [
            [(f" {row}", style)]
            for text, style in self._note
            for row in wrap(text, max(8, width - 2))
        ]

    def _heading(self, width: int) -> Parts:
        step = self.profile.cycle(self._step.turn.prompt).seconds
        slowed = f"slowed {PASS_SECONDS / step:,.0f}x "
        left: Parts = [
            (" sim ", "accent"),
            (clip(f"{self.profile.name}: {laid_out(self.profile)}", width - 24), "primary"),
        ]
        return spread(left, [(slowed, "muted")], width)

    def _paint_track(self, now: float, width: int) -> None:
        if self.track is None:
            return
        at = now - self._felt
        wide, high = self._text.size
        rows = self.track.tail(at, max(8, wide), max(1, high))
        self._text.show(*([(row, "text")] for row in rows))
        left: Parts = [(f" sim {clip(self.track.timeline.name, 24)}  ", "accent")]
        taken = sum(len(text) for text, _ in left)
        self._figures.show([*left, *figures(self.track, at, max(20, width - taken - 1))])


def laid_out(profile: Profile) -> str:
    """How the model lies on its devices."""
    found = simulate(profile.chip, profile.shape, Turn(1, 1))
    devices = found.devices
    if not found.region_side:
        return f"{devices} device{'s' * (devices > 1)}, each layer on all"
    side = found.region_side
    return (
        f"{devices} wafer{'s' * (devices > 1)} of {found.layers_per_device} layers, "
        f"{side} x {side} cores each"
    )
