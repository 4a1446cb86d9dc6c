"""What becomes of the model's text: said as it is, or turned into a patch."""

from __future__ import annotations

from typing import Final, Protocol

from sparkcode.engine.base import Channel
from sparkcode.engine.chatml import fence_for
from sparkcode.engine.fence import FenceStop
from sparkcode.engine.margins import Margins
from sparkcode.engine.opening import Opening
from sparkcode.engine.prompt import EDIT_TOOL, EditTask
from sparkcode.patch.adding import AddWriter
from sparkcode.patch.writer import PatchWriter
from sparkcode.syntax.lines import line_count

NO_CHANGE = "No change: the model returned the marked lines as they are."


class Sink(Protocol):
    """Takes the model's text as it streams; gives text for one channel of the answer."""

    @property
    def full(self) -> bool:
        """The answer is complete, whatever else the model would say."""
        ...

    def feed(self, text: str) -> tuple[Channel, str]:
        """Text that became certain with this piece; may be empty."""
        ...

    def finish(self, *, complete: bool) -> tuple[Channel, str]:
        """The rest. An answer that was cut short is not made to look whole."""
        ...


class MessageSink:
    """A chat answer: every piece is said at once."""

    full = False

    def feed(self, text: str) -> tuple[Channel, str]:
        return Channel(), text

    def finish(self, *, complete: bool) -> tuple[Channel, str]:
        return Channel(), ""


class PatchSink:
    """An edit: the rewritten region in, apply_patch text out.

    A region that comes back unchanged is no patch; the answer is then a message that says so. A
    rewrite that was cut short stays an unfinished patch: closing it would delete the lines that
    the model had not reached yet.

    Of an edit in several passes each has a sink that goes on with the patch ``after`` another's;
    the ``last`` one ends it. A new file is a patch of its own.
    """

    def __init__(
        self, task: EditTask, after: PatchSink | None = None, *, last: bool = True
    ) -> None:
        block, before = task.block, None if after is None else after._writer
        written = before if isinstance(before, PatchWriter) else None
        self._opening = Opening(task.region_text)
        self._margins = (
            Margins.of_new(_gap(task))
            if task.writes
            else Margins(task.region_text, task.instruction)
        )
        self._fence = FenceStop(fence_for(task.region_text))
        self._writer: PatchWriter | AddWriter = (
            AddWriter(block.path)
            if block.new
            else PatchWriter(block.path, block.text, task.region, after=written)
        )
        self._channel = Channel("custom_tool_call", EDIT_TOOL)
        self._last = last
        self._blank = False

    @property
    def full(self) -> bool:
        return self._fence.closed

    def feed(self, text: str) -> tuple[Channel, str]:
        return self._channel, self._written(self._fence.feed(self._opening.feed(text)))

    def finish(self, *, complete: bool) -> tuple[Channel, str]:
        if not complete:
            return self._channel, ""
        patch = self._written(self._fence.feed(self._opening.finish()) + self._fence.finish())
        patch += self._said(self._margins.finish())
        if self._blank and (self._fence.closed or not self._margins.free):
            # The last line is empty, and its line break was taken for the fence's.
            patch += self._writer.feed("\n")
        patch += self._writer.close() if self._last else self._writer.end()
        if self._last and not self._writer.changed:
            return Channel(), NO_CHANGE
        return self._channel, patch

    def _written(self, text: str) -> str:
        return self._said(self._margins.feed(text))

    def _said(self, text: str) -> str:
        if text:
            self._blank = text.endswith("\n")
        return self._writer.feed(text)


_GAPS: Final = {"python": 2, "markdown": 1} | dict.fromkeys(
    ("javascript", "typescript", "tsx", "go", "rust", "java", "c", "cpp", "sql", "html", "css"), 1
)
"""Blank lines between two definitions at the end of a file; elsewhere lines follow each other."""


def _gap(task: EditTask) -> str:
    """The blank lines between what a file has and what is added at its end."""
    lines = task.block.text.split("\n")[: task.region[0] - 1]
    at_end = task.region[0] > line_count(task.block.text)
    if not at_end or not any(line.strip() for line in lines):
        return ""
    there = len(lines) - len("\n".join(lines).rstrip().split("\n"))
    return "\n" * max(0, _GAPS.get(task.block.language, 0) - there)
