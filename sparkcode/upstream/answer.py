"""An answer of a Responses server, event by event, as steps. Pure.

Servers differ: some stream no deltas, some repeat in ``output_item.done`` what they had streamed,
some end an item that they never began. What an item holds at its end is the truth; what was not
streamed of it follows then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from msgspec import UNSET, UnsetType

from sparkcode.engine.base import (
    Channel,
    FinishReason,
    GenerateRequest,
    Item,
    Message,
    Step,
    TokenUsage,
    ToolCall,
)
from sparkcode.errors import EngineError
from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    CustomToolCallItem,
    FunctionCallArgumentsDelta,
    FunctionCallItem,
    MessageItem,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    Refusal,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ServerEvent,
    SparkTiming,
    UnknownEvent,
    Usage,
)
from sparkcode.upstream import faults
from sparkcode.upstream.tools import Calls

NO_ARGUMENTS: Final = "{}"
"""What a function is called with that is called with nothing."""

_CUT_OFF: Final = "max_output_tokens"


@dataclass(slots=True)
class _Open:
    """An output item: where its text goes, and what has come of it."""

    channel: Channel
    received: int = 0
    """Characters, as the server sent them."""
    said: str = ""
    """Text for our client."""


class Answer:
    """One response. :meth:`steps` of each event; over when :attr:`final` is set."""

    def __init__(self, request: GenerateRequest) -> None:
        self._calls = Calls(request.tools)
        self._items: dict[int, _Open] = {}
        self._sim_time = 0.0
        self._tokens = 0
        self.response_id = ""
        self.began = False
        """Whether the server has said anything."""
        self.final: Response | None = None
        """As the terminal event gives it."""

    def steps(self, event: ServerEvent) -> list[Step]:
        """What ``event`` brings; EngineError if it is the failure of the response."""
        self.began = True
        match event:
            case ResponseCreated(response=response):
                self.response_id = response.id
            case OutputItemAdded(output_index=index, item=item):
                self._begin(index, item)
            case ResponseFailed(response=response):
                raise _failure(response)
            case _:
                return self._said(event)
        return []

    def _said(self, event: ServerEvent) -> list[Step]:
        match event:
            case OutputTextDelta() | FunctionCallArgumentsDelta() | CustomToolCallInputDelta():
                return self._delta(event.output_index, event.delta, event.spark)
            case UnknownEvent(type="response.refusal.delta", raw=raw):
                return self._delta(*_refusal(raw))
            case OutputItemDone(output_index=index, item=item):
                return self._end(index, item)
            case ResponseCompleted() | ResponseIncomplete():
                return [self._ended(event)]
            case _:
                return []

    @property
    def items(self) -> tuple[Item, ...]:
        """The answer as the next request will tell it."""
        items: list[Item] = []
        for index in sorted(self._items):
            one = self._items[index]
            if not one.said:
                continue
            channel = one.channel
            if channel.kind == "message":
                items.append(Message("assistant", one.said))
            else:
                items.append(ToolCall(channel.call_id, channel.name, one.said, channel.kind))
        return tuple(items)

    def _begin(self, index: int, item: OutputItem) -> _Open | None:
        match item:
            case MessageItem():
                channel = Channel("message", "", index)
            case FunctionCallItem(name=name, call_id=call_id):
                channel = self._calls.begin(index, name, call_id)
            case CustomToolCallItem(name=name, call_id=call_id):
                channel = Channel("custom_tool_call", name, index, call_id)
            case _:
                return None
        self._items[index] = opened = _Open(channel)
        return opened

    def _delta(self, index: int, text: str, spark: SparkTiming | UnsetType) -> list[Step]:
        opened = self._items.get(index)
        if opened is None:
            opened = self._items[index] = _Open(Channel("message", "", index))
        tokens = int(text != "")
        if not isinstance(spark, UnsetType):
            self._sim_time, tokens = max(self._sim_time, spark.sim_time), max(0, spark.tokens)
        return self._say(index, opened, text, tokens)

    def _say(self, index: int, opened: _Open, text: str, tokens: int) -> list[Step]:
        opened.received += len(text)
        said = self._calls.text(index, text)
        opened.said += said
        self._tokens += tokens
        if not said and not tokens:
            return []
        return [Step(sim_time=self._sim_time, text=said, tokens=tokens, channel=opened.channel)]

    def _end(self, index: int, item: OutputItem) -> list[Step]:
        opened = self._items.get(index) or self._begin(index, item)
        if opened is None:
            return []
        rest = _whole(item)[opened.received :]
        steps = self._say(index, opened, rest, int(rest != "")) if rest else []
        left = self._calls.end(index)
        if not left and not opened.said and opened.channel.kind == "function_call":
            left = NO_ARGUMENTS
        if left:
            opened.said += left
            steps.append(Step(sim_time=self._sim_time, text=left, channel=opened.channel))
        return steps

    def _ended(self, event: ResponseCompleted | ResponseIncomplete) -> Step:
        response = event.response
        if isinstance(event, ResponseCompleted):
            return self._last(response, "stop")
        reason = response.incomplete_details.reason if response.incomplete_details else ""
        if reason == _CUT_OFF:
            return self._last(response, "length")
        code = reason or faults.BROKEN
        raise EngineError(f"the upstream ended its answer early ({reason!r})", code)

    def _last(self, response: Response, reason: FinishReason) -> Step:
        self.final = response
        usage = _usage(response.usage, self._tokens)
        return Step(sim_time=self._sim_time, finish_reason=reason, usage=usage)


def _whole(item: OutputItem) -> str:
    match item:
        case MessageItem(content=content):
            return "".join(
                part.refusal if isinstance(part, Refusal) else part.text for part in content
            )
        case FunctionCallItem(arguments=text) | CustomToolCallItem(input=text):
            return text
        case _:
            return ""


def _refusal(raw: dict[str, Any]) -> tuple[int, str, UnsetType]:
    index, delta = raw.get("output_index"), raw.get("delta")
    return (
        index if isinstance(index, int) else 0,
        delta if isinstance(delta, str) else "",
        UNSET,
    )


def _failure(response: Response) -> EngineError:
    error = response.error
    if error is None:
        return EngineError("the upstream's answer failed", faults.BROKEN)
    return faults.failed(error.message, error.code)


def _usage(usage: Usage | None, counted: int) -> TokenUsage:
    if usage is None:
        return TokenUsage(output_tokens=counted)
    return TokenUsage(
        usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens
    )
