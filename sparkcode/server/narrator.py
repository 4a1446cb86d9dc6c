"""Steps of an engine, told as events of the Responses API. Pure.

The order is the one that ``protocol.lifecycle`` calls legal for a server. Sequence numbers and
lanes are not set here: the connection's machine does that.

A step opens an output item only when it brings text, because until then it is not certain which
channel the answer takes. Tokens without certain text are counted and travel with the next delta.
For clients that asked for simulated time an open item also gets deltas with empty text, at most
:data:`PROGRESS_PER_SECOND`, so that a rate can be shown while nothing is certain.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from sparkcode.engine.base import Channel, Step, TokenUsage
from sparkcode.errors import EngineError
from sparkcode.protocol.events import (
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    CustomToolCallItem,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    IncompleteDetails,
    InputTokensDetails,
    InterruptAccepted,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    OutputText,
    OutputTextDelta,
    OutputTextDone,
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseError,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ServerEvent,
    SparkTiming,
    Usage,
)

PROGRESS_PER_SECOND: Final = 60.0
"""Deltas with empty text, at most."""

IdSource = Callable[[str], str]
"""Prefix such as ``resp`` to a new id such as ``resp_4f...``."""

_PREFIX: Final = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc"}


def random_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return f"{prefix}_{os.urandom(16).hex()}"


def counting_ids() -> IdSource:
    """Ids that are the same in every run, for replay."""
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(numbers):032x}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asked for in the headers of its handshake or request."""

    timing: bool = False
    """Simulated time with each delta."""
    metrics: bool = False
    """The engine's figures before the terminal event."""
    lean: bool = False
    """No echo of tools and instructions: for clients that are known not to read it."""
    brief: bool = False
    """No event that only repeats what others say."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Wishes:
        """From request headers with lower-case names."""
        timing = headers.get("x-spark-timing") == "true"
        codex = headers.get("originator", "").startswith("codex")
        metrics = headers.get("x-responsesapi-include-timing-metrics") == "true"
        brief = headers.get("x-spark-brief") == "true"
        return cls(timing=timing, metrics=metrics, lean=timing or codex, brief=brief)


@dataclass(slots=True)
class _Open:
    """The output item that is being written."""

    channel: Channel
    index: int
    id: str
    call_id: str
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def item(self, status: ItemStatus) -> OutputItem:
        text = self.text
        match self.channel.kind:
            case "message":
                empty = status == "in_progress"
                content = [] if empty else [OutputText(text=text)]
                return MessageItem(id=self.id, status=status, content=list(content))
            case "function_call":
                return FunctionCallItem(
                    id=self.id,
                    status=status,
                    call_id=self.call_id,
                    name=self.channel.name,
                    arguments=text,
                )
            case _:
                return CustomToolCallItem(
                    id=self.id,
                    status=status,
                    call_id=self.call_id,
                    name=self.channel.name,
                    input=text,
                )


class Narrator:
    """Tells one response. Methods return the events that are to be sent now, in order."""

    def __init__(
        self,
        create: ResponseCreate,
        *,
        model: str,
        ids: IdSource,
        created_at: int,
        wishes: Wishes,
    ) -> None:
        self._ids = ids
        self._wishes = wishes
        self._response = _response(create, ids("resp"), model, created_at, lean=wishes.lean)
        self._output: list[OutputItem] = []
        self._open: _Open | None = None
        self._text = ""
        self._tokens = 0
        self._sim_time = 0.0
        self._progress_at = -inf
        self._output_tokens = 0
        self._usage: TokenUsage | None = None

    @property
    def response_id(self) -> str:
        return self._response.id

    def started(self) -> list[ServerEvent]:
        created = ResponseCreated(response=self._response)
        return [created] if self._wishes.brief else [created, *self.keep_alive()]

    def keep_alive(self) -> list[ServerEvent]:
        return [ResponseInProgress(response=self._response)]

    def frame(self, steps: Sequence[Step], now: float) -> list[ServerEvent]:
        """Events for steps that are released together; one delta per item.

        ``now`` is the time in seconds, on any axis.
        """
        events: list[ServerEvent] = []
        for step in steps:
            if step.text and (self._open is None or self._open.channel != step.channel):
                events += self._close("completed")
                events += self._begin(step.channel)
            self._text += step.text
            self._tokens += step.tokens
            self._output_tokens += step.tokens
            self._sim_time = step.sim_time
            self._usage = step.usage or self._usage
        if self._text or now >= self._progress_at + 1 / PROGRESS_PER_SECOND:
            delta = self._delta()
            if delta:
                self._progress_at = now
            events += delta
        return events

    def completed(self, now: int) -> list[ServerEvent]:
        """The end of an answer that is whole; ``now`` in Unix seconds."""
        closing = self._close("completed")
        response = self._final(status="completed", completed_at=now)
        return [*closing, ResponseCompleted(response=response)]

    def cut_off(self) -> list[ServerEvent]:
        """The end of an answer that reached ``max_output_tokens`` or the context's length."""
        closing = self._close("incomplete")
        details = IncompleteDetails(reason="max_output_tokens")
        response = self._final(status="incomplete", incomplete_details=details)
        return [*closing, ResponseIncomplete(response=response)]

    def interrupted(self) -> list[ServerEvent]:
        """The end of an answer that the client interrupted: only whole items remain."""
        events: list[ServerEvent] = [InterruptAccepted(response_id=self.response_id)]
        if self._open is not None:
            events.append(
                OutputItemInterrupted(
                    response_id=self.response_id,
                    item_id=self._open.id,
                    output_index=self._open.index,
                )
            )
            self._open = None
        details = IncompleteDetails(reason="interrupted")
        response = self._final(status="incomplete", incomplete_details=details)
        return [*events, ResponseIncomplete(response=response)]

    def failed(self, error: EngineError) -> list[ServerEvent]:
        """The end of an answer that the engine could not give."""
        body = ResponseError(code=error.code, message=str(error))
        return [ResponseFailed(response=self._final(status="failed", error=body))]

    def _final(self, **changes: Any) -> Response:
        usage = self._usage or TokenUsage(output_tokens=self._output_tokens)
        return msgspec.structs.replace(
            self._response, output=list(self._output), usage=_usage(usage), **changes
        )

    # --- items ---------------------------------------------------------------------------------

    def _begin(self, channel: Channel) -> list[ServerEvent]:
        call_id = "" if channel.kind == "message" else channel.call_id or self._ids("call")
        item_id = self._ids(_PREFIX[channel.kind])
        opened = self._open = _Open(channel, len(self._output), item_id, call_id)
        events: list[ServerEvent] = [
            OutputItemAdded(output_index=opened.index, item=opened.item("in_progress"))
        ]
        if channel.kind == "message" and not self._wishes.brief:
            events.append(
                ContentPartAdded(item_id=item_id, output_index=opened.index, part=OutputText())
            )
        return events

    def _delta(self) -> list[ServerEvent]:
        """The text and tokens that have not been sent, unless there is nothing to say."""
        opened = self._open
        if opened is None or not (self._text or (self._tokens and self._wishes.timing)):
            return []
        delta, self._text = self._text, ""
        opened.pieces.append(delta)
        timing: SparkTiming | UnsetType = UNSET
        if self._wishes.timing:
            timing = SparkTiming(sim_time=self._sim_time, tokens=self._tokens)
        self._tokens = 0
        at, index = opened.id, opened.index
        match opened.channel.kind:
            case "message":
                return [OutputTextDelta(item_id=at, output_index=index, delta=delta, spark=timing)]
            case "function_call":
                return [
                    FunctionCallArgumentsDelta(
                        item_id=at, output_index=index, delta=delta, spark=timing
                    )
                ]
            case _:
                return [
                    CustomToolCallInputDelta(
                        item_id=at, output_index=index, delta=delta, spark=timing
                    )
                ]

    def _close(self, status: ItemStatus) -> list[ServerEvent]:
        events = self._delta()
        opened = self._open
        if opened is None:
            return events
        self._open = None
        item = opened.item(status)
        self._output.append(item)
        done = OutputItemDone(output_index=opened.index, item=item)
        return [*events, done] if self._wishes.brief else [*events, *_dones(opened), done]


