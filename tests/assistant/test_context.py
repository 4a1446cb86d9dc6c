from __future__ import annotations

import json

import msgspec
import pytest

from sparkcode.assistant.context import (
    Conversation,
    Exchange,
    build_request,
    history_items,
    updated_files,
    user_message,
)
from sparkcode.link.chain import Chain
from sparkcode.protocol.blocks import FileBlock, parse, split
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import (
    CustomToolCallItem,
    FunctionCallItem,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningItem,
    Response,
    ResponseCreate,
)

CALC = FileBlock("calc.py", "x = 1\n", "python", (1, 1))
NOTES = FileBlock("notes.md", "no newline", "markdown")
PATCH = CustomToolCallItem(id="ctc", call_id="c1", name="apply_patch", input="*** Begin")


def said(text: str) -> MessageItem:
    return MessageItem(id="m", status="completed", content=[OutputText(text=text)])


def texts(request: ResponseCreate) -> list[str]:
    assert isinstance(request.input, list)
    return [part["text"] for item in request.input if "content" in item for part in item["content"]]


def test_the_request_of_an_edit() -> None:
    request = json.loads(encode(build_request("Add types", [CALC, NOTES], "spark")))
    tool = request["tools"][0]
    assert (tool["type"], tool["name"], tool["format"]["syntax"]) == (
        "custom",
        "apply_patch",
        "lark",
    )
    assert tool["format"]["definition"].startswith("start: begin_patch hunk+ end_patch\n")
    del request["tools"], request["instructions"]
    assert request == {
        "type": "response.create",
        "model": "spark",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {
                        "type": "input_text",
                        "text": "File: calc.py\nEdit region: lines 1-1\n```python\nx = 1\n```\n\n"
                        "File: notes.md\n```markdown\nno newline\n```\n"
                        "(no newline at end of file)\n\nInstruction: Add types",
                    }
                ],
            }
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "store": False,
        "stream": True,
    }


def test_an_engine_reads_the_blocks_back() -> None:
    text = user_message("Do it", [CALC, NOTES])["content"][0]["text"]
    assert split(text) == ([CALC, NOTES], "Instruction: Do it")


def test_a_question_is_asked_as_it_is() -> None:
    assert texts(build_request("Why?", [], "spark")) == ["Why?"]
    assert texts(build_request("Why?", [NOTES], "spark"))[0].endswith("\n\nWhy?")


def test_a_warm_up_is_the_constant_part() -> None:
    warm, full = Conversation("m").warm_up(), build_request("x", [], "m")
    assert (warm.generate, warm.input) == (False, [])
    assert msgspec.structs.replace(full, input=[], generate=False) == warm


def test_history_is_text_without_ids() -> None:
    output: list[OutputItem] = [ReasoningItem(id="rs"), said("hi"), PATCH]
    assert history_items(output) == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hi"}],
        },
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
    ]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (
            PATCH,
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "rejected by the user"},
        ),
        (
            CustomToolCallItem(call_id="c2", name="shell"),
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "no tool 'shell' here"},
        ),
        (
            FunctionCallItem(call_id="c3", name="shell"),
            {"type": "function_call_output", "call_id": "c3", "output": "no tool 'shell' here"},
        ),
    ],
)
def test_every_call_is_answered(item: OutputItem, told: dict[str, str]) -> None:
    exchange = Exchange(user_message("x", []), output=(said("hi"), item))
    assert exchange.items()[-1] == told


def test_what_is_told_about_an_accepted_patch() -> None:
    told = updated_files([("M", "a.py"), ("A", "b/c.py"), ("D", "d")])
    assert told == "Success. Updated the following files:\nM a.py\nA b/c.py\nD d"


def test_context_files_are_sent_again_when_they_changed_and_targets_always() -> None:
    talk = Conversation("m")
    talk.ask("One", [(CALC, 1), (NOTES, 1)])
    talk.ask("Two", [(CALC, 1), (NOTES, 1)])
    talk.ask("Three", [(CALC, 1), (NOTES, 2)])
    sent = [[block.path for block in parse(text)] for text in texts(talk.request())]
    assert sent == [["calc.py", "notes.md"], ["calc.py"], ["calc.py", "notes.md"]]


def test_a_forgotten_question_leaves_no_trace() -> None:
    talk = Conversation("m")
    first = talk.ask("One", [(NOTES, 1)])
    second = talk.ask("Two", [])
    talk.forget(first)
    talk.forget(first)
    assert not talk.long
    assert texts(talk.request()) == ["Two"]
    talk.ask("Three", [(NOTES, 1)])
    assert len(parse(texts(talk.request())[-1])) == 1
    talk.forget_all_but_newest()
    assert len(texts(talk.request())) == 1
    assert second.output == ()


def test_the_next_turn_is_incremental_by_the_rule_of_the_link() -> None:
    talk, chain = Conversation("m"), Chain()
    first = talk.ask("One", [(CALC, 1)])
    assert chain.request(talk.request()).previous_response_id is None
    output = (ReasoningItem(id="rs"), said("hi"), PATCH)
    first.output = output
    response = Response(id="r1", status="completed", output=list(output))
    chain.completed(response, history_items(output))
    first.outcome = updated_files([("M", "calc.py")])
    talk.ask("Two", [])
    sent = chain.request(talk.request())
    assert sent.previous_response_id == "r1"
    assert sent.input == [
        {
            "type": "custom_tool_call_output",
            "call_id": "c1",
            "output": "Success. Updated the following files:\nM calc.py",
        },
        user_message("Two", []),
    ]
