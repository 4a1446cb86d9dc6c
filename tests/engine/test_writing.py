"""New files, insertions and what other files say about them."""

from __future__ import annotations

from dataclasses import replace

from sparkcode.engine.base import GenerateRequest, Message, Tool
from sparkcode.engine.chatml import Control, Prompt
from sparkcode.engine.excerpts import SELECTED_TOKENS, defined_elsewhere, outlines, selection
from sparkcode.engine.prompt import EditTask, edit_prompt, edit_tasks
from sparkcode.engine.sinks import PatchSink
from sparkcode.engine.writing import WRITE_SYSTEM, writing_prompt
from sparkcode.patch.apply import apply_update
from sparkcode.patch.parser import parse
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.syntax.outline import Context

MODELS = FileBlock(
    "models.py",
    'RATE = 3\n\n\nclass User:\n    """A person."""\n\n    def greet(self):\n        return "hi"\n',
    "python",
)
NEW = FileBlock("app/new.py", "", "python", (1, 0), new=True)


def count(text: str) -> int:
    return len(text) // 4 + 1


def spelled(prompt: Prompt) -> str:
    return "".join(part.spelling if isinstance(part, Control) else part for part in prompt)


def tasks(*blocks: FileBlock, instruction: str) -> tuple[EditTask, ...]:
    text = "\n".join(render(block) for block in blocks)
    message = Message("user", f"{text}\nInstruction: {instruction}")
    return edit_tasks(GenerateRequest((message,), (Tool("apply_patch", "custom"),)))


def test_a_new_file_is_written_with_what_others_define() -> None:
    (task,) = tasks(NEW, MODELS, instruction="A greeter of a User.")
    assert task.writes
    text = spelled(writing_prompt(task, count))
    assert text.startswith(f"<|im_start|>system\n{WRITE_SYSTEM}<|im_end|>")
    assert "From `models.py`:\n```python\nRATE = 3\nclass User:" in text
    assert "Write the file `app/new.py`.\n\nInstruction: A greeter of a User." in text
    assert text.endswith("<|im_start|>assistant\n```python\n")


def test_tests_are_written_with_what_they_test() -> None:
    block = FileBlock(MODELS.path, MODELS.text, "python", selected=(7, 8))
    (task,) = tasks(NEW, block, instruction="Write tests for greet.")
    text = spelled(writing_prompt(task, count))
    assert 'Lines 7-8 of `models.py`:\n```python\n    def greet(self):\n        return "hi"' in text
    assert "From `models.py`" not in text


def test_what_is_added_to_a_file_is_told_what_is_there() -> None:
    block = FileBlock(MODELS.path, MODELS.text, "python", (9, 8))
    (task,) = tasks(block, instruction="Add Admin.")
    text = spelled(writing_prompt(task, count))
    assert "What is in `models.py`:\n```python\nRATE = 3" in text
    assert "Write what is added to `models.py` at its end, without what is there." in text
    (task,) = tasks(FileBlock("a.txt", "one\ntwo\n", "", (2, 1)), instruction="Add a line.")
    assert "added to `a.txt` before line 2," in spelled(writing_prompt(task, count))


def test_an_edit_sees_what_other_files_define_of_what_it_uses() -> None:
    block = FileBlock("use.py", "from models import User\n\n\nu = User()\n", "python", (4, 4))
    (task,) = tasks(block, MODELS, instruction="Greet.")
    shown = defined_elsewhere(task.block, task.others, count, "Use RATE of a User.")
    assert shown.region.startswith("From `models.py`:\n```python\nclass User:")
    assert shown.instruction == "From `models.py`:\n```python\nRATE = 3\n```\n\n"
    text = spelled(edit_prompt(replace(task, instruction="Use RATE."), "rich", count))
    assert text.index(shown.region) < text.index("u = User()")
    assert f"{shown.instruction}Instruction: Use RATE." in text
    method = "class Team:\n    lead: User\n\n    def f(self):\n        pass\n"
    inside = FileBlock("use.py", method, "python", (4, 5))
    assert "class User:" in defined_elsewhere(inside, [MODELS], count).region
    own = FileBlock("use.py", "class User: ...\n\n\nu = User()\n", "python", (4, 4))
    assert defined_elsewhere(own, [MODELS], count, "Greet the User.") == Context("", "")


def test_files_that_the_instruction_names_come_first_and_the_budget_holds() -> None:
    long = "".join(f"def f{at}(x):\n    return x\n\n\n" for at in range(300))
    files = [FileBlock("zoo.py", long, "python"), MODELS]
    shown = outlines(files, "As in models.py", count)
    assert shown.index("models.py") < shown.index("zoo.py")
    assert count(shown) < 700


def test_a_selection_is_cut_to_its_budget() -> None:
    block = FileBlock("a.txt", "word\n" * 9000, "", selected=(1, 9000))
    assert count(selection(block, count)) < SELECTED_TOKENS + 50
    assert selection(FileBlock("a.txt", "word\n"), count) == ""


def written(block: FileBlock, text: str) -> str:
    sink = PatchSink(EditTask(block, "Go."))
    return "".join(sink.feed(char)[1] for char in text) + sink.finish(complete=True)[1]


def test_a_new_file_becomes_a_patch_that_adds_it() -> None:
    patch = written(NEW, "\n\nx = 1\n\n\n```\nprose")
    assert patch == "*** Begin Patch\n*** Add File: app/new.py\n+x = 1\n*** End Patch\n"


def added(path: str, language: str, text: str, *, at: int | None = None) -> str:
    line = at or text.count("\n") + 1
    patch = written(FileBlock(path, text, language, (line, line - 1)), "y\n```")
    (file,) = parse(patch).files
    return apply_update(text, file.chunks)


def test_what_is_added_at_the_end_keeps_its_distance() -> None:
    assert added("a.py", "python", "x\n") == "x\n\n\ny\n"
    assert added("a.py", "python", "x\n\n") == "x\n\n\ny\n"
    assert added("a.go", "go", "x\n") == "x\n\ny\n"
    assert added("a.txt", "", "x\n") == "x\ny\n"
    assert added("a.py", "python", "\n") == "\ny\n"
    assert added("a.py", "python", "x\nz\n", at=2) == "x\ny\nz\n"
