"""The embedded engine on a tiny random model: structure, caches and limits, not good answers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sparkcode.engine.base import Engine, GenerateRequest, Message, Step, Tool
from sparkcode.engine.spark import SparkEngine
from sparkcode.errors import EngineError, WeightsError
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.patch.parser import parse
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.wafer.profile import load_profile
from tests.model.tiny import TinyModel

PROFILE = load_profile()
FILE = "import os\n\n\ndef divide(a, b):\n    return a / b\n"
PATCH = Tool("apply_patch", "custom")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = TinyModel(context=2048).write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    return load(path, cache_root=path.parent, say=lambda _: None)


@pytest.fixture
def spark(model: LanguageModel) -> SparkEngine:
    ticks = itertools.count()
    return SparkEngine(model, PROFILE, name="tiny", timer=lambda: float(next(ticks)))


def chat(text: str, limit: int | None = 8, temperature: float = 0.0) -> GenerateRequest:
    return GenerateRequest(
        (Message("user", text),), max_output_tokens=limit, temperature=temperature, seed=7
    )


def edit(region: tuple[int, int] = (4, 5), limit: int | None = None) -> GenerateRequest:
    text = render(FileBlock("calc.py", FILE, "python", region)) + "\nInstruction: Check b."
    return GenerateRequest((Message("user", text),), (PATCH,), max_output_tokens=limit)


def say(engine: SparkEngine, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``engine`` answer ``text``: samplers read the next id instead of the logits."""
    tokenizer = engine._model.tokenizer
    spelled = iter([*tokenizer.encode(text), min(tokenizer.eos_ids)])
    monkeypatch.setattr(
        "sparkcode.engine.spark.make_sampler", lambda _: lambda _logits: next(spelled)
    )


def text_of(steps: list[Step], kind: str) -> str:
    return "".join(step.text for step in steps if step.channel.kind == kind)


def test_who_answers(spark: SparkEngine) -> None:
    engine: Engine = spark
    assert engine.info.engine == "spark"
    assert engine.info.model == "tiny"
    assert engine.info.context_length == 2048
    assert engine.info.profile == PROFILE.name


def test_steps_carry_both_times_apart(spark: SparkEngine) -> None:
    steps = list(spark.generate(chat("hello")))
    times = [step.sim_time for step in steps]
    assert times == sorted(times)
    prefill = [step for step in steps if step.prefill_seconds]
    decode = [step for step in steps if step.decode_seconds]
    assert [step.tokens for step in prefill] == [0]
    assert {step.decode_seconds for step in decode} <= {1.0, 2.0}
    last = steps[-1]
    assert last.usage is not None
    gap = decode[1].sim_time - decode[0].sim_time
    context = last.usage.input_tokens + 2
    assert gap == pytest.approx(PROFILE.cost.decode_seconds(context))


def test_a_limit_ends_with_length(spark: SparkEngine) -> None:
    *_, last = spark.generate(chat("hello", limit=3))
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.output_tokens == 3


def test_an_answer_ends_at_the_end_token(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, "Hi thé there", monkeypatch)
    steps = list(spark.generate(chat("hello", limit=None)))
    assert text_of(steps, "message") == "Hi thé there"
    assert steps[-1].finish_reason == "stop"


def test_the_same_prompt_again_is_cached_but_for_one_token(spark: SparkEngine) -> None:
    first = list(spark.generate(chat("the same")))
    second = list(spark.generate(chat("the same")))
    assert text_of(first, "message") == text_of(second, "message")
    assert first[-1].usage is not None
    assert second[-1].usage is not None
    assert first[-1].usage.cached_tokens == 0
    assert second[-1].usage.cached_tokens == second[-1].usage.input_tokens - 1


def test_a_seed_repeats_a_sampled_answer(spark: SparkEngine) -> None:
    first, second = (list(spark.generate(chat("roll", 20, 1.0))) for _ in range(2))
    assert text_of(first, "message") == text_of(second, "message")


