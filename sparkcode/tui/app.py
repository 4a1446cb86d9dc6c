"""The screen: keys go to the session at once, the session comes to the screen with the next frame.

The session's task never touches a widget. It changes the session, whose ``revision`` grows, and a
timer lets :class:`~sparkcode.tui.stage.Stage` repaint what looks different. So a thousand tokens a
second cost thirty frames a second, and a token that nobody sees costs nothing.

The link is made after the first frame. Until then, and while it is down, everything can be typed;
an instruction that was sent meanwhile goes out when the engine is there.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.driver import Driver
from textual.screen import Screen

from sparkcode.assistant.edits import Target
from sparkcode.assistant.helping import check_able
from sparkcode.assistant.plain import one_line
from sparkcode.assistant.session import Session
from sparkcode.assistant.trial import CommandJudge
from sparkcode.clock import Clock, LoopClock
from sparkcode.errors import SparkError
from sparkcode.tui.checking import Checking
from sparkcode.tui.gate import Gate
from sparkcode.tui.history import History
from sparkcode.tui.keys import KEYS, bindings, key_line
from sparkcode.tui.paint import make_paint
from sparkcode.tui.panes import Panes
from sparkcode.tui.screens import HelpScreen
from sparkcode.tui.stage import PUMP_HZ, Stage
from sparkcode.tui.status import WIDE_CELLS, Parts
from sparkcode.tui.theme import DEFAULT_THEME, ThemeSet, load_themes
from sparkcode.tui.widgets.prompt import Prompt

_APPROVALS: Final = {"y": "accept", "n": "reject", "u": "undo"}
_COMMAND_LABELS: Final = {"accept": "run it", "reject": "do not"}
_URGENT: Final = ("interrupt", "accept", "reject", "undo")
_LEAVE: Final = "Ctrl+C again leaves"
_CLEARED: Final = f"{_LEAVE} (Up brings the prompt back)"
FEEL: Final = "/feel"
"""Begins a prompt that asks how the last answer feels elsewhere."""
_ACTIONS: Final = frozenset(key.action.split("(")[0] for key in KEYS)


def _driver_class() -> type[Driver] | None:
    """The quick driver where there is a POSIX terminal; None leaves the choice to Textual."""
    if sys.platform == "win32":
        return None
    from sparkcode.tui.driver import QuickEscapeDriver

    return QuickEscapeDriver


class SparkApp(App[None]):
    """See the module. Raises WorkspaceError for an unreadable path, UsageError for a theme."""

    CSS_PATH = "spark.tcss"
    TITLE = "sparkcode"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    AUTO_FOCUS = "#prompt"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_CELLS, "-wide")]  # noqa: RUF012 - as Textual's
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    def __init__(
        self,
        session: Session,
        *,
        open_paths: Sequence[str] = (),
        theme: str = DEFAULT_THEME,
        themes: ThemeSet | None = None,
        clock: Clock | None = None,
        check: CommandJudge | None = None,
    ) -> None:
        self._check = Checking(check)
        self._themes = load_themes() if themes is None else themes
        chosen = self._themes.get(theme)
        super().__init__(driver_class=_driver_class())
        self.animation_level = "none"
        self.session = session
        self.panes = Panes()
        for path in open_paths:
            self.panes.add(session.open(path).path)
        self._clock: Clock = LoopClock() if clock is None else clock
        self._gate = Gate()
        self._history = History()
        self._link: asyncio.Task[None] | None = None
        self._undoable = 0
        self._stage = Stage(
            session,
            self.panes,
            make_paint(chosen),
            shortcut=self._shortcut,
            history=self._history,
        )
        self._stage.notice = "; ".join(self._themes.problems)
        for each in self._themes.themes.values():
            self.register_theme(each.textual())
        self.theme = chosen.name

    def compose(self) -> ComposeResult:
        stage = self._stage
        yield stage.tabs
        with Container(id="stage"):
            yield stage.buffer
            yield stage.transcript
        yield stage.prompt
        yield stage.hud
        yield stage.keys

    def on_mount(self) -> None:
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        """After the first frame: paint what there is, then connect."""
        gc.enable()  # Off until here, so that the first frame does not wait for it.
        self._pump()
        self._link = asyncio.create_task(self.session.run(), name="session")
        self.set_interval(1 / PUMP_HZ, self._pump)

    def say(self, line: str) -> None:
        """Show the progress of an engine that starts, until the link is ready."""
        self._stage.progress = line

    async def on_unmount(self) -> None:
        self._check.stop()
        await self.session.close()

    def _pump(self) -> None:
        if not self.is_running:
            return  # The screen is being taken down.
        if self._link is not None and self._link.done() and not self._link.cancelled():
            # The session reports trouble with the link by itself; anything else is a fault.
            self._link.result()
        now = self._clock.now()
        self._gate.see((self.session.edit, self.session.asking), now)
        if self._stage.notice in (_LEAVE, _CLEARED) and not self._gate.leaving(now):
            self._stage.notice = ""
        moved, due = self._stage.pump(now, self.size.width)
        if moved or due:
            self._stage.keys.show(self._key_parts())
        if moved:
            self.call_after_refresh(self._painted, self._stage.seen)

    def _painted(self, revision: int) -> None:
        self._stage.mark_painted(self._clock.now(), revision)

    def _key_parts(self) -> Parts:
        parts: Parts = []
        for keys, label in key_line(self._working(), self.size.width):
            # Once the answer has stopped, the same key leaves what it left unfinished.
            shown = "leave" if label == "stop" and not self.session.busy else label
            shown = _COMMAND_LABELS.get(label, label) if self.session.asking else shown
            parts += [(f" {keys}", "primary"), (f" {shown} ", "muted")]
        return parts

    def _working(self) -> list[str]:
        """Ids of the commands that work now, the most useful ones first."""
        prompt = self._stage.prompt
        asleep = {"accept", "reject", "undo"} if prompt.has_focus and prompt.text else set()
        if not prompt.has_focus:
            asleep.add("send")
        if not len(self.panes):
            asleep.add("focus")
        keys = sorted(KEYS, key=lambda key: key.action not in _URGENT)
        return [
            key.id
            for key in keys
            if key.label and key.id not in asleep and self._allowed(key.action.split("(")[0])
        ]

    # --- keys ----------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if len(self.screen_stack) > 1 and action in _ACTIONS:
            # A screen above this one has its own keys, but stopping works from everywhere.
            return action == "quit" or (action == "interrupt" and self.session.busy)
        if action in _APPROVALS.values() and not self._gate.armed(self._clock.now()):
            return False
        return self._allowed(action)

    def _allowed(self, action: str) -> bool:
        """Whether there is anything for ``action`` to act on."""
        edit = self.session.edit
        match action:
            case "interrupt":
                return self.session.busy or (self._stage.edit_shown and edit != "pending")
            case "accept" | "reject" | "check":
                asked = action != "check" and self.session.asking != ""
                return asked or (edit == "pending" and self._may_check(action))
            case "undo":
                return self._undoable > 0 and edit not in ("streaming", "pending")
            case "region":
                return self.panes.current is not None and self.panes.current.selection is None
            case _:
                return action != "file" or len(self.panes) > 1

    def _may_check(self, action: str) -> bool:
        return action != "check" or self._check.command != ""

    def _shortcut(self, key: str) -> str | None:
        """What a key means while the prompt is empty."""
        if key == "question_mark":
            return "help"
        action = _APPROVALS.get(key)
        if action is None or not self.check_action(action, ()):
            return None
        # Undo is no question that waits: a word may begin with u, so it is offered only at first.
        offered = self.session.edit == "accepted" and self._gate.offered
        return action if action != "undo" or offered else None

    def action_interrupt(self) -> None:
        if not self.session.interrupt():
            self._stage.leave_edit()
        self._pump()

    def action_accept(self) -> None:
        if self.session.asking:
            self.session.allow(True)
        elif self._attempt(self.session.accept):
            self._undoable += 1

    def action_reject(self) -> None:
        if self.session.asking:
            self.session.allow(False)
        else:
            self._attempt(self.session.reject)

    def action_check(self) -> None:
        self._attempt(lambda: self._check.start(self.session.edits.plan(), self._say_checked))

    def _say_checked(self, line: str) -> None:
        self._stage.notice = line

    def action_undo(self) -> None:
        if self._attempt(self.session.undo):
            self._undoable -= 1

    def _attempt(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except SparkError as error:
            # Why an edit cannot be written stands beside the edit already.
            known = one_line(str(error)) == self.session.edit_error
            self._stage.notice = "" if known else str(error)
            return False
        self._stage.notice = ""
        return True

    def action_switch_focus(self) -> None:
        to_file = self.focused is self._stage.prompt and len(self.panes) > 0
        # At once: Widget.focus() waits its turn, and keys typed meanwhile would go astray.
        target = self._stage.buffer if to_file else self._stage.prompt
        target.screen.set_focus(target)

    def action_file(self, by: int) -> None:
        self.panes.step(by)

    def action_region(self) -> None:
        self._stage.aiming.step(self._stage.prompt.text)
        self._pump()

    def action_page(self, by: int) -> None:
        (self._stage.buffer if self._stage.buffer.has_focus else self._stage.transcript).page(by)

    def action_hunk(self, by: int) -> None:
        self._stage.buffer.step_hunk(by)

    async def action_wafer(self, feel: str = "") -> None:
        """Open the wafer panel; ``feel`` says at once what to stream the newest answer as."""
        await self.push_screen(self._stage.wafer(self._clock, feel))

    async def action_help(self) -> None:
        await self.push_screen(HelpScreen())

    def action_clear(self) -> None:
        if self._gate.clear(self._clock.now()):
            self.exit()
            return
        self.session.interrupt()
        draft = self._stage.prompt.text
        self._history.push(draft)
        self._stage.prompt.put("")
        self._stage.notice = _CLEARED if draft.strip() else _LEAVE

    def action_theme(self, name: str) -> None:
        """Use the theme called ``name``."""
        self._stage.use(make_paint(self._themes.get(name)))
        self.theme = name

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for key in KEYS:
            if key.bound and key.id != "palette" and self._allowed(key.action.split("(")[0]):
                run = partial(self.run_action, key.action)
                yield SystemCommand(key.help, f"Key: {key.shown}", run)
        for name in self._themes.themes:
            use = partial(self.action_theme, name)
            yield SystemCommand(f"Theme: {name}", "Change the colours", use)

    # --- the prompt ----------------------------------------------------------------------------

    def on_prompt_typed(self) -> None:
        self._gate.typed()
        self._stage.notice = ""

    def on_prompt_sent(self, message: Prompt.Sent) -> None:
        if message.text.split()[:1] == [FEEL]:
            self._stage.prompt.put("")
            self.call_later(self.action_wafer, message.text)
            return
        # After the keys that the file got before: they decide which region is meant.
        self._stage.buffer.call_later(self._send, message.text)

    def _send(self, instruction: str) -> None:
        try:
            asked = self._stage.aiming.asked(instruction)
            if asked.kind == "task":
                check_able(self.session.link.peer)
            targets = [each for each in asked.targets if self._is_there(each)]
            about = asked.about if asked.about and self._is_there(asked.about) else None
            self._stage.leave_turn(self._clock.now())
            first = targets[0] if targets else None
            self.session.submit(asked.instruction, first, also=targets[1:], about=about)
        except SparkError as error:
            self._stage.notice = str(error)
            return
        self._stage.notice = ""
        self._history.push(instruction)
        self._stage.prompt.put("")
        self._pump()

    def _is_there(self, target: Target) -> bool:
        """Whether a target can be read: a file that was added and taken back is still shown."""
        return target.path in self.session.buffers or self.panes.get(target.path) is None
