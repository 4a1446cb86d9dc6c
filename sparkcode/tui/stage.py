"""The paint pump: what of the session is shown where, and when it is painted.

:meth:`Stage.pump` is called up to sixty times a second. It compares ``session.revision`` with the
one it painted last and tells each widget what to show; a widget redraws only what looks different.
From ``FAST_RATE`` on about every second call does nothing: thirty frames a second are then enough.
Nothing here reacts to a single token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sparkcode import __version__
from sparkcode.assistant.composing import Asked
from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.session import Session
from sparkcode.clock import Clock
from sparkcode.errors import SparkError
from sparkcode.tui.aiming import Aiming, title
from sparkcode.tui.cells import visible
from sparkcode.tui.foot import Leaving, foot, leaving, settled
from sparkcode.tui.history import History
from sparkcode.tui.paint import Paint
from sparkcode.tui.panes import Pane, Panes, counts
from sparkcode.tui.status import Part, sim_line, tab_line, wall_line
from sparkcode.tui.widgets.buffer import BufferView
from sparkcode.tui.widgets.lines import Lines
from sparkcode.tui.widgets.prompt import Prompt, Shortcut
from sparkcode.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from sparkcode.tui.wafer_screen import WaferScreen

PUMP_HZ: Final = 60
FAST_RATE: Final = 200.0
"""Tokens a second."""
FAST_SECONDS: Final = 0.026
"""Least time between two frames then: with a timer of 60 Hz every second tick, even a late one."""
HUD_SECONDS: Final = 0.1
UNMARKED_SECONDS: Final = 0.1
"""Longest time without telling the meter of a paint while text keeps arriving."""
EAGER_LINES: Final = 2000
"""Longest file whose enclosing definition is looked for on every move of the cursor."""

WELCOME: Final[Sequence[Part]] = (
    (f"✦ sparkcode {__version__}", "primary"),
    (
        "Say what to change, then Enter. The definition around the cursor is edited;"
        " Shift+Up or Shift+Down selects other lines.",
        "text",
    ),
    ("Without a file, ask; `sparkcode FILE` opens one. F1 shows the keys.", "muted"),
)


class Stage:
    """The widgets of the main screen and what they show."""

    def __init__(
        self, session: Session, panes: Panes, paint: Paint, *, shortcut: Shortcut, history: History
    ) -> None:
        self.session = session
        self.panes = panes
        self._paint = paint
        self.aiming = Aiming(panes, session.edits.exists, session.edits.text_of)
        self.notice = ""
        """One line for the user, below the newest turn."""
        self.progress = ""
        """What an engine that starts says about it; of interest until the link is ready."""
        self.tabs = Lines(paint, id="tabs")
        self.buffer = BufferView(paint, id="buffer")
        self.transcript = Transcript(paint, id="transcript", welcome=WELCOME)
        self.prompt = Prompt(shortcut=shortcut, history=history, id="prompt")
        self.hud = Lines(paint, id="hud")
        self.keys = Lines(paint, id="keys")
        self.seen = -1
        """The revision that was painted last."""
        self._pumped_at = float("-inf")
        self._shown_turn = 0
        self._left_turn = 0
        self._marked_at = float("-inf")
        self._hud_at = float("-inf")
        self._resting: object = None
        self._tab: Pane | None = None
        self._foot: Sequence[Part] = ()
        self._foot_state: object = None
        self._turns_shown = 0
        self._leaving: Leaving | None = None
        self._file_state: object = None

    def use(self, paint: Paint) -> None:
        """Another theme's styles."""
        self._paint = paint
        for widget in (self.tabs, self.buffer, self.transcript, self.hud, self.keys):
            widget.use(paint)

    # --- the pump ------------------------------------------------------------------------------

    def pump(self, now: float, width: int) -> tuple[bool, bool]:
        """Paint what changed by ``now``; whether the session moved, and whether the HUD was due."""
        stats = self.session.meter.stats(now)
        fast = (stats.live_tokens_per_second or 0.0) > FAST_RATE
        if fast and now - self._pumped_at < FAST_SECONDS:
            return False, False
        self._pumped_at = now
        moved = self.session.revision != self.seen
        self.seen = self.session.revision
        if moved:
            self._take_files()
            self._choose_pane()
        due = now - self._hud_at >= HUD_SECONDS
        pane = self.panes.current
        state = (pane, pane and pane.pointing, self._left_turn, width)
        if moved or due or state != self._file_state or self.buffer.unfinished:
            self._file_state = state
            self._paint_file(width, settled=due)
        if moved or due:
            self._paint_turns(stats, due=due)
        if due:
            self._hud_at = now
            self.hud.show(wall_line(stats, width), sim_line(stats, self.session.link, width))
        return moved, due

    def _paint_turns(self, stats: StreamStats, *, due: bool) -> None:
        """The conversation; counts below it change with every token and are shown at HUD rate."""
        session = self.session
        phase = None if session.turn is None else session.turn.phase
        link_ready = session.link.state == "ready"
        progress = "" if link_ready else self.progress
        what = (session.edit, session.edit_error, session.link, self.notice, progress)
        state = (len(session.turns), phase, what)
        if due or state != self._foot_state:
            self._foot_state = state
            self._foot = foot(session, stats, self.notice or progress)
        if len(session.turns) > self._turns_shown > 0 and self._leaving is not None:
            self.transcript.settle(settled(session.turns[self._turns_shown - 1], self._leaving))
        self._turns_shown = len(session.turns)
        self._leaving = leaving(session, stats)
        # Without a link nothing streams: then the end stands at the bottom, with all its reasons.
        self.transcript.show(session.turns, self._foot, live=session.busy and link_ready)

    def leave_turn(self, now: float) -> None:
        """The next turn is about to be asked: keep what the newest one came to by ``now``."""
        self._leaving = leaving(self.session, self.session.meter.stats(now))

    def mark_painted(self, now: float, revision: int) -> None:
        """A frame with ``revision`` is out.

        The meter takes a paint to hold all that was received. Text that came after the pump is not
        in this frame, so it usually waits for the next one.
        """
        late = now - self._marked_at >= UNMARKED_SECONDS and self.session.busy
        if revision == self.session.revision or late:
            self._marked_at = now
            self.session.meter.painted(now)

    def wafer(self, clock: Clock, feel: str) -> WaferScreen:
        """The panel on what the engine says it simulates, and on the newest answer."""
        from sparkcode.tui.wafer_screen import WaferScreen, named, newest_answer

        peer = self.session.link.peer
        profile = named(peer.profile if peer else "")
        return WaferScreen(profile, newest_answer(self.session), self._paint, clock, feel)

    # --- files ---------------------------------------------------------------------------------

    @property
    def edit_shown(self) -> bool:
        """Whether the newest edit stands in its file: it grows, waits, or was left unfinished."""
        session = self.session
        if session.edit in ("streaming", "pending"):
            return True
        unfinished = session.edit in ("none", "failed") and bool(session.previews)
        return unfinished and session.turn is not None and session.turn.number != self._left_turn

    def leave_edit(self) -> None:
        """Show the bare file again instead of an unfinished edit."""
        if self.session.turn is not None:
            self._left_turn = self.session.turn.number

    def _take_files(self) -> None:
        """Take over what the session has read or written."""
        session = self.session
        for path, buffer in session.buffers.items():
            pane = self.panes.get(path)
            if pane is not None and pane.load(buffer) and session.edit == "accepted":
                preview = session.previews.get(path)
                pane.landed(() if preview is None else preview.rows)
        over = session.edit in ("accepted", "rejected", "undone")
        for path in self.panes.paths:
            if path not in session.buffers and (over or path not in session.previews):
                self.panes.forget(path)

    def _choose_pane(self) -> None:
        """Show the file that the newest turn began to edit, once a turn."""
        turn = self.session.turn
        if turn is None or turn.number == self._shown_turn or not self.session.previews:
            return
        self._shown_turn = turn.number
        path = next(iter(self.session.previews))
        self.panes.add(path)
        self.panes.show(path)

    def _paint_file(self, width: int, *, settled: bool) -> None:
        pane = self.panes.current
        self.prompt.screen.set_class(pane is None, "-chat")
        asked = self._asked(pane, settled=settled)
        if pane is None:
            return
        preview = self.session.previews.get(pane.path)
        if preview is not None and self.edit_shown:
            live = self.session.edit == "streaming"
            rows, hunks = preview.rows, preview.hunks
            self.buffer.show_edit(pane, rows, hunks, focus=preview.focus, live=live)
        else:
            meant = () if asked is None else (*asked.targets, *([asked.about] * bool(asked.about)))
            here = [each.region for each in meant if each and each.path == pane.path]
            self.buffer.show(pane, here)
        if settled or pane is not self._tab:
            self._tab = pane
            notes = [self._note(path) for path in self.panes.paths]
            self.tabs.show(tab_line(self.panes.paths, self.panes.index, notes, width))

    def _note(self, path: str) -> str:
        preview = self.session.previews.get(path)
        return counts(preview) if preview is not None and self.edit_shown else ""

    def _asked(self, pane: Pane | None, *, settled: bool) -> Asked | None:
        """What the prompt asks for, said above it; in a long file only once the cursor rests."""
        here = pane and pane.pointing
        rests, self._resting = here == self._resting, here
        path = "" if pane is None else pane.path
        asked: Asked | None
        try:
            if pane is None or len(pane.lines) <= EAGER_LINES or (rests and settled):
                asked = self.aiming.asked(self.prompt.text)
            else:
                asked = self.aiming.known(self.prompt.text)
        except SparkError as error:
            self.prompt.entitle(visible(str(error)))
            return None
        self.prompt.entitle(visible(f"edit {path}" if asked is None else title(asked, path)))
        return asked
