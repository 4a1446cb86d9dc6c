from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sparkcode.engine.base import EngineInfo, Message, ToolCall, ToolOutput
from sparkcode.protocol.events import (
    CustomToolCallItem,
    FunctionCallItem,
    MessageItem,
    OutputText,
    ReasoningItem,
    ResponseCreate,
)
from sparkcode.server.conversation import (
    BadRequestError,
    History,
    answered,
    check_model,
    extend,
    generate_request,
)

INFO = EngineInfo("spark", "qwen2.5-coder-1.5b", 32768)


def items(*raw: dict[str, Any]) -> tuple[object, ...]:
    return extend(History(), ResponseCreate(input=list(raw))).items


@pytest.mark.parametrize(
    "name",
    [
        None,
        "spark",
        "Spark",
        "spark-1",
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder",
        "qwen2.5-coder-1.5b-instruct",
    ],
)
def test_names_of_the_model_that_is_served(name: str | None) -> None:
    check_model(name, INFO)


@pytest.mark.parametrize("name", ["", "gpt-5", "sparkle", "qwen2.5-coder-0.5b", "qwen2.5-coder-1"])
def test_names_of_other_models(name: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        check_model(name, INFO)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_messages_in_every_form_that_clients_use() -> None:
    assert items(
        {"type": "message", "role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": ["odd"]}]},
        {"role": "user", "content": [{"type": "input_image"}, {"type": "text", "text": " What?"}]},
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "id": "msg_1",
            "content": [{"type": "output_text", "text": "b", "annotations": []}],
        },
        {"type": "message", "role": "user", "content": None, "phase": None},
    ) == (
        Message("system", "Be brief."),
        Message("user", "a"),
        Message("user", "[image ignored: this engine reads text only] What?"),
        Message("assistant", "b"),
        Message("user", ""),
    )


def test_calls_and_outputs() -> None:
    assert items(
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": None},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** x"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "ok"}],
        },
    ) == (
        ToolCall("c1", "f", "{}", "function_call"),
        ToolOutput("c1", "1"),
        ToolCall("c2", "apply_patch", "*** x"),
        ToolOutput("c2", "ok"),
    )


def test_items_of_unknown_kinds_are_ignored_but_their_calls_may_be_answered() -> None:
    assert items(
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "local_shell_call", "call_id": "c9"},
        {"type": "function_call_output", "call_id": "c9", "output": "done"},
        {"nothing": True},
    ) == (ToolOutput("c9", "done"),)


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        ({"role": "wizard", "content": "x"}, "invalid_value", "input[0].role"),
        ({"role": [], "content": "x"}, "invalid_value", "input[0].role"),
        ({"role": "user", "content": 5}, "invalid_type", "input[0].content"),
        ({"role": "user", "content": [5]}, "invalid_type", "input[0].content[0]"),
        (
            {"role": "user", "content": [{"type": "input_text", "text": None}]},
            "invalid_type",
            "input[0].content[0].text",
        ),
        ({"type": "function_call", "call_id": "c"}, "invalid_type", "input[0].name"),
        (
            {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
            "invalid_value",
            "input",
        ),
    ],
)
def test_items_that_make_no_sense_are_refused(raw: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        items(raw)
    assert (refused.value.code, refused.value.param, refused.value.status) == (code, param, 400)


def test_a_stray_output_is_named_as_the_public_service_names_it() -> None:
    stray = {"type": "function_call_output", "call_id": "call_7", "output": "x"}
    with pytest.raises(BadRequestError) as refused:
        items(stray)
    assert refused.value.body.message == (
        "No tool call found for function call output with call_id call_7."
    )


def test_a_continuation_may_bring_nothing_new_but_a_start_may_not() -> None:
    before = History((Message("user", "a"),))
    assert extend(before, ResponseCreate(previous_response_id="r")) == before
    with pytest.raises(BadRequestError) as refused:
        extend(History(), ResponseCreate())
    assert refused.value.code == "missing_required_parameter"


def test_an_answer_becomes_history_and_its_calls_may_be_answered() -> None:
    history = answered(
        History((Message("user", "a"),)),
        [
            ReasoningItem(id="rs"),
            MessageItem(content=[OutputText(text="b")]),
            FunctionCallItem(call_id="c1", name="f", arguments="{}"),
            CustomToolCallItem(call_id="c2", name="g", input="x"),
        ],
    )
    assert history.items == (
        Message("user", "a"),
        Message("assistant", "b"),
        ToolCall("c1", "f", "{}", "function_call"),
        ToolCall("c2", "g", "x"),
    )
    output = {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"}
    assert extend(history, ResponseCreate(input=[output])).items[-1] == ToolOutput("c2", "ok")


def test_what_the_engine_gets() -> None:
    create = ResponseCreate(
        instructions="Be brief.",
        tools=[
            {"type": "custom", "name": "apply_patch"},
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "web_search"},
            {"type": "namespace", "name": "n", "tools": []},
            {"type": "function", "name": None},
        ],
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
    )
    request = generate_request(History((Message("user", "a"),)), create)
    assert request.items == (Message("system", "Be brief."), Message("user", "a"))
    assert [(tool.name, tool.kind) for tool in request.tools] == [
        ("apply_patch", "custom"),
        ("f", "function"),
    ]
    assert (request.max_output_tokens, request.temperature, request.top_p) == (5, 0.5, 0.9)


def test_a_client_that_wants_no_tool_offers_none() -> None:
    create = ResponseCreate(tools=[{"type": "custom", "name": "x"}], tool_choice="none")
    assert generate_request(History(), create).tools == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_output_tokens", 0), ("temperature", 2.5), ("temperature", -1.0), ("top_p", 1.1)],
)
def test_numbers_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(BadRequestError) as refused:
        generate_request(History(), msgspec.structs.replace(ResponseCreate(), **{field: value}))
    assert refused.value.param == field
