"""Answers of Responses servers that do not all speak alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sparkcode.engine.base import GenerateRequest, Message, Step, ToolCall
from sparkcode.errors import EngineError
from sparkcode.protocol.codec import decode_server_event
from sparkcode.upstream.answer import Answer
from tests.upstream.test_items import LOOK, PATCH_TOOL

ASKED = GenerateRequest((Message("user", "Hi"),), (PATCH_TOOL, LOOK))


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", **fields}


def ended(status: str = "completed", **fields: Any) -> dict[str, Any]:
    return event(status, response={"id": "r1", "status": status, **fields})


def message(text: str = "") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}] if text else []
    return {"type": "message", "id": "m", "role": "assistant", "content": content}


def function(arguments: str = "", name: str = "look") -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": "f",
        "call_id": "c",
        "name": name,
        "arguments": arguments,
    }


def fold(events: Sequence[dict[str, Any]]) -> tuple[Answer, list[Step]]:
    answer = Answer(ASKED)
    steps: list[Step] = []
    for each in events:
        steps += answer.steps(decode_server_event(msgspec.json.encode(each)))
    return answer, steps


def items(events: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    _, steps = fold(events)
    found: dict[int, tuple[str, str, str]] = {}
    for step in steps:
        if step.text:
            kind, name, text = found.get(
                step.channel.index, (step.channel.kind, step.channel.name, "")
            )
            found[step.channel.index] = kind, name, text + step.text
    return [found[index] for index in sorted(found)]


def test_deltas_are_told_as_they_come() -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}
    answer, steps = fold(
        [
            event("created", response={"id": "r1"}),
            event("in_progress", response={"id": "r1"}),
            event("output_item.added", output_index=0, item=message()),
            event("output_text.delta", output_index=0, delta="Hel"),
            event("output_text.delta", output_index=0, delta="lo"),
            event("output_item.done", output_index=0, item=message("Hello")),
            ended(usage=usage),
        ]
    )
    assert [step.text for step in steps] == ["Hel", "lo", ""]
    assert answer.response_id == "r1"
    assert answer.items == (Message("assistant", "Hello"),)
    last = steps[-1]
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.cached_tokens) == (5, 3)


@pytest.mark.parametrize(
    "events",
    [
        [event("output_item.done", output_index=0, item=message("Hello"))],
        [event("output_text.delta", output_index=0, delta="Hello")],
        [
            event("output_item.added", output_index=0, item=message()),
            event("output_text.delta", output_index=0, delta="Hel"),
            event("output_item.done", output_index=0, item=message("Hello")),
        ],
        [
            event("output_item.added", output_index=0, item=message()),
            event("refusal.delta", output_index=0, delta="Hello"),
            event(
                "output_item.done",
                output_index=0,
                item={**message(), "content": [{"type": "refusal", "refusal": "Hello"}]},
            ),
        ],
    ],
)
def test_what_was_not_streamed_follows(events: list[dict[str, Any]]) -> None:
    assert items([*events, ended()]) == [("message", "", "Hello")]


def test_calls_and_their_kinds() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c3", "name": "apply_patch", "input": "P"}
    events = [
        event("output_item.added", output_index=0, item=function()),
        event("function_call_arguments.delta", output_index=0, delta='{"a":1}'),
        event("output_item.done", output_index=0, item=function('{"a":1}')),
        event("output_item.added", output_index=1, item=function("", "apply_patch")),
        event("function_call_arguments.delta", output_index=1, delta='{"input":"a'),
        event("function_call_arguments.delta", output_index=1, delta='\\nb"}'),
        event(
            "output_item.done", output_index=1, item=function('{"input":"a\\nb"}', "apply_patch")
        ),
        event("output_item.added", output_index=2, item={**custom, "input": ""}),
        event("custom_tool_call_input.delta", output_index=2, delta="P"),
        event("output_item.done", output_index=2, item=custom),
        event("output_item.done", output_index=3, item=function("")),
        event("output_item.done", output_index=4, item={"type": "reasoning", "summary": []}),
        event("output_item.done", output_index=5, item={"type": "web_search_call"}),
        ended(),
    ]
    assert items(events) == [
        ("function_call", "look", '{"a":1}'),
        ("custom_tool_call", "apply_patch", "a\nb"),
        ("custom_tool_call", "apply_patch", "P"),
        ("function_call", "look", "{}"),
    ]
    answer, _ = fold(events)
    assert answer.items[1] == ToolCall("c", "apply_patch", "a\nb")


def test_simulated_time_and_tokens_of_a_server_of_our_kind() -> None:
    _, steps = fold(
        [
            event("output_item.added", output_index=0, item=message()),
            event(
                "output_text.delta", output_index=0, delta="", spark={"sim_time": 0.1, "tokens": 2}
            ),
            event(
                "output_text.delta", output_index=0, delta="a", spark={"sim_time": 0.2, "tokens": 3}
            ),
            ended(),
        ]
    )
    assert [(step.sim_time, step.tokens) for step in steps] == [(0.1, 2), (0.2, 3), (0.2, 0)]
    assert steps[-1].usage is not None
    assert steps[-1].usage.output_tokens == 5


def test_a_cut_off_answer() -> None:
    details = {"incomplete_details": {"reason": "max_output_tokens"}}
    _, (last,) = fold([ended("incomplete", **details)])
    assert last.finish_reason == "length"


@pytest.mark.parametrize(
    ("terminal", "code"),
    [
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (ended("incomplete"), "upstream_error"),
        (ended("failed", error={"code": "x", "message": "m"}), "x"),
        (ended("failed"), "upstream_error"),
        (
            ended("failed", error={"code": "server_error", "message": "maximum context length"}),
            "context_length_exceeded",
        ),
    ],
)
def test_failures(terminal: dict[str, Any], code: str) -> None:
    with pytest.raises(EngineError) as raised:
        fold([terminal])
    assert raised.value.code == code
