from __future__ import annotations

import pytest

from sparkcode.engine.base import Channel, Step
from sparkcode.errors import EngineError
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import (
    FunctionCallItem,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ServerEvent,
)
from sparkcode.protocol.machine import Machine
from sparkcode.server.narrator import Narrator, Wishes, counting_ids, random_id
from tests.server.support import NOTHING, PATCH, tags

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def narrator(wishes: Wishes = NOTHING, **fields: object) -> Narrator:
    create = ResponseCreate(input="x", **fields)  # type: ignore[arg-type]
    return Narrator(create, model="m", ids=counting_ids(), created_at=7, wishes=wishes)


def legal(events: list[ServerEvent], *, brief: bool = False) -> list[str]:
    """Names of ``events``, which a server may send in this order."""
    machine = Machine("server", brief=brief)
    machine.receive(encode(ResponseCreate(input="x")))
    for event in events:
        machine.send(event)
    return tags(events)


@pytest.mark.parametrize(
    ("headers", "wishes"),
    [
        ({}, Wishes()),
        ({"x-spark-timing": "true"}, Wishes(timing=True, lean=True)),
        ({"x-responsesapi-include-timing-metrics": "true"}, Wishes(metrics=True)),
        ({"originator": "codex_exec"}, Wishes(lean=True)),
    ],
)
def test_wishes_come_from_headers(headers: dict[str, str], wishes: Wishes) -> None:
    assert Wishes.of(headers) == wishes


def test_what_was_asked_for_is_echoed() -> None:
    (created, _) = narrator(
        tools=[TOOL, {"type": "custom", "name": "c"}],
        instructions="Be brief.",
        temperature=0.5,
        metadata={"a": "b"},
        store=False,
    ).started()
    assert isinstance(created, ResponseCreated)
    response = created.response
    assert response.tools == [
        {"description": None, "strict": True, **TOOL},
        {"type": "custom", "name": "c"},
    ]
    assert response.instructions == "Be brief."
    assert (response.temperature, response.store) == (0.5, False)
    assert (response.created_at, response.completed_at, response.usage) == (7, None, None)
    assert response.metadata == {"a": "b"}


def test_a_lean_response_echoes_neither_tools_nor_instructions() -> None:
    (created, _) = narrator(Wishes(lean=True), tools=[TOOL], instructions="Be brief.").started()
    assert isinstance(created, ResponseCreated)
    assert (created.response.tools, created.response.instructions) == ([], None)


def test_a_brief_response_says_nothing_twice() -> None:
    assert Wishes.of({"x-spark-brief": "true"}) == Wishes(brief=True)
    told = narrator(Wishes(brief=True))
    call = Channel("function_call", "look", 1)
    steps = [Step(0.1, "a", 1), Step(0.2, "{}", 1, call)]
    events = [*told.started(), *told.frame(steps, 0.0), *told.completed(9)]
    assert legal(events, brief=True) == [
        "created",
        *("output_item.added", "output_text.delta", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "output_item.done"),
        "completed",
    ]
    assert tags(told.keep_alive()) == ["in_progress"]


def test_an_answer_without_text_has_no_item() -> None:
    told = narrator()
    events = [*told.started(), *told.frame([Step(0.1, tokens=3)], 0.0), *told.completed(9)]
    assert legal(events) == ["created", "in_progress", "completed"]
    assert isinstance(events[-1], ResponseCompleted)
    assert events[-1].response.completed_at == 9
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.output_tokens == 3


def test_channels_become_items_in_one_frame() -> None:
    told = narrator()
    function = Channel("function_call", "f", 1)
    steps = [
        Step(0.1, "a", 1),
        Step(0.2, "b", 1),
        Step(0.3, "{", 1, function),
        Step(0.4, "}", 1, function),
        Step(0.5, "p", 1, Channel(PATCH.kind, PATCH.name, 2)),
    ]
    events = [*told.started(), *told.frame(steps, 0.0), *told.completed(9)]
    assert legal(events).count("output_item.done") == 3
    assert "custom_tool_call_input.done" in tags(events)
    assert isinstance(events[-1], ResponseCompleted)
    call = events[-1].response.output[1]
    assert isinstance(call, FunctionCallItem)
    assert (call.name, call.arguments, call.status) == ("f", "{}", "completed")
    assert call.id.startswith("fc_")
    assert call.call_id.startswith("call_")


def test_a_new_index_is_a_new_item() -> None:
    told = narrator()
    steps = [Step(0.1, "a", 1), Step(0.2, "b", 1, Channel(index=1))]
    events = [*told.started(), *told.frame(steps, 0.0), *told.completed(9)]
    assert legal(events).count("output_item.added") == 2


@pytest.mark.parametrize("ending", ["interrupted", "failed", "cut_off"])
def test_every_ending_is_legal_with_an_open_item(ending: str) -> None:
    told = narrator()
    events = [*told.started(), *told.frame([Step(0.1, "a", 1)], 0.0)]
    match ending:
        case "interrupted":
            events += told.interrupted()
        case "failed":
            events += told.failed(EngineError("no"))
        case _:
            events += told.cut_off()
    names = legal(events)
    assert names[-1] == ("failed" if ending == "failed" else "incomplete")
    assert ("output_item.done" in names) == (ending == "cut_off")


def test_ids() -> None:
    assert random_id("resp").startswith("resp_")
    assert random_id("resp") != random_id("resp")
    first, second = counting_ids(), counting_ids()
    assert first("msg") == second("msg")
