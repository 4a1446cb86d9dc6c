"""The vocabulary of the Responses API, typed, for both transports and both directions.

One JSON object is one event; ``type`` names it. Server events come in this order for a response:

    response.created, response.in_progress (repeatable),
      per output item: output_item.added, its parts and deltas, its .done events, output_item.done,
    then exactly one of response.completed | response.incomplete | response.failed.

An event that the codec does not know is kept as :class:`UnknownEvent`. Fields that a peer must not
see unless it asked (``spark``, ``stream_id``) are UNSET by default and then absent from the JSON.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed", "cancelled", "queued"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable, keyword-only, unknown fields ignored on input."""


# --- parts, items, the response object ------------------------------------------------------


class OutputText(_Struct, frozen=True, kw_only=True, tag="output_text"):
    text: str = ""
    annotations: list[Any] = []
    logprobs: list[Any] | None = []


class Refusal(_Struct, frozen=True, kw_only=True, tag="refusal"):
    refusal: str = ""


ContentPart = OutputText | Refusal


class MessageItem(_Struct, frozen=True, kw_only=True, tag="message"):
    id: str = ""
    status: ItemStatus = "in_progress"
    role: str = "assistant"
    content: list[ContentPart] = []

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content if isinstance(part, OutputText))


class FunctionCallItem(_Struct, frozen=True, kw_only=True, tag="function_call"):
    id: str = ""
    status: ItemStatus = "in_progress"
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class CustomToolCallItem(_Struct, frozen=True, kw_only=True, tag="custom_tool_call"):
    id: str = ""
    status: ItemStatus = "in_progress"
    call_id: str = ""
    name: str = ""
    input: str = ""


class ReasoningItem(_Struct, frozen=True, kw_only=True, tag="reasoning"):
    id: str = ""
    summary: list[Any] = []


OutputItem = MessageItem | FunctionCallItem | CustomToolCallItem | ReasoningItem


