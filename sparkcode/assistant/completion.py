"""Code at a cursor: one request, one answer, no conversation.

The request says in plain words what is wanted, so that a model that knows nothing of a cursor line
can answer it too. Such an answer may come in a fence, which is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.single import ask
from sparkcode.assistant.turn import Turn, begin
from sparkcode.errors import EngineError, UsageError
from sparkcode.protocol.blocks import COMPLETE, COMPLETE_LINE, Cursor, FileBlock, render
from sparkcode.protocol.events import ResponseCreate, ResponseIncomplete, ServerEvent

if TYPE_CHECKING:
    from sparkcode.clock import Clock
    from sparkcode.link.transport import Transport

INSTRUCTIONS: Final = (
    "You complete code. A file block names a cursor by line and column. Answer with nothing but "
    "the text to insert there: no fence, no explanation, nothing that stands before or behind it."
)


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back."""

    text: str
    """What the model said."""
    finish: Literal["stop", "length"]
    """``length`` when it would have gone on."""
    turn: Turn
    stats: StreamStats


def cursor_in(block: FileBlock, line: int, column: int | None) -> Cursor:
    """The place before a line's ``column``, None for its end; UsageError if there is none."""
    lines = block.text.split("\n")
    if not 1 <= line <= len(lines):
        raise UsageError(f"line {line} is not in {block.path!r}, whose lines are 1 to {len(lines)}")
    end = len(lines[line - 1].removesuffix("\r")) + 1
    if column is not None and not 1 <= column <= end:
        raise UsageError(
            f"column {column} is not in line {line} of {block.path!r}, whose columns are 1 to {end}"
        )
    return Cursor(line, end if column is None else column)


def completion_request(
    block: FileBlock,
    others: Sequence[FileBlock],
    model: str,
    *,
    line_only: bool = False,
    max_tokens: int | None = None,
) -> ResponseCreate:
    """The request for code at the cursor of ``block``; ``others`` are context. Greedy."""
    asked = COMPLETE_LINE if line_only else COMPLETE
    # What changes while somebody types comes last, so that an engine knows the rest.
    text = "\n".join([*map(render, others), render(block), asked])
    content = [{"type": "input_text", "text": text}]
    return ResponseCreate(
        model=model,
        instructions=INSTRUCTIONS,
        input=[{"type": "message", "role": "user", "content": content}],
        max_output_tokens=max_tokens,
        temperature=0.0,
        store=False,
        stream=True,
    )


async def complete(transport: Transport, request: ResponseCreate, clock: Clock) -> Completion:
    """Send ``request`` over a fresh link and wait for the whole answer.

    EngineError for a failed answer, EngineUnreachableError when the link ends before it.
    """
    done = await ask(transport, request, begin(1, COMPLETE, ""), clock)
    turn, cut = done.turn, _cut_short(done.last)
    if turn.phase != "completed" and not cut:
        raise EngineError(turn.error or "the engine stopped the answer")
    return Completion(turn.text, "length" if cut else "stop", turn, done.stats)


def insertion(completion: Completion, block: FileBlock, *, line_only: bool = False) -> str:
    """What to insert into ``block``: without a fence around it, with the file's line endings.

    Of several lines that were cut short, the whole ones.
    """
    text = completion.text
    if block.language != "markdown":
        text = _without_fence(text)
    if completion.finish == "length" and text.strip("\n").count("\n"):
        text = text.rpartition("\n")[0]
    if line_only:
        start = len(text) - len(text.lstrip("\n"))
        text = text[:start] + text[start:].partition("\n")[0]
    # The machine's text has LF alone; a file with mixed endings is taken by its first.
    crlf = "\r\n" in block.text[: block.text.find("\n") + 1]
    return text.replace("\n", "\r\n") if crlf else text


def inserted(block: FileBlock, text: str) -> str:
    """The file with ``text`` at its cursor."""
    assert block.cursor is not None
    before = block.text.split("\n")[: block.cursor.line - 1]
    at = sum(len(line) + 1 for line in before) + block.cursor.column - 1
    return block.text[:at] + text + block.text[at:]


def _without_fence(text: str) -> str:
    lines = text.strip().split("\n")
    fenced = len(lines) > 2 and lines[0].startswith("```") and lines[-1].strip() == "```"
    return "\n".join(lines[1:-1]) if fenced else text


def _cut_short(event: ServerEvent) -> bool:
    """Whether the answer ended because it reached its limit."""
    match event:
        case ResponseIncomplete(response=response):
            details = response.incomplete_details
            return details is not None and details.reason == "max_output_tokens"
        case _:
            return False
