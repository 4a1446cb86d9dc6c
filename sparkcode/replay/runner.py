"""Plays a script, or a recorded user, on the real screen, and reports what was there. Records too.

By default time is simulated (:mod:`sparkcode.replay.loops`): a script takes as long as its
computation, and the same script takes the same course every time, on a loaded machine too. For that
three things must hold, and each is arranged here.

* *Whatever waits, waits on the loop.* Session, engine and pump do so by themselves. Textual waits
  on the loop but reads ``time.monotonic`` in between, to see how much of a wait is left; with two
  kinds of time its timers would never be in step. :func:`textual_time` lets its modules read the
  loop's time while a replay runs, and only them.
* *Nothing asks how busy the process is.* Textual's pilot waits until the processor idles. The
  player instead asks every widget whether it has worked off its messages.
* *The screen is what was painted.* The player reads a :class:`~sparkcode.replay.canvas.Canvas` that
  is painted with what Textual sends to a terminal.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from rich.console import RenderableType
from rich.segment import Segment
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.clock import Clock as TextualClock
from textual.keys import _character_to_key
from textual.notifications import Notification
from textual.pilot import Pilot
from textual.screen import Screen

from sparkcode.assistant.session import Session
from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import Clock, LoopClock
from sparkcode.errors import ScriptError, WorkspaceError
from sparkcode.link.replay import ReplayDialer
from sparkcode.link.tape import Tape
from sparkcode.link.transport import Dialer
from sparkcode.replay.canvas import Canvas
from sparkcode.replay.loops import InlineVirtualLoop, ScaledTimeLoop
from sparkcode.replay.player import Player
from sparkcode.replay.recording import (
    Input,
    Key,
    Pasted,
    Recording,
    cast_of,
    header_of,
    restore_files,
)
from sparkcode.replay.report import Failure, Report
from sparkcode.replay.scene import ClockName, Options, Wire, copied, folder_of, wire_of
from sparkcode.replay.script import Script
from sparkcode.replay.wire import MemoryWire
from sparkcode.tui.app import SparkApp
from sparkcode.tui.theme import DEFAULT_THEME, load_themes

# --- time -----------------------------------------------------------------------------------


@contextmanager
def textual_time(now: Callable[[], float]) -> Iterator[None]:
    """Textual's modules read ``now`` (seconds) instead of the process's clocks.

    Where Textual asks how much processor time it used the answer is none, so that its waits for an
    idle process end. Everything is put back afterwards, in modules that were loaded meanwhile too.
    """
    clocks: tuple[Callable[[], float], ...] = (time.monotonic, time.perf_counter, time.time)
    swaps = [(clock, _reader(now)) for clock in clocks]
    swaps.append((time.process_time, _reader(lambda: 0.0)))
    _swap(swaps)
    try:
        yield
    finally:
        _swap([(ours, real) for real, ours in swaps])


def _reader(now: Callable[[], float]) -> Callable[[], float]:
    """A function of its own, so that it can be told from the others when it is put back."""
    return lambda: now()


def _swap(swaps: Sequence[tuple[Callable[[], float], Callable[[], float]]]) -> None:
    for name, module in list(sys.modules.items()):
        if name == "textual" or name.startswith("textual."):
            for attribute, value in list(vars(module).items()):
                for old, new in swaps:
                    if value is old:
                        setattr(module, attribute, new)
    # Two places took their clock when they were defined: a default argument and a default factory.
    _swap_bound(TextualClock.__init__, swaps)
    _swap_bound(Notification.__init__, swaps)


def _swap_bound(
    function: Any, swaps: Sequence[tuple[Callable[[], float], Callable[[], float]]]
) -> None:
    assert isinstance(function, FunctionType)
    defaults = function.__kwdefaults__ or {}
    cells = function.__closure__ or ()
    for old, new in swaps:
        for name, value in defaults.items():
            if value is old:
                defaults[name] = new
        for cell in cells:
            if cell.cell_contents is old:
                cell.cell_contents = new


def _loop_factory(clock: ClockName, speed: float) -> Callable[[], asyncio.AbstractEventLoop]:
    return InlineVirtualLoop if clock == "virtual" else lambda: ScaledTimeLoop(speed)


# --- the screen, watched --------------------------------------------------------------------


class WatchedApp(SparkApp):
    """The screen; what it paints goes to a canvas, what its user does to a recording."""

    # A relative path would be looked for beside this class.
    CSS_PATH = str(Path(inspect.getfile(SparkApp)).with_name("spark.tcss"))

    def __init__(
        self,
        session: Session,
        *,
        canvas: Canvas | None = None,
        recording: Recording | None = None,
        **screen: Any,
    ) -> None:
        super().__init__(session, **screen)
        self._canvas = canvas
        self._recording = recording

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if self._canvas is None or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            return
        pieces = renderable.__rich_console__(self.console, self.console.options)
        self._canvas.paint(piece for piece in pieces if isinstance(piece, Segment))

    async def on_event(self, event: events.Event) -> None:
        if not event.is_forwarded:
            self._watch(event)
        await super().on_event(event)

    def _watch(self, event: events.Event) -> None:
        match event:
            case events.Resize(size=size):
                if self._canvas is not None:
                    self._canvas.resize(size.width, size.height)
                if self._recording is not None:
                    self._recording.resized(size.width, size.height)
            case events.Key() if self._recording is not None:
                typed = event.is_printable and "+" not in event.key
                self._recording.user(Key((typed and event.character) or event.key))
            case events.Paste(text=text) if self._recording is not None:
                self._recording.user(Pasted(text))


def _event_of(what: Input) -> events.Event:
    """What a terminal would send."""
    match what:
        case Pasted(text=text):
            return events.Paste(text)
        case Key(name="space"):
            return events.Key("space", " ")
        case Key(name=name) if len(name) == 1:
            return events.Key(_character_to_key(name), name)
        case Key(name=name):
            return events.Key(name, None)


class Hands:
    """What a player reaches the screen with."""

    def __init__(self, app: WatchedApp, pilot: Pilot[None]) -> None:
        self._app = app
        self._pilot = pilot

    @property
    def left(self) -> bool:
        """Whether the screen has been left."""
        return not self._app.is_running

    async def input(self, what: Input) -> None:
        """Press a key or paste, and let the widgets take it."""
        self._app.post_message(_event_of(what))
        await self._pilot._wait_for_screen()

    async def resize(self, columns: int, rows: int) -> None:
        await self._pilot.resize_terminal(columns, rows)


# --- recording ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Take:
    """What is recorded, and where."""

    path: Path
    workspace: Workspace
    size: tuple[int, int]
    """Columns and rows of the terminal."""
    open: tuple[str, ...] = ()
    theme: str = DEFAULT_THEME
    model: str = "spark"
    secrets: tuple[str, ...] = ()
    """Texts that must not be on the tape, such as the API key."""
    overwrite: bool = False


async def record(
    take: Take, dialer: Dialer, run: Callable[[WatchedApp], Awaitable[object]]
) -> Recording:
    """Record what happens on a screen while ``run`` runs it; the recording, closed.

    Errors that are the user's (a path, a theme, a tape that exists) come before the tape is made.
    """
    clock = LoopClock()
    themes = load_themes()
    themes.get(take.theme)
    header = header_of(take.workspace, take.open, size=take.size, theme=take.theme)
    recording = Recording(take.path, header, clock, secrets=take.secrets, overwrite=take.overwrite)
    session = Session(
        dialer=recording.dialer(dialer), clock=clock, workspace=take.workspace, model=take.model
    )
    app = WatchedApp(
        session,
        recording=recording,
        open_paths=take.open,
        theme=take.theme,
        themes=themes,
        clock=clock,
    )
    try:
        await run(app)
    finally:
        await session.close()
        recording.close(app.return_code or 0)
    return recording


# --- the whole ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Show:
    """What is played, on which screen."""

    name: str
    clock: ClockName
    size: tuple[int, int]
    open: tuple[str, ...]
    theme: str


def run_script(script: Script, base: Path, options: Options) -> Report:
    """Play ``script``, whose relative paths start at ``base``; ScriptError for what it lacks."""
    settings = script.settings
    clock = options.clock_for(settings.clock)
    show = _Show(script.name, clock, settings.size, settings.open, settings.theme)
    with copied(folder_of(settings, base, options)) as workspace:

        def act(player: Player) -> Awaitable[Failure | None]:
            return player.follow(script.statements, workspace, base)

        return _run(show, options, workspace, lambda clock: wire_of(settings, base, clock), act)


def run_tape(tape: Tape, name: str, options: Options) -> Report:
    """Play a recording: its user again, against its engine's answers."""
    cast = cast_of(tape, name)
    show = _Show(name, options.clock_for("virtual"), cast.size, cast.open, cast.theme)
    with copied(options.workspace) as workspace:
        restore_files(cast, workspace, name)

        def act(player: Player) -> Awaitable[Failure | None]:
            return player.repeat(tape)

        return _run(show, options, workspace, lambda clock: ReplayDialer(tape, clock), act)


