"""A question and its answer in the chat completions protocol. Pure.

Servers put messages through a template of their model's, and many templates refuse what OpenAI's
own service takes: a system message after the first, two user messages in a row. What is sent
avoids both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from sparkcode.engine.base import (
    Channel,
    FinishReason,
    GenerateRequest,
    Item,
    Message,
    Step,
    TokenUsage,
    ToolCall,
    ToolOutput,
)
from sparkcode.errors import EngineError, RemoteProtocolError
from sparkcode.protocol.events import ErrorBody
from sparkcode.upstream import faults
from sparkcode.upstream.answer import NO_ARGUMENTS
from sparkcode.upstream.arguments import arguments_of
from sparkcode.upstream.spoken import SpokenCalls
from sparkcode.upstream.tools import Calls, as_function

_SAME: Final = ("temperature", "top_p", "user", "service_tier", "prompt_cache_key")
"""Settings that have the same name here."""


def body_of(request: GenerateRequest, model: str) -> dict[str, Any]:
    """The request's JSON."""
    given = request.settings
    body: dict[str, Any] = {
        "model": model,
        "messages": messages_of(request.items),
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: given[name] for name in _SAME if name in given},
    }
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    if request.seed is not None:
        body["seed"] = request.seed
    if effort := (given.get("reasoning") or {}).get("effort"):
        body["reasoning_effort"] = effort
    if form := _response_format((given.get("text") or {}).get("format")):
        body["response_format"] = form
    if request.tools:
        body["tools"] = [_tool(as_function(tool)) for tool in request.tools]
        if choice := _tool_choice(given.get("tool_choice")):
            body["tool_choice"] = choice
        if "parallel_tool_calls" in given:
            body["parallel_tool_calls"] = given["parallel_tool_calls"]
    return body


