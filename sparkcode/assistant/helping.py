"""What the model asked for between two of its responses: done one by one.

Looking is free. A command is run only when the user says so, on the screen or beforehand, and then
in a copy of the folder with the turn's patches, as a check is (:mod:`.trial`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Final

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.lifeline import Lifeline
from sparkcode.assistant.plain import one_line, plain
from sparkcode.assistant.tools import RUN, Found, command_of, refused
from sparkcode.assistant.trial import LIMITS, Trial
from sparkcode.assistant.turn import PATCH_TOOL, ToolCallItem, Turn, failed
from sparkcode.assistant.workspace import Workspace
from sparkcode.errors import SparkError, UsageError
from sparkcode.link.transport import Peer
from sparkcode.protocol.events import FunctionCallItem

SEARCH_SECONDS: Final = 10.0
"""The longest that one search goes on."""
OUTPUT_CHARACTERS: Final = 12_000
"""The end of what a command printed that the model is told."""

MAX_ROUNDS: Final = 40
"""Most responses of one turn."""
EMBEDDED: Final = "spark"
"""The engine whose model is too small for tools."""
OURS: Final = (EMBEDDED, "scripted")
"""Engines whose patch is all there is to come."""

_SHELL: Final = re.compile(r"[;&|<>`$(){}\\\n!#]")
"""What makes a shell do more than one plain command."""

Told = Mapping[str, str]
"""What the model is told, by call id."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The calls of one response."""

    calls: Sequence[ToolCallItem]
    patched: str
    """What is told about the patch among them."""
    staged: Contents
    """Files as the turn's patches leave them."""


def goes_on(turn: Turn, peer: Peer) -> bool:
    """Whether the model waits for what its complete response asked for.

    The patch of a marked region is the answer; that of a task at large may be one of several.
    """
    looked = any(call.name != PATCH_TOOL for call in turn.calls)
    at_large = not turn.target and peer.maker not in OURS
    return looked or (turn.patch != "" and (turn.round > 1 or at_large))


def at_work(turn: Turn, peer: Peer) -> Turn:
    """``turn``, and if its response is complete but not its last one, at work; else as it is."""
    if turn.phase != "completed" or not goes_on(turn, peer):
        return turn
    working = replace(turn, phase="working")
    if turn.round < MAX_ROUNDS:
        return working
    return failed(working, f"the model asked for tools more than {MAX_ROUNDS - 1} times")


def check_able(peer: Peer | None) -> None:
    """UsageError for an engine whose model uses no tools: it cannot do a task in a folder."""
    if peer is not None and peer.maker == EMBEDDED:
        raise UsageError(
            "a task in the whole folder needs an engine whose model uses tools (--url); "
            "the embedded one edits the lines that are marked"
        )


def begins_with(allowed: Sequence[str]) -> Callable[[str], bool]:
    """Whether a command is one of ``allowed``, perhaps with more plain words behind it."""

    def may(command: str) -> bool:
        return any(
            command == each or (command.startswith(f"{each} ") and not _SHELL.search(command))
            for each in allowed
        )

    return may


class Helping:
    """At most one batch at a time.

    ``allowed`` says of a command whether it may run; None asks the user (:attr:`asking`,
    :meth:`decide`).
    """

    def __init__(self, workspace: Workspace, allowed: Callable[[str], bool | None]) -> None:
        self.asking = ""
        """The command that waits for the user's word."""
        self._workspace = workspace
        self._allowed = allowed
        self._task: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[bool] | None = None

    def start(
        self,
        line: Lifeline,
        batch: Batch,
        used: Callable[[str], None],
        done: Callable[[Told], None],
    ) -> None:
        """Answer ``batch``. ``used`` gets a line whenever there is something new to see, "" for
        none; ``done`` gets what came of all calls.
        """
        self.stop()
        self._task = line.attend(self._run(batch, used, done))

    def stop(self) -> None:
        """The turn is over; a command that runs ends by its own limits."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self.asking = ""

    def decide(self, yes: bool) -> None:
        """The user's word on the command in :attr:`asking`."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(yes)

    async def _run(
        self, batch: Batch, used: Callable[[str], None], done: Callable[[Told], None]
    ) -> None:
        told: dict[str, str] = {}
        patches = 0
        for call in batch.calls:
            if call.name == PATCH_TOOL:
                patches += 1
                first = "error: one patch at a time; send this one again"
                told[call.call_id] = batch.patched if patches == 1 else first
                continue
            found = await self._found(call, batch.staged, used)
            told[call.call_id] = found.text
            used(found.said)
        self._task = None
        done(told)

    async def _found(
        self, call: ToolCallItem, staged: Contents, used: Callable[[str], None]
    ) -> Found:
        if not isinstance(call, FunctionCallItem):
            return refused(one_line(call.name, 60), f"no tool {call.name!r} here")
        if call.name == RUN:
            command = command_of(call.arguments)
            if isinstance(command, Found):
                return command
            return await self._command(command, staged, used)
        # Not every session needs what looking is made of, and the first frame would wait for it.
        from sparkcode.assistant.toolbox import Toolbox

        over = Event()
        timer = asyncio.get_running_loop().call_later(SEARCH_SECONDS, over.set)
        look = Toolbox(self._workspace).answer
        try:
            return await asyncio.to_thread(look, call.name, call.arguments, staged, over.is_set)
        finally:
            timer.cancel()
            # A thread cannot be cancelled, but it looks.
            over.set()

    async def _command(self, command: str, staged: Contents, used: Callable[[str], None]) -> Found:
        said = f"ran {one_line(command, 120)}"
        if not await self._approved(command, used):
            refusal = "the user does not allow this command; go on without it"
            return Found(f"error: {refusal}", f"not allowed: {one_line(command, 120)}")
        used("")
        trial = Trial(command, self._workspace.root, LIMITS)
        try:
            outcome = await asyncio.to_thread(trial.outcome, staged)
        except SparkError as error:
            return refused(said, str(error))
        if outcome.status is None:
            end = f"not done after {trial.limits.seconds:g} s"
        else:
            end = f"exit status {outcome.status}"
        output = plain(outcome.output)[-OUTPUT_CHARACTERS:]
        return Found(f"{end}\n{output}", f"{said}: {end}")

    async def _approved(self, command: str, used: Callable[[str], None]) -> bool:
        known = self._allowed(command)
        if known is not None:
            return known
        self._answer = asyncio.get_running_loop().create_future()
        self.asking = command
        used("")
        try:
            return await self._answer
        finally:
            self.asking, self._answer = "", None