def _run(
    show: _Show,
    options: Options,
    workspace: Workspace,
    wire_for: Callable[[Clock], Wire],
    act: Callable[[Player], Awaitable[Failure | None]],
) -> Report:
    factory = _loop_factory(show.clock, options.speed)
    with (
        asyncio.Runner(loop_factory=factory) as runner,
        textual_time(runner.get_loop().time),
    ):
        return runner.run(_play(show, workspace, wire_for, act))


async def _play(
    show: _Show,
    workspace: Workspace,
    wire_for: Callable[[Clock], Wire],
    act: Callable[[Player], Awaitable[Failure | None]],
) -> Report:
    clock = LoopClock()
    wire = wire_for(clock)
    session = Session(dialer=wire, clock=clock, workspace=workspace)
    canvas = Canvas(*show.size)
    app = _app(show, session, canvas, clock)
    async with app.run_test(size=show.size, notifications=True) as pilot:
        player = Player(Hands(app, pilot), session, canvas, clock)
        following = asyncio.create_task(player.log.follow())
        try:
            failure = await act(player)
        finally:
            following.cancel()
        report = _report(show, player, session, failure)
    if isinstance(wire, MemoryWire):
        await wire.close()
    return report


def _app(show: _Show, session: Session, canvas: Canvas, clock: Clock) -> WatchedApp:
    try:
        return WatchedApp(
            session,
            canvas=canvas,
            open_paths=show.open,
            theme=show.theme or DEFAULT_THEME,
            # Only the shipped themes: a replay looks the same for every user.
            themes=load_themes(()),
            clock=clock,
        )
    except WorkspaceError as error:
        raise ScriptError(f"{show.name}: {error}") from error


def _report(show: _Show, player: Player, session: Session, failure: Failure | None) -> Report:
    peer = session.link.peer
    return Report(
        script=show.name,
        clock=show.clock,
        seconds=player.seconds,
        engine="" if peer is None else peer.engine,
        model="" if peer is None else peer.model,
        expectations=tuple(player.verdicts),
        turns=player.log.turns,
        marks=tuple(player.marks),
        failure=failure,
    )