def test_an_edit_is_a_patch_of_its_region(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, "def divide(a, b):\n    return a / (b or 1)\n```\nDone.", monkeypatch)
    steps = list(spark.generate(edit()))
    (file,) = parse(text_of(steps, "custom_tool_call")).files
    assert file.path == "calc.py"
    assert [line.text for chunk in file.chunks for line in chunk.lines if line.kind == "+"] == [
        "    return a / (b or 1)"
    ]
    assert steps[-1].finish_reason == "stop"


def test_an_unchanged_region_is_said_so(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, "def divide(a, b):\n    return a / b\n```", monkeypatch)
    steps = list(spark.generate(edit()))
    assert text_of(steps, "custom_tool_call") == ""
    assert "No change" in text_of(steps, "message")


def test_an_edit_cut_short_is_no_whole_patch(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(spark, "async def divide(a, b, c, d):\n    pass\n```", monkeypatch)
    steps = list(spark.generate(edit(limit=9)))
    assert steps[-1].finish_reason == "length"
    assert "*** End Patch" not in text_of(steps, "custom_tool_call")


def test_leaving_a_prefill_keeps_a_valid_cache(spark: SparkEngine) -> None:
    long = chat("the cat sat. " * 60)
    whole = text_of(list(spark.generate(long)), "message")
    other = SparkEngine(spark._model, PROFILE, name="tiny")
    steps = other.generate(long)
    assert next(steps).tokens == 0
    steps.close()
    again = list(other.generate(long))
    assert text_of(again, "message") == whole
    assert again[-1].usage is not None
    assert again[-1].usage.cached_tokens == 256


def test_warm_up_leaves_the_head_in_the_cache(spark: SparkEngine) -> None:
    request = GenerateRequest((), (PATCH,))
    warm = list(spark.warm(request))
    assert warm[-1].usage is not None
    head = warm[-1].usage.input_tokens
    *_, last = spark.generate(edit(limit=1))
    assert last.usage is not None
    assert last.usage.cached_tokens >= head
    *_, chat_warm = spark.warm(GenerateRequest((Message("user", "hi"),)))
    assert chat_warm.usage is not None
    assert chat_warm.usage.output_tokens == 0


def test_beyond_the_context_is_a_clear_error(spark: SparkEngine) -> None:
    with pytest.raises(EngineError, match="2048 with the answer") as caught:
        next(spark.generate(chat("word " * 2100)))
    assert caught.value.code == "context_length_exceeded"


def test_a_prompt_of_many_megabytes_is_refused_without_being_counted(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> list[int]:
        raise AssertionError("counted")

    monkeypatch.setattr("sparkcode.model.tokenizer.Tokenizer.encode", never)
    request = GenerateRequest((Message("user", "x" * (16 << 20)),))
    for ask in (spark.generate, spark.warm):
        with pytest.raises(EngineError, match=r"at least \d+ tokens") as caught:
            next(ask(request))
        assert caught.value.code == "context_length_exceeded"


def test_a_model_without_chat_tokens_is_refused(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkcode.model.tokenizer.Tokenizer.special_id", lambda *_: None)
    with pytest.raises(EngineError, match="ChatML"):
        next(spark.generate(chat("hi")))


def test_loading_by_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path))
    path = TinyModel().write(tmp_path / "mine.gguf")
    said: list[str] = []
    assert SparkEngine.load(str(path), PROFILE, said.append).info.model == "mine"
    assert said
    with pytest.raises(WeightsError, match="sparkcode models pull"):
        SparkEngine.load("spark", PROFILE, said.append)


def test_a_broken_character_at_the_end_is_still_said(
    spark: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = spark._model.tokenizer
    half = tokenizer.encode("\U0001f408")[:2]
    spelled = iter([*tokenizer.encode("ok"), *half, min(tokenizer.eos_ids)])
    monkeypatch.setattr(
        "sparkcode.engine.spark.make_sampler", lambda _: lambda _logits: next(spelled)
    )
    steps = list(spark.generate(chat("hello", limit=None)))
    assert text_of(steps, "message").startswith("ok\ufffd")
