"""From what a client asked to what an engine needs. Pure.

Clients send more than any one server knows: unknown fields, tool types and item types are ignored,
and nulls count as absent. What is refused is refused with the status, code and parameter that the
public service uses, because clients act on them.

Instructions are not inherited by a continuation, items are. The answer's items become part of the
history in the form in which the client got them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparkcode.engine.base import (
    EngineInfo,
    GenerateRequest,
    Item,
    Message,
    Role,
    Tool,
    ToolCall,
    ToolOutput,
)
from sparkcode.errors import RemoteProtocolError
from sparkcode.protocol.events import (
    CustomToolCallItem,
    ErrorBody,
    FunctionCallItem,
    MessageItem,
    OutputItem,
    ResponseCreate,
)
from sparkcode.protocol.variants import variant_of
from sparkcode.server.compaction import expand

_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_PASSED: Final = (
    "model",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "truncation",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
    "user",
    "metadata",
)
"""Settings that an engine which passes questions on has to pass on with them."""
IGNORED: Final = "[{} ignored: this engine reads text only]"
"""What a model, and through it the user, is told of a part that is no text."""

_UNREAD: Final = {"input_image": "image", "input_file": "file", "input_audio": "audio"}
_TEXT_PARTS: Final = ("input_text", "output_text", "text")


SERVER_FAULT: Final = 500


class BadRequestError(RemoteProtocolError):
    """A request that cannot be answered; becomes an HTTP status or an ``error`` frame."""

    def __init__(
        self,
        message: str,
        code: str,
        param: str | None = None,
        status: int = 400,
        *,
        retry_seconds: float = 0.0,
    ):
        super().__init__(message)
        self.code = code
        self.param = param
        self.status = status
        self.retry_seconds = retry_seconds
        """How long to wait before asking again; 0 where nobody knows."""

    @property
    def body(self) -> ErrorBody:
        kind = "server_error" if self.status >= SERVER_FAULT else "invalid_request_error"
        return ErrorBody(message=str(self), type=kind, code=self.code, param=self.param)


@dataclass(frozen=True, slots=True)
class History:
    """A point from which a conversation can continue."""

    items: tuple[Item, ...] = ()
    call_ids: frozenset[str] = frozenset()
    """Every call that an output may answer, also of kinds that engines are not shown."""


def previous_not_found(response_id: str) -> BadRequestError:
    return BadRequestError(
        f"Previous response with id '{response_id}' not found.",
        "previous_response_not_found",
        "previous_response_id",
    )


def check_model(name: str | None, info: EngineInfo) -> None:
    """BadRequestError ``model_not_found`` unless ``name`` means the model that is served.

    It does when it is absent, is the model's name, is ``spark`` or a name in its family
    (``spark-1``), or when one of the two names is the other's beginning up to a dash
    (``qwen2.5-coder`` for ``qwen2.5-coder-1.5b``).
    """
    if name is None:
        return
    asked, served = name.casefold(), info.model.casefold()
    if asked in ("spark", served) or asked.startswith(("spark-", f"{served}-")):
        return
    if asked and served.startswith(f"{asked}-"):
        return
    raise BadRequestError(
        f"The model {name!r} does not exist here; this server has {info.model!r} (or 'spark').",
        "model_not_found",
        "model",
    )


def extend(history: History, create: ResponseCreate) -> History:
    """``history`` with the new items of ``create``; BadRequestError if they make no sense."""
    raw = create.input
    if raw is None:
        if create.previous_response_id is None:
            raise BadRequestError(
                "Missing required parameter: 'input'.", "missing_required_parameter", "input"
            )
        return history
    if isinstance(raw, str):
        return History((*history.items, Message("user", raw)), history.call_ids)
    items: list[Item] = list(history.items)
    calls = set(history.call_ids)
    for index, entry in enumerate(raw):
        if entry.get("type") == "compaction":
            items += _compacted(entry, f"input[{index}]")
            continue
        item = _item(entry, f"input[{index}]")
        if isinstance(item, ToolOutput) and item.call_id not in calls:
            raise BadRequestError(
                f"No tool call found for function call output with call_id {item.call_id}.",
                "invalid_value",
                "input",
            )
        if item is not None:
            items.append(item)
        if not isinstance(item, ToolOutput) and isinstance(entry.get("call_id"), str):
            calls.add(entry["call_id"])
    return History(tuple(items), frozenset(calls))


def answered(history: History, output: Sequence[OutputItem]) -> History:
    """``history`` with the items of an answer."""
    items = list(history.items)
    calls = set(history.call_ids)
    for item in output:
        match item:
            case MessageItem():
                items.append(Message("assistant", item.text))
            case FunctionCallItem():
                items.append(ToolCall(item.call_id, item.name, item.arguments, "function_call"))
                calls.add(item.call_id)
            case CustomToolCallItem():
                items.append(ToolCall(item.call_id, item.name, item.input))
                calls.add(item.call_id)
            case _:
                pass
    return History(tuple(items), frozenset(calls))


def generate_request(history: History, create: ResponseCreate) -> GenerateRequest:
    """What the engine gets. ``history`` has the new items already."""
    instructions = (Message("system", create.instructions),) if create.instructions else ()
    tools = () if create.tool_choice == "none" else _tools(create.tools or ())
    variant = variant_of(create)
    return GenerateRequest(
        items=(*instructions, *history.items),
        tools=tools,
        max_output_tokens=_at_least(create.max_output_tokens, 1, "max_output_tokens"),
        temperature=_within(create.temperature, 2.0, "temperature", 0.0),
        top_p=_within(create.top_p, 1.0, "top_p", 1.0),
        seed=variant.seed,
        prompt=variant.prompt,
        settings={name: value for name in _PASSED if (value := getattr(create, name)) is not None},
    )


def _tools(raw: Iterable[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """Functions and free-form tools; every other type, and a tool without a name, is ignored."""
    tools = []
    for spec in raw:
        kind, name = spec.get("type"), spec.get("name")
        if not isinstance(name, str):
            continue
        if kind == "custom":
            tools.append(Tool(name, "custom", dict(spec)))
        elif kind == "function":
            tools.append(Tool(name, "function", dict(spec)))
    return tuple(tools)


def _item(entry: Mapping[str, Any], where: str) -> Item | None:
    """One input item, or None for one that engines are not shown."""
    kind = entry.get("type")
    if kind is None and "role" in entry:
        kind = "message"
    match kind:
        case "message":
            return _message(entry, where)
        case "function_call":
            return ToolCall(
                _string(entry, "call_id", where),
                _string(entry, "name", where),
                _string(entry, "arguments", where),
                "function_call",
            )
        case "custom_tool_call":
            return ToolCall(
                _string(entry, "call_id", where),
                _string(entry, "name", where),
                _string(entry, "input", where),
            )
        case "function_call_output" | "custom_tool_call_output":
            return ToolOutput(
                _string(entry, "call_id", where), _text(entry.get("output"), f"{where}.output")
            )
        case _:
            return None


def _compacted(entry: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    try:
        return expand(_string(entry, "encrypted_content", where))
    except ValueError as error:
        param = f"{where}.encrypted_content"
        raise BadRequestError(f"Invalid '{param}': {error}.", "invalid_value", param) from error


def _message(entry: Mapping[str, Any], where: str) -> Message:
    role = entry.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise BadRequestError(
            f"Invalid value: {role!r}. Supported roles are: {', '.join(_ROLES)}.",
            "invalid_value",
            f"{where}.role",
        )
    return Message(_ROLES[role], _text(entry.get("content"), f"{where}.content"))


def _text(content: object, where: str) -> str:
    """Text of a string or of a list of parts; in the place of an image or file it says so."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _wrong_type("a string or a list of content parts", content, where)
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise _wrong_type("an object", part, f"{where}[{index}]")
        kind = part.get("type")
        if kind in _TEXT_PARTS:
            texts.append(_string(part, "text", f"{where}[{index}]"))
        elif isinstance(kind, str) and kind in _UNREAD:
            texts.append(IGNORED.format(_UNREAD[kind]))
    return "".join(texts)


def _string(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise _wrong_type("a string", value, f"{where}.{key}")
    return value


def _wrong_type(expected: str, value: object, where: str) -> BadRequestError:
    got = "null or nothing" if value is None else type(value).__name__
    return BadRequestError(
        f"Invalid type for '{where}': expected {expected}, but got {got}.", "invalid_type", where
    )


def _at_least(value: int | None, low: int, param: str) -> int | None:
    if value is not None and value < low:
        raise BadRequestError(
            f"Invalid value for '{param}': {value} is below {low}.", "invalid_value", param
        )
    return value


def _within(value: float | None, high: float, param: str, default: float) -> float:
    if value is None:
        return default
    if not 0.0 <= value <= high:
        raise BadRequestError(
            f"Invalid value for '{param}': {value} is not between 0 and {high}.",
            "invalid_value",
            param,
        )
    return value
