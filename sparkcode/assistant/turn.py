"""One turn of a conversation: a fold over the server's events.

    waiting ──first content──> streaming ──response.completed──> completed
       └────────────────────────┴──interrupt, response.incomplete(interrupted)──> interrupted
       └────────────────────────┴──error, response.failed, other incomplete────> failed

The three right-hand phases are final: a final turn absorbs nothing more. A response that calls
tools is not the end: ``continued`` makes the turn go on (``working``, then streaming again) with
the response that follows their results. Nor is a cut of the link: ``resumed`` makes it wait for the
same response again. ``fold`` is pure, so a tape, a resumed session and a test all make the same
turn from the same events.

Two kinds of output count: the text of messages, and the input of the first ``apply_patch`` call.
Servers differ in what they send; text that came only whole (in ``output_item.done`` or in the final
response) is taken from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sparkcode.assistant.plain import one_line, strip
from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    CustomToolCallItem,
    ErrorEvent,
    FunctionCallItem,
    InputTokensDetails,
    MessageItem,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTokensDetails,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseError,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ServerEvent,
    Usage,
)

TurnPhase = Literal["waiting", "streaming", "working", "completed", "interrupted", "failed"]

ToolCallItem = CustomToolCallItem | FunctionCallItem
PATCH_TOOL = "apply_patch"
_NO_ITEM = -1


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that the model has used."""

    at: int
    """How many characters of the answer's text there were before it."""
    said: str
    """What it was and what came of it, in one line."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user asked and what has come back so far."""

    number: int
    """Counts the turns of a session from 1."""
    instruction: str
    target: str = ""
    """Where the edit goes, such as ``calc.py:4-5``; empty for a question."""
    reads: tuple[str, ...] = ()
    """Other files that the question carries, or an earlier one that still counts."""
    phase: TurnPhase = "waiting"
    text: str = ""
    """The answer's messages, stripped of what could steer a terminal."""
    patch: str = ""
    """The input of the ``apply_patch`` call as it came."""
    response_id: str = ""
    model: str = ""
    usage: Usage | None = None
    error: str = ""
    """One line; empty unless the turn failed."""
    output: tuple[OutputItem, ...] = ()
    """Whole items, in the order in which they were finished."""
    held: str = ""
    """The start of a terminal escape sequence whose end has not come; never shown."""
    patch_index: int = _NO_ITEM
    """``output_index`` of the item whose input is ``patch``; -1 before there is one."""
    foreign: tuple[int, ...] = ()
    """``output_index`` of calls to other tools."""
    round: int = 1
    """Counts the turn's responses from 1."""
    spent: Usage | None = None
    """What the earlier responses used; ``usage`` includes it."""
    uses: tuple[Use, ...] = ()
    """Tools, oldest first."""

    @property
    def final(self) -> bool:
        """Whether no event can change the turn any more."""
        return self.phase in ("completed", "interrupted", "failed")

    @property
    def calls(self) -> tuple[ToolCallItem, ...]:
        """The newest response's calls."""
        return tuple(item for item in self.output if isinstance(item, ToolCallItem))


def begin(number: int, instruction: str, target: str = "", reads: Iterable[str] = ()) -> Turn:
    """A turn that was asked and not yet answered."""
    return Turn(number=number, instruction=instruction, target=target, reads=tuple(reads))


def used(turn: Turn, said: str) -> Turn:
    """The turn with one more tool used."""
    return replace(turn, uses=(*turn.uses, Use(len(turn.text), one_line(said))))


def continued(turn: Turn) -> Turn:
    """The turn with its newest response behind it, waiting for the next one."""
    return replace(
        turn,
        phase="working",
        patch="",
        output=(),
        held="",
        patch_index=_NO_ITEM,
        foreign=(),
        round=turn.round + 1,
        spent=turn.usage or turn.spent,
    )


def resumed(turn: Turn, why: str) -> Turn:
    """The turn asks for its newest response again: what had come of it stays above a mark."""
    return replace(
        used(turn, why),
        phase="waiting" if turn.round == 1 else "working",
        patch="",
        output=(),
        held="",
        patch_index=_NO_ITEM,
        foreign=(),
        usage=turn.spent,
    )


def interrupted(turn: Turn) -> Turn:
    """The turn, stopped here; what landed stays. A final turn is returned as it is."""
    return turn if turn.final else replace(turn, phase="interrupted", held="")


