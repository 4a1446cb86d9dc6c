"""The embedded engine with the real 0.5B: a marked region is rewritten rightly and as a patch."""

from __future__ import annotations

import pytest

from sparkcode.engine.base import GenerateRequest, Message, Step, Tool
from sparkcode.engine.spark import SparkEngine
from sparkcode.model.language_model import LanguageModel
from sparkcode.patch.apply import apply_update
from sparkcode.patch.parser import parse
from sparkcode.protocol.blocks import COMPLETE, Cursor, FileBlock, render
from sparkcode.wafer.profile import load_profile

pytestmark = pytest.mark.weights

FILE = '''"""A calculator."""

import math

def divide(a, b):
    return a / b


def area(radius):
    return math.pi * radius**2
'''


@pytest.fixture(scope="module")
def spark(real_model: LanguageModel) -> SparkEngine:
    return SparkEngine(real_model, load_profile(), name="qwen2.5-coder-0.5b")


def edit(instruction: str) -> GenerateRequest:
    block = FileBlock("calc.py", FILE, "python", (5, 6))
    text = f"{render(block)}\nInstruction: {instruction}"
    return GenerateRequest((Message("user", text),), (Tool("apply_patch", "custom"),))


def patched(steps: list[Step]) -> str:
    (file,) = parse("".join(step.text for step in steps)).files
    return apply_update(FILE, file.chunks)


def test_an_edit_is_right_and_touches_only_its_region(spark: SparkEngine) -> None:
    request = edit("Raise a ValueError with a clear message if b is zero")
    steps = list(spark.generate(request))
    text = patched(steps)
    before, after = FILE.split("def divide(a, b):\n    return a / b\n")
    assert text.startswith(before)
    assert text.endswith(after)
    space: dict[str, object] = {}
    exec(compile(text, "calc.py", "exec"), space)
    divide = space["divide"]
    assert callable(divide)
    assert divide(6, 4) == 1.5
    with pytest.raises(ValueError, match=r"\w+"):
        divide(1, 0)
    streamed = [step for step in steps if step.text]
    assert len(streamed) >= 5
    assert len({step.sim_time for step in streamed}) >= 5


def test_the_same_edit_again_is_warm_and_equal(spark: SparkEngine) -> None:
    request = edit("Add type hints: both parameters and the result are float")
    cold = list(spark.generate(request))
    warm = list(spark.generate(request))
    assert patched(cold) == patched(warm)
    assert warm[-1].usage is not None
    assert warm[-1].usage.cached_tokens == warm[-1].usage.input_tokens - 1


def test_a_chat_answer(spark: SparkEngine) -> None:
    request = GenerateRequest(
        (Message("user", "Which keyword defines a function in Python? One word."),),
        max_output_tokens=24,
    )
    text = "".join(step.text for step in spark.generate(request))
    assert "def" in text
    assert "<|im_end|>" not in text


INSTRUCTIONS = (
    "Rename divide to quotient",
    "Add a docstring to the function",
    "Return None when b is zero",
    "Change nothing",
)


def tokens_of(steps: list[Step]) -> list[tuple[str, int, str]]:
    return [(step.text, step.tokens, step.channel.kind) for step in steps if step.tokens]


def test_drafted_edits_are_those_of_plain_greedy_decoding(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafted = [list(spark.generate(edit(instruction))) for instruction in INSTRUCTIONS]
    monkeypatch.setattr("sparkcode.engine.scheduler.Scheduler.draft_room", lambda _: 0)
    for instruction, steps in zip(INSTRUCTIONS, drafted, strict=True):
        assert tokens_of(list(spark.generate(edit(instruction)))) == tokens_of(steps)
    usages = [steps[-1].usage for steps in drafted]
    accepted = sum(usage.accepted_tokens for usage in usages if usage)
    made = sum(usage.output_tokens for usage in usages if usage)
    assert not spark._model.exact or accepted > made / 3


def completion(text: str, cursor: Cursor) -> GenerateRequest:
    block = FileBlock("calc.py", text, "python", cursor=cursor)
    return GenerateRequest((Message("user", f"{render(block)}\n{COMPLETE}"),))


def test_a_completion_fills_the_middle_and_ends_with_it(spark: SparkEngine) -> None:
    text = FILE.replace("    return a / b\n", "    \n")
    steps = list(spark.generate(completion(text, Cursor(6, 5))))
    assert "".join(step.text for step in steps) == "return a / b"
    assert steps[-1].finish_reason == "stop"
    text = FILE.replace("radius**2", "")
    steps = list(spark.generate(completion(text, Cursor(10, 22))))
    assert "".join(step.text for step in steps).startswith("radius")
