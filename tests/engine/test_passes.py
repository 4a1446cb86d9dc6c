"""Edits in passes on a tiny random model that says what it is told: one answer, one patch."""

from __future__ import annotations

import itertools

import pytest

from sparkcode.engine.base import GenerateRequest, Message, Step, TokenUsage, Tool
from sparkcode.engine.passes import one_answer, pieces_of
from sparkcode.engine.prompt import EditTask, edit_head, edit_prompt, edit_tasks
from sparkcode.engine.sinks import NO_CHANGE
from sparkcode.engine.spark import SparkEngine
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.patch.apply import apply_update
from sparkcode.patch.parser import parse
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.wafer.profile import load_profile
from tests.model.tiny import TinyModel

PROFILE = load_profile()
A = "def one():\n    return 1\n\n\ndef two():\n    return 2\n\n\ndef three():\n    return 3\n"
B = "x = 1\ny = 2\n"
BLOCKS = (
    FileBlock("a.py", A, "python", (1, 2), also=((9, 10),)),
    FileBlock("b.py", B, "python", (2, 2)),
)
SAME = ("def one():\n    return 1\n```", "def three():\n    return 3\n```", "y = 2\n```")
NEW = ("def one():\n    return 11\n```", "def three():\n    return 33\n```", "y = 22\n```")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = TinyModel(context=4096).write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    return load(path, cache_root=path.parent, say=lambda _: None)


@pytest.fixture
def spark(model: LanguageModel) -> SparkEngine:
    ticks = itertools.count()
    return SparkEngine(model, PROFILE, name="tiny", timer=lambda: float(next(ticks)))


def request(
    *blocks: FileBlock, instruction: str = "Change it.", limit: int | None = None
) -> GenerateRequest:
    text = "\n".join([*map(render, blocks), f"Instruction: {instruction}"])
    tools = (Tool("apply_patch", "custom"),)
    return GenerateRequest((Message("user", text),), tools, max_output_tokens=limit)