def _dones(opened: _Open) -> list[ServerEvent]:
    at, index, text = opened.id, opened.index, opened.text
    match opened.channel.kind:
        case "message":
            part = OutputText(text=text)
            return [
                OutputTextDone(item_id=at, output_index=index, text=text),
                ContentPartDone(item_id=at, output_index=index, part=part),
            ]
        case "function_call":
            return [FunctionCallArgumentsDone(item_id=at, output_index=index, arguments=text)]
        case _:
            return [CustomToolCallInputDone(item_id=at, output_index=index, input=text)]


def _usage(usage: TokenUsage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=usage.cached_tokens),
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )


def _response(
    create: ResponseCreate, response_id: str, model: str, created_at: int, *, lean: bool
) -> Response:
    """The response object at its start: what was asked for is echoed, what was not is a default."""
    echoed = {name: value for name in _ECHOED if (value := getattr(create, name)) is not None}
    if lean:
        echoed.pop("instructions", None)
    else:
        echoed["tools"] = [_echoed_tool(tool) for tool in create.tools or ()]
    return Response(
        id=response_id,
        created_at=created_at,
        model=model,
        temperature=0.0 if create.temperature is None else create.temperature,
        background=False,
        **echoed,
    )


_ECHOED: Final = (
    "instructions",
    "previous_response_id",
    "tool_choice",
    "parallel_tool_calls",
    "truncation",
    "text",
    "reasoning",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "user",
)


def _echoed_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function tool must be echoed with these keys, given or not."""
    if tool.get("type") != "function":
        return dict(tool)
    return {"description": None, "parameters": None, "strict": True, **tool}
