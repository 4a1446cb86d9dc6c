from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from sparkcode.engine.base import (
    Channel,
    GenerateRequest,
    Message,
    Step,
    Tool,
    ToolCall,
    ToolOutput,
)
from sparkcode.errors import EngineError, RemoteProtocolError
from sparkcode.upstream.chat import ChatAnswer, body_of, error_of, messages_of
from tests.upstream.test_items import LOOK, PATCH_TOOL

URL = "http://127.0.0.1:1/v1"
ASKED = GenerateRequest((Message("user", "Hi"),), (PATCH_TOOL, LOOK))


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call(index: int | None, name: str | None = None, text: Any = None, **more: Any) -> Any:
    number = {} if index is None else {"index": index}
    return {**number, "function": {"name": name, "arguments": text}, **more}


def answer(
    chunks: Sequence[dict[str, Any]], request: GenerateRequest = ASKED
) -> tuple[list[tuple[Channel, str]], Step]:
    """Output items with their text, and the last step."""
    fold = ChatAnswer(request, URL)
    steps = [step for chunk in chunks for step in fold.steps(json.dumps(chunk))]
    *more, last = fold.last()
    items: dict[Channel, str] = {}
    for step in [*steps, *more]:
        if step.text:
            items[step.channel] = items.get(step.channel, "") + step.text
    return list(items.items()), last


def texts(chunks: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(channel.kind, channel.name, text) for channel, text in answer(chunks)[0]]


# --- what is asked ------------------------------------------------------------------------------


def test_messages_fit_templates_that_are_strict() -> None:
    items = (
        Message("system", "Be brief."),
        Message("system", "Really."),
        Message("user", "One."),
        Message("user", "Two."),
        Message("system", "Late."),
        Message("assistant", "I edit."),
        ToolCall("c1", "apply_patch", "P"),
        ToolCall("c2", "look", "{}", "function_call"),
        ToolOutput("c1", "Success"),
        ToolOutput("c2", "seen"),
        Message("assistant", "Done."),
        ToolCall("c3", "look", "{}", "function_call"),
    )
    messages = messages_of(items)
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert messages[0]["content"] == "Be brief.\n\nReally."
    assert messages[1]["content"] == "One.\n\nTwo.\n\nLate."
    assert messages[2]["content"] == "I edit."
    assert messages[2]["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "apply_patch", "arguments": '{"input":"P"}'},
        },
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
    ]
    assert messages[3] == {"role": "tool", "tool_call_id": "c1", "content": "Success"}
    assert messages[5]["tool_calls"][0]["id"] == "c3"


def test_a_call_without_words_before_it() -> None:
    (message,) = messages_of([ToolCall("c", "look", "{}", "function_call")])
    assert (message["role"], message["content"]) == ("assistant", "")


def test_settings_in_the_words_of_this_protocol() -> None:
    settings = {
        "temperature": 0.3,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
        "tool_choice": {"type": "custom", "name": "apply_patch"},
        "parallel_tool_calls": False,
        "store": True,
    }
    body = body_of(
        GenerateRequest(ASKED.items, ASKED.tools, max_output_tokens=9, seed=4, settings=settings),
        "m",
    )
    assert body["model"] == "m"
    assert (body["max_tokens"], body["seed"], body["temperature"]) == (9, 4, 0.3)
    assert body["reasoning_effort"] == "low"
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {}, "strict": True},
    }
    assert body["tool_choice"] == {"type": "function", "function": {"name": "apply_patch"}}
    assert body["parallel_tool_calls"] is False
    assert [tool["function"]["name"] for tool in body["tools"]] == ["apply_patch", "look"]
    assert "store" not in body


@pytest.mark.parametrize(
    ("choice", "sent"), [("required", "required"), ("auto", None), (None, None), ({"x": 1}, None)]
)
def test_tool_choice(choice: Any, sent: Any) -> None:
    settings = {} if choice is None else {"tool_choice": choice}
    body = body_of(GenerateRequest(ASKED.items, ASKED.tools, settings=settings), "m")
    assert body.get("tool_choice") == sent


def test_a_plain_question_says_nothing_of_what_was_not_asked() -> None:
    body = body_of(GenerateRequest((Message("user", "Hi"),)), "m")
    assert set(body) == {"model", "messages", "stream", "stream_options"}
    form = {"text": {"format": {"type": "json_object"}}}
    asked = GenerateRequest((Message("user", "Hi"),), settings=form)
    assert body_of(asked, "m")["response_format"] == {"type": "json_object"}


# --- what is answered ---------------------------------------------------------------------------


def test_text_and_counts() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    items, last = answer(
        [
            delta(role="assistant", content=""),
            delta(content="Hel"),
            delta(content="lo"),
            delta("stop"),
            {"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 2}}},
        ]
    )
    assert items == [(Channel("message", "", 0), "Hello")]
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.cached_tokens, last.usage.output_tokens) == (
        7,
        2,
        3,
    )


def test_without_counts_the_deltas_are_counted() -> None:
    _, last = answer([delta(content="a"), delta("length", content="b")])
    assert (last.finish_reason, last.usage and last.usage.output_tokens) == ("length", 2)


