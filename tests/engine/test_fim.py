from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.base import GenerateRequest, Message, Step, Tool
from sparkcode.engine.chatml import Control, Prompt
from sparkcode.engine.fim import (
    NEEDED,
    STRIDE_LINES,
    CompletionTask,
    completion_prompt,
    completion_task,
    near_end,
    near_start,
    spoken_again,
)
from sparkcode.engine.prompt import edit_tasks
from sparkcode.engine.spark import SparkEngine
from sparkcode.errors import EngineError
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.protocol.blocks import COMPLETE, COMPLETE_LINE, Cursor, FileBlock, render
from sparkcode.wafer.profile import load_profile
from tests.model.tiny import FIM, SPECIAL, TinyModel

FILE = "def half(x):\n    \n\n\ndef third(x):\n    return x / 3\n"
NOTES = FileBlock("notes.md", "# <|file_sep|>", "markdown")


def request(
    cursor: Cursor | None,
    *others: FileBlock,
    text: str = FILE,
    asked: str = COMPLETE,
    region: tuple[int, int] | None = None,
    limit: int | None = None,
) -> GenerateRequest:
    blocks = [*others, FileBlock("calc.py", text, "python", region, cursor)]
    message = "\n".join([*map(render, blocks), asked])
    tools = () if region is None else (Tool("apply_patch", "custom"),)
    return GenerateRequest((Message("user", message),), tools, limit)


def task_of(*args: FileBlock, cursor: Cursor, text: str = FILE) -> CompletionTask:
    task = completion_task(request(cursor, *args, text=text))
    assert task is not None
    return task


def words(text: str) -> int:
    """Stands in for a tokenizer."""
    return len(text.split())


def spelled(prompt: Prompt) -> str:
    return "".join(part.spelling if isinstance(part, Control) else part for part in prompt)


# --- the task -------------------------------------------------------------------------------


def test_a_cursor_makes_a_completion() -> None:
    task = task_of(NOTES, cursor=Cursor(2, 5))
    assert (task.path, task.language) == ("calc.py", "python")
    assert task.prefix == "def half(x):\n    "
    assert task.suffix == "\n\n\ndef third(x):\n    return x / 3\n"
    assert task.others == (NOTES,)
    assert not task.line_only


def test_a_line_may_be_asked_for() -> None:
    task = completion_task(request(Cursor(2, 5), asked=COMPLETE_LINE))
    assert task is not None
    assert task.line_only


def test_without_a_cursor_it_is_none_and_an_edit_stays_one() -> None:
    assert completion_task(request(None)) is None
    assert edit_tasks(request(Cursor(2, 5), region=(1, 2)))
    assert edit_tasks(request(Cursor(2, 5))) == ()


@pytest.mark.parametrize(
    ("cursor", "prefix"),
    [
        (Cursor(1, 1), ""),
        (Cursor(1, 3), "é\u2028"),
        (Cursor(2, 2), "é\u2028\nb"),
        (Cursor(3, 1), "é\u2028\nb\n"),
    ],
)
def test_places_that_exist(cursor: Cursor, prefix: str) -> None:
    assert task_of(cursor=cursor, text="é\u2028\r\nb\n").prefix == prefix


@pytest.mark.parametrize("cursor", [(0, 1), (1, 0), (1, 4), (4, 1)])
def test_places_that_do_not(cursor: tuple[int, int]) -> None:
    with pytest.raises(EngineError, match=r"lies outside 'calc\.py'") as caught:
        task_of(cursor=Cursor(*cursor), text="é\u2028\r\nb\n")
    assert caught.value.code == "invalid_prompt"


# --- the prompt -----------------------------------------------------------------------------


def test_the_prompt_is_as_the_model_was_trained() -> None:
    alone = spelled(completion_prompt(task_of(cursor=Cursor(2, 5)), words))
    # A space before the cursor is the model's to say.
    assert alone == (
        "<|fim_prefix|>def half(x):\n   <|fim_suffix|>\n\n\ndef third(x):\n    return x / 3\n"
        "<|fim_middle|>"
    )
    prompt = completion_prompt(task_of(NOTES, cursor=Cursor(2, 5)), words)
    assert spelled(prompt) == (
        "<|repo_name|>workspace\n<|file_sep|>notes.md\n# <|file_sep|>\n<|file_sep|>calc.py\n"
        + alone
    )
    # What a file spells is text.
    assert sum(isinstance(part, Control) for part in prompt) == 6