class InputTokensDetails(_Struct, frozen=True, kw_only=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(_Struct, frozen=True, kw_only=True):
    reasoning_tokens: int = 0


class Usage(_Struct, frozen=True, kw_only=True):
    """Token counts of one response."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0


class ErrorBody(_Struct, frozen=True, kw_only=True):
    message: str = ""
    type: str = "server_error"
    code: str | None = None
    param: str | None = None


class ResponseError(_Struct, frozen=True, kw_only=True):
    code: str = "server_error"
    message: str = ""


class IncompleteDetails(_Struct, frozen=True, kw_only=True):
    reason: str = "max_output_tokens"


class Response(_Struct, frozen=True, kw_only=True):
    """The response object: the union of what the SDK and the Open Responses schema require."""

    id: str = ""
    object: str = "response"
    created_at: int = 0
    completed_at: int | None = None
    status: ResponseStatus = "in_progress"
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: Any = None
    model: str = ""
    output: list[OutputItem] = []
    previous_response_id: str | None = None
    tools: list[dict[str, Any]] = []
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    truncation: str = "disabled"
    text: dict[str, Any] = msgspec.field(default_factory=lambda: {"format": {"type": "text"}})
    reasoning: dict[str, Any] | None = msgspec.field(
        default_factory=lambda: {"effort": None, "summary": None}
    )
    temperature: float | None = 1.0
    top_p: float | None = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int | None = 0
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    store: bool | None = True
    background: bool | None = False
    service_tier: str | None = "default"
    metadata: dict[str, Any] | None = {}
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    usage: Usage | None = None


# --- server events --------------------------------------------------------------------------


class SparkTiming(_Struct, frozen=True, kw_only=True):
    """What Spark adds to a delta for clients that sent the timing header."""

    sim_time: float
    """Seconds since the request started, on the simulated chip, when the last token was ready."""
    tokens: int = 0
    """Model tokens behind this delta; the delta's text may be empty."""


class _ServerEvent(_Struct, frozen=True, kw_only=True):
    sequence_number: int = 0
    stream_id: str | UnsetType = UNSET


class ResponseCreated(_ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    response: Response


class ResponseInProgress(_ServerEvent, frozen=True, kw_only=True, tag="response.in_progress"):
    response: Response


class ResponseCompleted(_ServerEvent, frozen=True, kw_only=True, tag="response.completed"):
    response: Response


class ResponseIncomplete(_ServerEvent, frozen=True, kw_only=True, tag="response.incomplete"):
    response: Response


class ResponseFailed(_ServerEvent, frozen=True, kw_only=True, tag="response.failed"):
    response: Response


class OutputItemAdded(_ServerEvent, frozen=True, kw_only=True, tag="response.output_item.added"):
    output_index: int = 0
    item: OutputItem


class OutputItemDone(_ServerEvent, frozen=True, kw_only=True, tag="response.output_item.done"):
    output_index: int = 0
    item: OutputItem


class _ItemEvent(_ServerEvent, frozen=True, kw_only=True):
    item_id: str = ""
    output_index: int = 0


class ContentPartAdded(_ItemEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    content_index: int = 0
    part: ContentPart


class ContentPartDone(_ItemEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    content_index: int = 0
    part: ContentPart


class OutputTextDelta(_ItemEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    content_index: int = 0
    delta: str
    logprobs: list[Any] | None = []
    spark: SparkTiming | UnsetType = UNSET


class OutputTextDone(_ItemEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    content_index: int = 0
    text: str
    logprobs: list[Any] | None = []


class FunctionCallArgumentsDelta(
    _ItemEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    delta: str
    spark: SparkTiming | UnsetType = UNSET


class FunctionCallArgumentsDone(
    _ItemEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    arguments: str


class CustomToolCallInputDelta(
    _ItemEvent, frozen=True, kw_only=True, tag="response.custom_tool_call_input.delta"
):
    delta: str
    spark: SparkTiming | UnsetType = UNSET


class CustomToolCallInputDone(
    _ItemEvent, frozen=True, kw_only=True, tag="response.custom_tool_call_input.done"
):
    input: str


class InterruptAccepted(_ServerEvent, frozen=True, kw_only=True, tag="response.interrupt.accepted"):
    response_id: str


class InterruptFailed(_ServerEvent, frozen=True, kw_only=True, tag="response.interrupt.failed"):
    response_id: str
    error: ErrorBody = ErrorBody()


class OutputItemInterrupted(
    _ServerEvent, frozen=True, kw_only=True, tag="response.output_item.interrupted"
):
    response_id: str
    item_id: str
    output_index: int = 0


class Steer(_Struct, frozen=True, kw_only=True):
    id: str = ""
    previous_response_id: str = ""


class SteerAccepted(_ServerEvent, frozen=True, kw_only=True, tag="response.steer.accepted"):
    """The server owns the input; the response after the steered one begins with it."""

    steer: Steer


class SteerPending(_ServerEvent, frozen=True, kw_only=True, tag="response.steer.pending"):
    """The input waits for what the response has asked the client for."""

    steer: Steer
    reason: str = "waiting_for_required_input"
    required_input: list[dict[str, Any]] = []


class SteerFailed(_ServerEvent, frozen=True, kw_only=True, tag="response.steer.failed"):
    steer: dict[str, Any] = {}
    error: ErrorBody = ErrorBody()


class WebSocketTiming(_ServerEvent, frozen=True, kw_only=True, tag="responsesapi.websocket_timing"):
    """Engine figures, in milliseconds as the public clients expect; sent before the terminal."""

    timing_metrics: dict[str, Any]


class ErrorEvent(_ServerEvent, frozen=True, kw_only=True, tag="error"):
    """A failed turn; without a numeric ``status`` some clients ignore it and hang."""

    status: int | UnsetType = UNSET
    error: ErrorBody = ErrorBody()


class UnknownEvent(_Struct, frozen=True, kw_only=True):
    """An event of a kind this version does not know, kept as it came."""

    type: str
    raw: dict[str, Any]


KnownServerEvent = (
    ResponseCreated
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | InterruptAccepted
    | InterruptFailed
    | OutputItemInterrupted
    | SteerAccepted
    | SteerPending
    | SteerFailed
    | WebSocketTiming
    | ErrorEvent
)
ServerEvent = KnownServerEvent | UnknownEvent


# --- client events --------------------------------------------------------------------------


class ResponseCreate(_Struct, frozen=True, kw_only=True, omit_defaults=True, tag="response.create"):
    """One turn. The HTTP body is the same without ``type``."""

    model: str | None = None
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    generate: bool | None = None
    """False asks for a warm-up: prepare state, produce nothing."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_id: str | None = None
    stream_options: dict[str, Any] | None = None
    include: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    truncation: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    top_logprobs: int | None = None
    background: bool | None = None
    client_metadata: dict[str, Any] | None = None


class ResponseInterrupt(
    _Struct, frozen=True, kw_only=True, omit_defaults=True, tag="response.interrupt"
):
    response_id: str
    mode: str | None = None


class ResponseSteer(_Struct, frozen=True, kw_only=True, omit_defaults=True, tag="response.steer"):
    previous_response_id: str = ""
    input: Any = None


class ResponseProcessed(
    _Struct, frozen=True, kw_only=True, omit_defaults=True, tag="response.processed"
):
    response_id: str = ""


KnownClientEvent = ResponseCreate | ResponseInterrupt | ResponseSteer | ResponseProcessed
ClientEvent = KnownClientEvent | UnknownEvent