def say(engine: SparkEngine, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each pass answer with its text."""
    tokenizer = engine._model.tokenizer
    end = min(tokenizer.eos_ids)
    spelled = iter([token for text in texts for token in [*tokenizer.encode(text), end]])
    monkeypatch.setattr(
        "sparkcode.engine.spark.make_sampler", lambda _: lambda _logits: next(spelled)
    )


def patch_of(steps: list[Step]) -> str:
    return "".join(step.text for step in steps if step.channel.kind == "custom_tool_call")


def patched(patch: str) -> dict[str, str]:
    texts = {"a.py": A, "b.py": B}
    return {file.path: apply_update(texts[file.path], file.chunks) for file in parse(patch).files}


def test_all_marked_regions_make_one_patch(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, NEW, monkeypatch)
    steps = list(spark.generate(request(*BLOCKS)))
    patch = patch_of(steps)
    assert patched(patch) == {
        "a.py": A.replace("return 1", "return 11").replace("return 3", "return 33"),
        "b.py": B.replace("2", "22"),
    }
    assert [patch.count(f"*** {each}") for each in ("Begin", "Update", "End")] == [1, 2, 1]
    assert [step.finish_reason for step in steps if step.finish_reason] == ["stop"]
    assert steps[-1].finish_reason == "stop"
    # The patch of the first region is said before the second is begun.
    first = next(at for at, step in enumerate(steps) if "return 11" in patch_of(steps[: at + 1]))
    assert any(step.prefill_seconds for step in steps[first:])


def test_an_unchanged_pass_adds_nothing(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, (SAME[0], NEW[1], SAME[2]), monkeypatch)
    patch = patch_of(list(spark.generate(request(*BLOCKS))))
    assert patched(patch) == {"a.py": A.replace("return 3", "return 33")}
    say(spark, SAME, monkeypatch)
    steps = list(spark.generate(request(*BLOCKS)))
    assert "".join(step.text for step in steps) == NO_CHANGE
    assert steps[-1].finish_reason == "stop"


@pytest.mark.parametrize("limit", [3, 14, 20])
def test_a_pass_that_is_cut_short_is_the_last(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    say(spark, NEW, monkeypatch)
    steps = list(spark.generate(request(*BLOCKS, limit=limit)))
    last = steps[-1]
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.output_tokens == limit
    assert "*** End Patch" not in patch_of(steps)


def test_a_limit_that_ends_with_a_pass_leaves_nothing_for_the_next(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, NEW, monkeypatch)
    limit = len(spark._model.tokenizer.encode(NEW[0])) + 1
    steps = list(spark.generate(request(*BLOCKS, limit=limit)))
    assert steps[-1].finish_reason == "length"
    assert steps[-1].usage is not None
    assert steps[-1].usage.output_tokens == limit
    assert "return 11" in patch_of(steps)
    assert "*** End Patch" not in patch_of(steps)


def test_times_and_counts_go_on_from_pass_to_pass(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[Step] = []
    for task, new in zip(edit_tasks(request(*BLOCKS)), NEW, strict=True):
        say(spark, (new,), monkeypatch)
        fresh = SparkEngine(spark._model, PROFILE, name="tiny")
        alone.append(list(fresh.generate(request(task.block)))[-1])
    say(spark, NEW, monkeypatch)
    steps = list(spark.generate(request(*BLOCKS)))
    times = [step.sim_time for step in steps]
    assert times == sorted(times)
    usage = steps[-1].usage
    assert usage is not None
    single = [step.usage for step in alone if step.usage is not None]
    assert usage.input_tokens == sum(each.input_tokens for each in single)
    assert usage.output_tokens == sum(each.output_tokens for each in single)
    # Each later pass finds the head of all edits in the cache, and takes less for it.
    assert usage.cached_tokens > 0
    assert max(step.sim_time for step in alone) < times[-1] < sum(step.sim_time for step in alone)
    seen = [step.usage.output_tokens for step in steps if step.usage is not None]
    assert seen == sorted(seen)


def test_counts_of_two_answers() -> None:
    first = TokenUsage(10, 2, 5, 4, 3, 1)
    assert first.then(TokenUsage(1, 1, 3, 2, 1, 1)) == TokenUsage(11, 3, 8, 7, 4, 2)


def test_leaving_between_passes_gives_the_seat_back(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, NEW, monkeypatch)
    steps = spark.generate(request(*BLOCKS))
    said = ""
    while "return 33" not in said:
        said += next(steps).text
    assert len(spark._scheduler._seats) == 1
    steps.close()
    assert spark._scheduler._seats == []
    assert spark._caches._leased == []


def test_edits_in_passes_share_the_model(model: LanguageModel) -> None:
    """Two at once say what each says alone."""
    asked = [request(*BLOCKS, limit=40), request(BLOCKS[1], BLOCKS[0], limit=40)]
    alone = [patch_of(list(SparkEngine(model, PROFILE).generate(each))) for each in asked]
    engine = SparkEngine(model, PROFILE)
    running = [engine.generate(each) for each in asked]
    said = ["", ""]
    done = [False, False]
    while not all(done):
        for at, steps in enumerate(running):
            step = next(steps, None)
            done[at] = step is None
            if step is not None and step.channel.kind == "custom_tool_call":
                said[at] += step.text
    assert said == alone


def test_one_pass_is_passed_on_as_it_is() -> None:
    steps = [Step(0.5, "a", 1), Step(0.75, "b", 1, finish_reason="stop", usage=TokenUsage(1, 0, 2))]
    assert list(one_answer([lambda _: (each for each in steps)])) == steps


# --- which passes -------------------------------------------------------------------------------

USE = "    use(name)\n"
LONG = "".join(f"def f{at}():\n{USE * (at % 40 == 0)}    pass\n\n\n" for at in range(90))


def tasks(block: FileBlock, instruction: str) -> tuple[EditTask, ...]:
    return pieces_of(edit_tasks(request(block, instruction=instruction)))


def test_a_long_region_is_cut_and_a_short_one_is_not() -> None:
    found = tasks(FileBlock("f.py", LONG, "python", (1, LONG.count("\n"))), "Add docstrings")
    assert len(found) > 2
    assert {task.instruction for task in found} == {"Add docstrings"}
    assert all(task.region_text.startswith("def f") for task in found)
    assert "".join(f"{task.region_text}\n\n\n" for task in found) == LONG
    assert len(tasks(FileBlock("f.py", LONG, "python", (1, 100)), "Add docstrings")) == 1


def test_a_rename_leaves_out_what_has_not_the_name_and_is_said_plainly() -> None:
    text = LONG.replace("name", "other", 1)
    block = FileBlock("f.py", text, "python", (1, text.count("\n")))
    every, some = tasks(block, "Add docstrings"), tasks(block, "Rename name to label everywhere")
    assert 1 < len(some) < len(every)
    assert all("use(name)" in task.region_text for task in some)
    assert {task.instruction for task in some} == {"Replace name with label. Change nothing else."}
    # The rest of the file shows the old name, and would be copied.
    head = str(edit_head("rich"))[:-1]
    shown = [str(edit_prompt(task, "rich", len)).removeprefix(head) for task in (some[0], every[0])]
    assert ["rest of the file" in each for each in shown] == [False, True]


def test_a_rename_that_asks_for_more_or_finds_nothing_is_said_as_it_is() -> None:
    block = FileBlock("f.py", LONG, "python", (1, LONG.count("\n")))
    for instruction in ("Rename name to label and document it", "Rename nothing to label"):
        found = tasks(block, instruction)
        assert {(task.instruction, task.alone) for task in found} == {(instruction, False)}
    assert len(found) == len(tasks(block, "Add docstrings"))
    (single,) = tasks(FileBlock("f.py", LONG, "python", (1, 3)), "Rename name to label")
    assert (single.instruction, single.alone) == (
        "Replace name with label. Change nothing else.",
        True,
    )


def test_windows_endings_are_cut_alike() -> None:
    count = LONG.count("\n")
    found = [
        [task.region for task in tasks(FileBlock("f.py", text, "python", (1, count)), "Go")]
        for text in (LONG, LONG.replace("\n", "\r\n"))
    ]
    assert found[0] == found[1]