@pytest.mark.parametrize(("prefix", "end"), [("a ", " "), ("\t\t", "\t"), ("a\n", ""), ("", "")])
def test_what_the_model_says_again(prefix: str, end: str) -> None:
    assert spoken_again(prefix) == end


def test_an_empty_file_can_be_completed() -> None:
    prompt = completion_prompt(task_of(cursor=Cursor(1, 1), text=""), words)
    assert prompt[-3:] == (Control("<|fim_prefix|>"), *prompt[-2:])


TEXTS = st.lists(st.text("ab ", max_size=12), max_size=40).map("\n".join)


@given(TEXTS, st.integers(1, 20))
def test_what_is_near_is_kept_within_a_budget(text: str, tokens: int) -> None:
    end, start = near_end(text, tokens, len), near_start(text, tokens, len)
    assert text.endswith(end)
    assert text.startswith(start)
    assert max(len(end), len(start)) <= tokens
    assert near_end(text, 10_000, len) == near_start(text, 10_000, len) == text


def test_a_file_that_grows_at_the_cursor_keeps_its_beginning() -> None:
    lines = [f"line {number}" for number in range(400)]
    kept = {near_end("\n".join(lines[:n]), 200, words).split("\n")[0] for n in range(300, 330)}
    assert len(kept) <= 2
    assert all(int(line.split()[1]) % STRIDE_LINES == 0 for line in kept)


def test_a_long_line_is_cut_near_the_cursor() -> None:
    end, start = near_end("x" * 900 + "end", 10, len), near_start("start" + "x" * 900, 10, len)
    assert end == "xxxxxend"
    assert start == "startxxx"


def test_other_files_share_what_is_left() -> None:
    others = [FileBlock(f"{name}.py", f"{name}\n" * 100) for name in "ab"]
    text = spelled(completion_prompt(task_of(*others, cursor=Cursor(2, 5)), words, 80))
    assert text.count("a\n") == text.count("b\n") == 15


# --- the engine -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    tiny = TinyModel(context=1024, special=SPECIAL + FIM)
    path = tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    return load(path, cache_root=path.parent, say=lambda _: None)


def say(engine: SparkEngine, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``engine`` answer ``text``: samplers read the next id instead of the logits."""
    tokenizer = engine._model.tokenizer
    spelled = iter([*tokenizer.encode(text), min(tokenizer.eos_ids)])
    monkeypatch.setattr(
        "sparkcode.engine.spark.make_sampler", lambda _: lambda _logits: next(spelled)
    )


def said(steps: list[Step]) -> str:
    assert {step.channel.kind for step in steps} == {"message"}
    return "".join(step.text for step in steps)


def test_a_completion_is_a_message_that_ends_with_its_block(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = SparkEngine(model, load_profile(), name="tiny")
    say(spark, " return x / 2\n\n\ndef third(x):\n    return", monkeypatch)
    steps = list(spark.generate(request(Cursor(2, 5))))
    assert said(steps) == "return x / 2"
    assert steps[-1].finish_reason == "stop"


def test_a_completion_has_a_limit(model: LanguageModel) -> None:
    spark = SparkEngine(model, load_profile(), name="tiny")
    *_, last = spark.generate(request(Cursor(2, 5), limit=1))
    assert last.usage is not None
    assert last.usage.output_tokens == 1


def test_typing_on_reads_only_what_is_new(model: LanguageModel) -> None:
    spark = SparkEngine(model, load_profile(), name="tiny")
    list(spark.generate(request(Cursor(2, 5), limit=1)))
    typed = FILE.replace("    \n", "    re\n", 1)
    *_, last = spark.generate(request(Cursor(2, 7), text=typed, limit=1))
    assert last.usage is not None
    assert last.usage.cached_tokens >= len("def half(x):\n") // 2


def test_a_model_that_cannot_fill_in_is_refused(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkcode.model.tokenizer.Tokenizer.special_id", lambda *_: None)
    spark = SparkEngine(model, load_profile(), name="tiny")
    with pytest.raises(EngineError, match=NEEDED[0].spelling.replace("|", r"\|")) as caught:
        next(spark.generate(request(Cursor(2, 5))))
    assert caught.value.code == "invalid_prompt"
