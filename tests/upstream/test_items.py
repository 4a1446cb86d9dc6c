from __future__ import annotations

from typing import Any

from sparkcode.engine.base import GenerateRequest, Message, Tool, ToolCall, ToolOutput
from sparkcode.upstream.items import Manner, create_of

PATCH_TOOL = Tool(
    "apply_patch",
    "custom",
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edit files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
    },
)
LOOK = Tool("look", "function", {"type": "function", "name": "look", "parameters": {"a": 1}})
ITEMS = (
    Message("system", "Be brief."),
    Message("user", "Edit."),
    ToolCall("c1", "apply_patch", 'say "hi"'),
    ToolOutput("c1", "Success"),
    ToolCall("c2", "look", "{}", "function_call"),
    ToolOutput("c2", "seen"),
    Message("assistant", "Done."),
)
FREE = Manner("big", free_form=True)
FUNCTIONS = Manner("big", free_form=False)


def request(**settings: Any) -> GenerateRequest:
    return GenerateRequest(ITEMS, (PATCH_TOOL, LOOK), settings=settings)


def test_a_server_that_knows_custom_tools_gets_everything_as_it_is() -> None:
    create = create_of(request(temperature=0.5, model="spark"), FREE)
    assert (create.model, create.instructions, create.store) == ("big", "Be brief.", False)
    assert create.temperature == 0.5
    assert create.tools == [PATCH_TOOL.spec, LOOK.spec]
    assert isinstance(create.input, list)
    assert [item["type"] for item in create.input] == [
        "message",
        "custom_tool_call",
        "custom_tool_call_output",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert create.input[-1]["content"] == [{"type": "output_text", "text": "Done."}]


def test_one_that_does_not_gets_functions() -> None:
    choice = {"type": "custom", "name": "apply_patch"}
    create = create_of(request(tool_choice=choice), FUNCTIONS)
    assert create.tool_choice == {"type": "function", "name": "apply_patch"}
    assert isinstance(create.tools, list)
    patch = create.tools[0]
    assert (patch["type"], patch["parameters"]["required"]) == ("function", ["input"])
    assert "Edit files." in patch["description"]
    assert "start: x" in patch["description"]
    assert isinstance(create.input, list)
    assert create.input[1] == {
        "type": "function_call",
        "call_id": "c1",
        "name": "apply_patch",
        "arguments": '{"input":"say \\"hi\\""}',
    }
    assert create.input[2]["type"] == "function_call_output"


def test_nothing_is_said_of_tools_where_there_are_none() -> None:
    bare = GenerateRequest((Message("user", "Hi"),), settings={"tool_choice": "auto"})
    create = create_of(bare, FREE, warm=True)
    assert (create.tools, create.tool_choice, create.instructions) == (None, None, None)
    assert create.generate is False


def test_a_server_is_asked_to_keep_the_response_only_where_it_is_wanted() -> None:
    assert create_of(request(), Manner("big", free_form=True, stores=True)).store is True