def failed(turn: Turn, error: str) -> Turn:
    """The turn, failed with ``error`` (made one line). A final turn is returned as it is."""
    return turn if turn.final else replace(turn, phase="failed", error=one_line(error), held="")


def fold(turn: Turn, event: ServerEvent) -> Turn:
    """The turn after one more event of its response; events without content change nothing."""
    if turn.final:
        return turn
    match event:
        case OutputTextDelta(delta=delta):
            turn = _said(turn, delta)
        case CustomToolCallInputDelta(delta=delta, output_index=index):
            turn = _patched(turn, delta, index)
        case OutputItemAdded(item=item, output_index=index):
            turn = _opened(turn, item, index)
        case OutputItemDone(item=item, output_index=index):
            turn = _closed(turn, item, index)
        case ResponseCreated(response=response) | ResponseInProgress(response=response):
            turn = _identified(turn, response)
        case _:
            turn = _finished(turn, event)
    return turn


def _finished(turn: Turn, event: ServerEvent) -> Turn:
    match event:
        case ResponseCompleted(response=response):
            turn = replace(_whole(turn, response), phase="completed", held="")
        case ResponseIncomplete(response=response):
            turn = _incomplete(_whole(turn, response), response)
        case ResponseFailed(response=response):
            error = response.error or ResponseError()
            turn = failed(_whole(turn, response), error.message or error.code)
        case ErrorEvent(error=body):
            turn = failed(turn, body.message or body.code or body.type)
        case _:
            pass
    return turn


def _incomplete(turn: Turn, response: Response) -> Turn:
    reason = response.incomplete_details.reason if response.incomplete_details else ""
    if reason == "interrupted":
        return interrupted(turn)
    return failed(turn, f"the answer was cut short: {reason or 'no reason given'}")


def _identified(turn: Turn, response: Response) -> Turn:
    return replace(
        turn,
        response_id=response.id or turn.response_id,
        model=response.model or turn.model,
        usage=turn.usage if response.usage is None else _sum(turn.spent, response.usage),
    )


def _sum(one: Usage | None, other: Usage) -> Usage:
    """What two responses used."""
    if one is None:
        return other
    cached = one.input_tokens_details.cached_tokens + other.input_tokens_details.cached_tokens
    written = (
        one.input_tokens_details.cache_write_tokens + other.input_tokens_details.cache_write_tokens
    )
    thought = (
        one.output_tokens_details.reasoning_tokens + other.output_tokens_details.reasoning_tokens
    )
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=written),
        output_tokens=one.output_tokens + other.output_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
        total_tokens=one.total_tokens + other.total_tokens,
    )


def _whole(turn: Turn, response: Response) -> Turn:
    """The turn with what only the final response told."""
    turn = _identified(turn, response)
    if turn.output:
        return turn
    for index, item in enumerate(response.output):
        turn = _closed(turn, item, index)
    return turn


def _said(turn: Turn, delta: str) -> Turn:
    clean, held = strip(turn.held + delta)
    phase: TurnPhase = "streaming" if delta else turn.phase
    return replace(turn, text=turn.text + clean, held=held, phase=phase)


def _patched(turn: Turn, delta: str, index: int) -> Turn:
    if index in turn.foreign or turn.patch_index not in (_NO_ITEM, index):
        return turn
    phase: TurnPhase = "streaming" if delta else turn.phase
    return replace(turn, patch=turn.patch + delta, patch_index=index, phase=phase)


def _opened(turn: Turn, item: OutputItem, index: int) -> Turn:
    match item:
        case MessageItem() if turn.text:
            return replace(turn, text=turn.text.rstrip("\n") + "\n\n", held="")
        case CustomToolCallItem(name=name) if name == PATCH_TOOL:
            free = turn.patch_index == _NO_ITEM
            return replace(turn, patch_index=index) if free else turn
        case CustomToolCallItem() | FunctionCallItem():
            return replace(turn, foreign=(*turn.foreign, index))
        case _:
            return turn


def _closed(turn: Turn, item: OutputItem, index: int) -> Turn:
    turn = replace(turn, output=(*turn.output, item))
    match item:
        case MessageItem() if not turn.text:
            return _said(turn, item.text)
        case CustomToolCallItem(name=name) if name == PATCH_TOOL and not turn.patch:
            return _patched(turn, item.input, index)
        case _:
            return turn
