from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.base import GenerateRequest, Message, Tool
from sparkcode.engine.chatml import Control, Prompt, fence_for
from sparkcode.engine.examples import EXAMPLES, Example
from sparkcode.engine.prompt import (
    Style,
    edit_head,
    edit_prompt,
    edit_tasks,
    style_for,
)
from sparkcode.errors import EngineError
from sparkcode.protocol.blocks import FileBlock, Region, render

PATCH = Tool("apply_patch", "custom")
FILE = "import os\n\n\ndef divide(a, b):\n    return a / b\n"


STYLES: tuple[Style, ...] = ("bare", "rich")


def request(block: FileBlock | None, *, tools: tuple[Tool, ...] = (PATCH,)) -> GenerateRequest:
    text = (render(block) if block else "") + "\nInstruction: Check b."
    return GenerateRequest((Message("user", text),), tools)


def spelled(prompt: Prompt) -> str:
    return "".join(part.spelling if isinstance(part, Control) else part for part in prompt)


def test_a_marked_region_and_the_tool_make_an_edit() -> None:
    (task,) = edit_tasks(request(FileBlock("calc.py", FILE, "python", (4, 5))))
    assert task.instruction == "Check b."
    assert task.region_text == "def divide(a, b):\n    return a / b"


@pytest.mark.parametrize(
    ("block", "tools"),
    [
        (FileBlock("calc.py", FILE, "python", None), (PATCH,)),
        (FileBlock("calc.py", FILE, "python", (4, 5)), ()),
        (None, (PATCH,)),
    ],
)
def test_anything_else_is_chat(block: FileBlock | None, tools: tuple[Tool, ...]) -> None:
    assert edit_tasks(request(block, tools=tools)) == ()


@pytest.mark.parametrize("region", [(1, 5), (5, 5), (6, 5), (1, 0)])
def test_regions_that_exist(region: Region) -> None:
    assert edit_tasks(request(FileBlock("f", FILE, "", region)))


@pytest.mark.parametrize("region", [(0, 2), (3, 6), (5, 3), (7, 6)])
def test_regions_that_do_not(region: Region) -> None:
    with pytest.raises(EngineError, match="outside its 5 lines") as caught:
        edit_tasks(request(FileBlock("f", FILE, "", region)))
    assert caught.value.code == "invalid_prompt"


def test_only_line_feeds_count_as_lines() -> None:
    block = FileBlock("f", "a\x0cb\u2028c\nd", "", (1, 2))
    (task,) = edit_tasks(request(block))
    assert task.region_text == "a\x0cb\u2028c\nd"
    with pytest.raises(EngineError, match="outside its 2 lines"):
        edit_tasks(request(FileBlock("f", block.text, "", (1, 3))))


def test_every_marked_region_is_a_task_in_the_order_of_its_file() -> None:
    first = FileBlock("a.py", FILE, "python", (4, 5), also=((1, 1), (5, 5)))
    other = FileBlock("b.py", "x\n", "python", (1, 1))
    again = FileBlock("a.py", FILE, "python", (6, 5))
    context = FileBlock("c.py", "y\n")
    text = "\n".join(render(block) for block in (first, context, other, again))
    asked = GenerateRequest((Message("user", f"{text}\nInstruction: Go."),), (PATCH,))
    tasks = edit_tasks(asked)
    assert [(task.block.path, task.region) for task in tasks] == [
        ("a.py", (1, 1)),
        ("a.py", (4, 5)),
        ("a.py", (6, 5)),
        ("b.py", (1, 1)),
    ]
    assert {task.instruction for task in tasks} == {"Go."}
    assert all(task.block.regions == (task.region,) for task in tasks)


def test_a_file_in_two_versions_is_refused() -> None:
    text = "".join(render(FileBlock("a.py", each, "", (1, 1))) + "\n" for each in ("x\n", "y\n"))
    asked = GenerateRequest((Message("user", f"{text}Instruction: Go."),), (PATCH,))
    with pytest.raises(EngineError, match="is marked twice"):
        edit_tasks(asked)


def test_an_empty_file_has_an_empty_region() -> None:
    (task,) = edit_tasks(request(FileBlock("new.py", "", "python", (1, 0))))
    assert task.region_text == ""


def test_crlf_reaches_the_model_as_lf() -> None:
    (task,) = edit_tasks(request(FileBlock("f", "a\r\nb\r\nc\r\n", "", (1, 2))))
    assert task.region_text == "a\nb"


@pytest.mark.parametrize("style", STYLES)
def test_the_edit_prompt_ends_inside_the_opened_fence(style: Style) -> None:
    (task,) = edit_tasks(request(FileBlock("calc.py", FILE, "python", (4, 5))))
    prompt = edit_prompt(task, style, len)
    text = spelled(prompt)
    assert text.endswith("<|im_start|>assistant\n```python\n")
    assert "return a / b\n```\n\nInstruction: Check b.<|im_end|>" in text
    assert prompt[: len(edit_head(style))] == edit_head(style)


def test_only_a_rich_prompt_shows_the_rest_of_the_file() -> None:
    text = "LIMIT = 5\r\n\r\ndef f(a):\r\n    return a\r\n"
    (task,) = edit_tasks(request(FileBlock("calc.py", text, "python", (3, 4))))
    rest = (
        "The rest of the file, which stays as it is:\n```python\nLIMIT = 5\n```\n\n```python\ndef f"
    )
    assert rest in spelled(edit_prompt(task, "rich", len))
    assert "LIMIT" not in spelled(edit_prompt(task, "bare", len))


def test_a_larger_model_gets_a_rich_prompt() -> None:
    assert style_for(494_000_000) == "bare"
    assert style_for(1_540_000_000) == "rich"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.instruction)
def test_a_worked_example_is_a_real_edit(example: Example) -> None:
    assert example.after != example.before
    assert "```" not in example.before + example.after + example.context
    if example.language == "python":
        compile(example.context + "\n" + example.after, "example", "exec")


@given(st.text(alphabet="`\na "))
def test_no_line_closes_the_fence(text: str) -> None:
    fence = fence_for(text)
    assert not any(line.strip().startswith(fence) for line in text.split("\n"))