def test_a_free_form_tool_comes_back_as_free_form_input() -> None:
    chunks = [
        delta(tool_calls=[call(0, "apply_patch", "", id="x")]),
        delta(tool_calls=[call(0, None, '{"inp')]),
        delta(tool_calls=[call(0, None, 'ut":"*** Be')]),
        delta(tool_calls=[call(0, None, 'gin\\nPatch"}')]),
        delta("tool_calls"),
    ]
    assert texts(chunks) == [("custom_tool_call", "apply_patch", "*** Begin\nPatch")]


@pytest.mark.parametrize(
    "chunks",
    [
        # In pieces, with numbers.
        [
            delta(content="I look."),
            delta(tool_calls=[call(0, "look", '{"a"')]),
            delta(tool_calls=[call(0, None, ":1}")]),
            delta(tool_calls=[call(1, "look", '{"b":2}')]),
        ],
        # All at once, without numbers.
        [
            delta(content="I look."),
            delta(tool_calls=[call(None, "look", '{"a":1}'), call(None, "look", '{"b":2}')]),
        ],
        # One number for all, told apart by their ids.
        [
            delta(content="I look."),
            delta(tool_calls=[call(0, "look", '{"a":1}', id="x")]),
            delta(tool_calls=[call(0, "look", '{"b":2}', id="y")]),
        ],
        # Arguments as an object, the name in every piece.
        [
            delta(content="I look."),
            delta(tool_calls=[call(0, "look", {"a": 1}), call(0, "look", "")]),
            delta(tool_calls=[call(1, "look", {"b": 2})]),
        ],
    ],
)
def test_calls_as_servers_stream_them(chunks: list[dict[str, Any]]) -> None:
    assert texts([*chunks, delta("tool_calls")]) == [
        ("message", "", "I look."),
        ("function_call", "look", '{"a":1}'),
        ("function_call", "look", '{"b":2}'),
    ]


def test_a_call_in_the_old_form() -> None:
    old = [delta(function_call={"name": "look", "arguments": "{}"}), delta("function_call")]
    assert texts(old) == [("function_call", "look", "{}")]


def test_a_function_without_arguments_is_called_all_the_same() -> None:
    assert texts([delta("tool_calls", tool_calls=[call(0, "look")])]) == [
        ("function_call", "look", "{}")
    ]
    assert texts([delta("tool_calls", tool_calls=[call(0, None, "{}")])]) == []


def test_a_call_that_the_server_left_in_the_text() -> None:
    spoken = '<tool_call>\n{"name": "apply_patch", "arguments": {"input": "P\\nQ"}}\n</tool_call>'
    chunks = [*(delta(content=char) for char in "\n" + spoken), delta("stop", content="\nDone.")]
    assert texts(chunks) == [
        ("custom_tool_call", "apply_patch", "P\nQ"),
        ("message", "", "\nDone."),
    ]


def test_a_server_that_does_not_stream() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    assert texts([whole]) == [("message", "", "Hi")]


def test_other_choices_and_parts_that_are_no_text_are_left() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    parts = delta(content=[{"type": "text"}], refusal="I will not.", reasoning_content="hm")
    assert texts([other, parts, delta("stop")]) == [("message", "", "I will not.")]


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "upstream_error"),
        ({"error": {"message": "wait", "code": 429}}, "rate_limit_exceeded"),
        ({"error": "broken"}, "upstream_error"),
        ({"choices": 3}, "upstream_error"),
    ],
)
def test_a_failure_in_the_stream(chunk: dict[str, Any], code: str) -> None:
    with pytest.raises(EngineError) as raised:
        answer([delta(content="a"), chunk])
    assert raised.value.code == code


def test_an_answer_that_is_not_whole() -> None:
    with pytest.raises(EngineError, match="broke off"):
        answer([delta(content="a")])
    with pytest.raises(EngineError) as raised:
        answer([delta("content_filter")])
    assert raised.value.code == "content_filter"


@pytest.mark.parametrize(
    ("raw", "message", "code", "status"),
    [
        ({"error": {"message": "m", "code": "c", "type": "t"}}, "m", "c", 0),
        ({"error": {"message": "m", "code": 503}}, "m", None, 503),
        ({"error": "m"}, "m", None, 0),
        ({"detail": [{"msg": "m"}]}, '[{"msg":"m"}]', None, 0),
        ({"message": "m"}, "m", None, 0),
        ("m", "m", None, 0),
    ],
)
def test_forms_of_errors(raw: Any, message: str, code: str | None, status: int) -> None:
    body, found = error_of(raw)
    assert (body.message, body.code, found) == (message, code, status)


def test_an_error_without_words() -> None:
    with pytest.raises(RemoteProtocolError):
        error_of([1])


def test_tools_keep_what_describes_them() -> None:
    spec = {"type": "function", "name": "look", "description": "d", "strict": None, "x": 1}
    body = body_of(GenerateRequest(ASKED.items, (Tool("look", "function", spec),)), "m")
    assert body["tools"] == [{"type": "function", "function": {"name": "look", "description": "d"}}]
