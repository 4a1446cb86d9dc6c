"""What there is to see of a session, and how to wait until there is more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sparkcode.assistant.edits import Edits, EditState
from sparkcode.assistant.flight import Link
from sparkcode.assistant.helping import Helping
from sparkcode.assistant.improving import Improving
from sparkcode.assistant.meter import StreamMeter
from sparkcode.assistant.preview import EditPreview
from sparkcode.assistant.tries import Tries
from sparkcode.assistant.turn import Turn
from sparkcode.assistant.workspace import Buffer, Workspace
from sparkcode.clock import Clock
from sparkcode.errors import UsageError


class Visible:
    """A session's state as it is shown; ``revision`` grows with every visible change."""

    def __init__(self, clock: Clock, workspace: Workspace, tries: Tries | None) -> None:
        self.revision = 0
        self.meter = StreamMeter()
        self.link = Link("connecting")
        self.edits = Edits(workspace)
        self.improving = Improving(tries, clock, self._touch)
        self.helping: Helping | None = None
        """Set before the session runs, or never."""
        self._past: tuple[Turn, ...] = ()
        self._turn: Turn | None = None
        self._changed = asyncio.Event()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, oldest first."""
        return self._past if self._turn is None else (*self._past, self._turn)

    @property
    def turn(self) -> Turn | None:
        """The newest turn."""
        return self._turn

    @property
    def busy(self) -> bool:
        """Whether the newest turn is not final, or a better answer is looked for."""
        return self.improving.active or (self._turn is not None and not self._turn.final)

    @property
    def previews(self) -> Mapping[str, EditPreview]:
        """The newest turn's edit, by path."""
        return self.edits.previews

    @property
    def edit(self) -> EditState:
        return self.edits.state

    @property
    def asking(self) -> str:
        """The command that the model wants to run and that waits for the user's word."""
        return "" if self.helping is None else self.helping.asking

    @property
    def edit_error(self) -> str:
        """Why the edit failed or could not be written, in one line."""
        return self.edits.error

    @property
    def buffers(self) -> Mapping[str, Buffer]:
        """The open files, by path."""
        return self.edits.buffers

    def _set_link(self, **changes: Any) -> None:
        self.link = replace(self.link, **changes)
        self._touch()

    async def changed(self, seen: int) -> int:
        """Wait until ``revision`` is not ``seen``; the new revision."""
        while self.revision == seen:
            self._changed.clear()
            await self._changed.wait()
        return self.revision

    async def wait_turn(self) -> Turn:
        """The newest turn once nothing more becomes of it; UsageError if there is none."""
        if self._turn is None:
            raise UsageError("there is no turn to wait for; submit an instruction first")
        while self.busy:
            await self.changed(self.revision)
        return self._turn

    def _touch(self) -> None:
        self.revision += 1
        self._changed.set()