def messages_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The conversation: system text in front, calls with the text before them."""
    messages: list[dict[str, Any]] = []
    for item in items:
        match item:
            case Message(role, text):
                late = role == "system" and messages and messages[-1]["role"] != "system"
                _add_text(messages, "user" if late else role, text)
            case ToolCall():
                if not messages or messages[-1]["role"] != "assistant":
                    # Not null: some servers want a text of every message.
                    messages.append({"role": "assistant", "content": ""})
                messages[-1].setdefault("tool_calls", []).append(_call(item))
            case ToolOutput(call_id, output):
                messages.append({"role": "tool", "tool_call_id": call_id, "content": output})
    return messages


def _add_text(messages: list[dict[str, Any]], role: str, text: str) -> None:
    last = messages[-1] if messages else {"role": ""}
    if last["role"] == role and "tool_calls" not in last:
        last["content"] = f"{last['content']}\n\n{text}"
    else:
        messages.append({"role": role, "content": text})


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = call.input if call.kind == "function_call" else arguments_of(call.input)
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.call_id, "type": "function", "function": function}


def _tool(spec: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {k: v for k, v in spec.items() if k != "type"}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice if choice in ("none", "required") else None
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        return {"type": "function", "function": {"name": choice.get("name")}}
    return None


def _response_format(form: Any) -> Any:
    if not isinstance(form, dict) or form.get("type") not in ("json_schema", "json_object"):
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {k: v for k, v in form.items() if k != "type"}}


# --- the answer ---------------------------------------------------------------------------------


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: Any = None
    refusal: str | None = None
    tool_calls: list[_CallDelta] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    """In place of ``delta`` from a server that does not stream."""
    finish_reason: str | None = None
    index: int = 0


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)


class ChatAnswer:
    """One answer. :meth:`steps` of each chunk's JSON, then :meth:`last`."""

    def __init__(self, request: GenerateRequest, url: str) -> None:
        self._url = url
        self._calls = Calls(request.tools)
        self._spoken = SpokenCalls(tool.name for tool in request.tools)
        self._channel: Channel | None = None
        """Where text goes; None while no item is open."""
        self._begun = 0
        """Items."""
        self._said = False
        """Whether the open item has had text."""
        self._number = -1
        """The server's number of the open call."""
        self._call_id = ""
        self._tokens = 0
        self._usage: _Usage | None = None
        self._reason: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the server has said why it stopped."""
        return self._reason is not None

    def steps(self, text: str) -> list[Step]:
        """What a chunk brings; EngineError if it is a failure or no chunk."""
        try:
            chunk = _DECODER.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise faults.unusable(self._url, str(error)) from error
        if chunk.error is not None:
            raise self._failure(chunk.error)
        self._usage = chunk.usage or self._usage
        steps: list[Step] = []
        for choice in chunk.choices or ():
            if choice.index == 0:
                delta = choice.delta or choice.message
                steps += [] if delta is None else self._delta(delta)
                self._reason = choice.finish_reason or self._reason
        return steps

    def last(self) -> list[Step]:
        """The end of an answer; EngineError if it was cut off on its way or filtered."""
        if self._reason is None:
            raise faults.cut(self._url)
        if self._reason == "content_filter":
            raise EngineError("the upstream filtered the answer", "content_filter")
        steps = [*self._speak(self._spoken.end()), *self._close()]
        reason: FinishReason = "length" if self._reason == "length" else "stop"
        return [*steps, Step(sim_time=0.0, finish_reason=reason, usage=self._counts())]

    def _delta(self, delta: _Delta) -> list[Step]:
        steps: list[Step] = []
        for text in (delta.content, delta.refusal):
            if isinstance(text, str) and text:
                self._tokens += 1
                steps += self._speak(self._spoken.feed(text))
        calls = delta.tool_calls or ()
        if not calls and delta.function_call is not None:
            # The form that tool_calls replaced; some servers send both.
            calls = [_CallDelta(index=0, function=delta.function_call)]
        for call in calls:
            steps += self._call(call)
        return steps

    def _speak(self, pieces: Iterable[str | ToolCall]) -> list[Step]:
        """Text, and calls that the model wrote into its text."""
        steps: list[Step] = []
        for piece in pieces:
            if isinstance(piece, ToolCall):
                steps += self._close()
                self._channel = self._calls.begin(self._begun, piece.name)
                steps += self._say(piece.input)
                steps += self._close()
            elif self._channel is not None and self._channel.kind == "message":
                steps += self._say(piece) if piece else []
            elif piece.strip():
                steps += self._close()
                self._channel = Channel("message", "", self._begun)
                steps += self._say(piece)
        return steps

    def _call(self, call: _CallDelta) -> list[Step]:
        function = call.function or _Function()
        steps = self._begin_call(call, function.name) if function.name else []
        if self._channel is None or self._channel.kind == "message":
            # Arguments of a call without a name.
            return steps
        if arguments := _arguments(function.arguments):
            self._tokens += 1
            steps += self._say(arguments)
        return steps

    def _begin_call(self, call: _CallDelta, name: str) -> list[Step]:
        """Opens the call, unless the server only repeats the name of the open one."""
        number = self._number + 1 if call.index is None else call.index
        call_id = call.id or self._call_id
        same = (number, call_id) == (self._number, self._call_id)
        if same and self._channel is not None and self._channel.name == name:
            return []
        closing = self._close()
        self._number, self._call_id = number, call.id or ""
        self._channel = self._calls.begin(self._begun, name)
        return closing

    def _say(self, text: str) -> list[Step]:
        assert self._channel is not None
        said = self._calls.text(self._begun, text)
        self._said = self._said or said != ""
        return [Step(sim_time=0.0, text=said, tokens=1, channel=self._channel)]

    def _close(self) -> list[Step]:
        """What is left of the open item."""
        channel, self._channel = self._channel, None
        if channel is None:
            return []
        text = self._calls.end(self._begun)
        if not text and not self._said and channel.kind == "function_call":
            text = NO_ARGUMENTS
        self._begun += 1
        self._said = False
        return [Step(sim_time=0.0, text=text, channel=channel)] if text else []

    def _counts(self) -> TokenUsage:
        usage = self._usage or _Usage()
        cached = usage.prompt_tokens_details or _Cached()
        return TokenUsage(
            usage.prompt_tokens or 0,
            cached.cached_tokens or 0,
            self._tokens if usage.completion_tokens is None else usage.completion_tokens,
        )

    def _failure(self, raw: Any) -> EngineError:
        body, status = error_of({"error": raw})
        return faults.refused(self._url, status or 500, body)


def error_of(raw: Any) -> tuple[ErrorBody, int]:
    """What an error's JSON says, and the status that it names, 0 for none.

    ``{"error": {...}}`` is the rule; ``{"error": "text"}``, ``{"detail": ...}``, ``{"message":
    ...}`` and a code that is a number are met too. RemoteProtocolError if it says nothing.
    """
    said = raw.get("error", raw) if isinstance(raw, dict) else raw
    if isinstance(said, str):
        return ErrorBody(message=said), 0
    if not isinstance(said, dict):
        raise RemoteProtocolError("an error without words")
    code = said.get("code")
    message = next((said[key] for key in ("message", "detail", "error") if said.get(key)), "")
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    kind = said.get("type")
    body = ErrorBody(
        message=text,
        type=kind if isinstance(kind, str) else "server_error",
        code=code if isinstance(code, str) else None,
    )
    return body, code if isinstance(code, int) else 0


def _arguments(raw: Any) -> str:
    if raw is None or isinstance(raw, str):
        return raw or ""
    return msgspec.json.encode(raw).decode()
