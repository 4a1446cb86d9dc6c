"""Drafts, shared passes and kept caches change when tokens come, never which: on a tiny model."""

from __future__ import annotations

import itertools
import random
from collections.abc import Generator, Sequence

import pytest

from sparkcode.engine.base import GenerateRequest, Message, Step, TokenUsage, Tool
from sparkcode.engine.scheduler import Scheduler
from sparkcode.engine.spark import SparkEngine
from sparkcode.errors import EngineError
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.model.transformer import Segment
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.wafer.profile import load_profile
from tests.model.tiny import TinyModel

PROFILE = load_profile()
WORDS = ("the", "cat", "sat", "on", "it", "\n", "    ", "def", "f(x):", "return x", "# ok")
TEMPERATURES = (0.0, 0.0, 0.3, 1.2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = TinyModel(context=2048).write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")
    return load(path, cache_root=path.parent, say=lambda _: None)


def make(model: LanguageModel) -> SparkEngine:
    return SparkEngine(model, PROFILE, name="tiny")


def chat(text: str, *, temperature: float = 0.0, limit: int = 24) -> GenerateRequest:
    return GenerateRequest(
        (Message("user", text),), max_output_tokens=limit, temperature=temperature, seed=5
    )


def edit(
    instruction: str, text: str = "def f(x):\n    return x\n\n\nx = f(1)\n"
) -> GenerateRequest:
    block = render(FileBlock("a.py", text, "python", (1, 5)))
    return GenerateRequest(
        (Message("user", f"{block}\nInstruction: {instruction}"),),
        (Tool("apply_patch", "custom"),),
        max_output_tokens=40,
    )


def random_requests(count: int, seed: int = 1) -> list[GenerateRequest]:
    dice = random.Random(seed)
    requests = []
    for at in range(count):
        text = " ".join(dice.choices(WORDS, k=dice.randint(1, 40)))
        kind = TEMPERATURES[at % len(TEMPERATURES)]
        requests.append(edit(text) if at % 3 == 0 else chat(text, temperature=kind))
    return requests


def usage_of(steps: Sequence[Step]) -> TokenUsage:
    assert steps[-1].usage is not None
    return steps[-1].usage


def told(steps: Sequence[Step]) -> list[tuple[str, int, float, str]]:
    """What a client sees of the answer, token by token."""
    return [
        (step.text, step.tokens, step.sim_time, step.channel.kind)
        for step in steps
        if not step.prefill_seconds
    ]


def together(generators: Sequence[Generator[Step, None, None]]) -> list[list[Step]]:
    """Pull several answers in turn, as the hub does."""
    steps: list[list[Step]] = [[] for _ in generators]
    going = dict(enumerate(generators))
    while going:
        for at, generator in list(going.items()):
            while True:
                step = next(generator, None)
                if step is None:
                    del going[at]
                    break
                steps[at].append(step)
                if not step.more:
                    break
    return steps


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drafts from here on."""
    monkeypatch.setattr(Scheduler, "draft_room", lambda _: 0)


def test_drafts_change_no_token_and_no_simulated_time(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = random_requests(40)
    drafted = [list(make(model).generate(request)) for request in requests]
    plain(monkeypatch)
    for request, steps in zip(requests, drafted, strict=True):
        undrafted = list(make(model).generate(request))
        assert told(undrafted) == told(steps)
        assert usage_of(undrafted).drafted_tokens == 0
        assert usage_of(undrafted).passes == usage_of(undrafted).output_tokens - 1
    totals = [usage_of(steps) for steps in drafted]
    accepted = sum(usage.accepted_tokens for usage in totals)
    assert (accepted > 30) == model.exact
    assert accepted == sum(usage.output_tokens - 1 - usage.passes for usage in totals)


def test_answers_at_once_are_those_of_one_after_another(model: LanguageModel) -> None:
    requests = random_requests(16, seed=2)
    single = [told(list(make(model).generate(request))) for request in requests]
    engine = make(model)
    for first in (0, 8):
        batch = requests[first : first + 8]
        steps = together([engine.generate(request) for request in batch])
        shown = [[(text, tokens, kind) for text, tokens, _, kind in told(each)] for each in steps]
        # What others left in the caches shortens a prompt, and so the simulated time before it.
        assert shown == [
            [(text, tokens, kind) for text, tokens, _, kind in each]
            for each in single[first : first + 8]
        ]
    assert engine._scheduler._seats == []
    assert engine._caches._leased == []


def test_eight_answers_share_their_passes(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not model.exact:
        pytest.skip("this kernel's rows depend on their batch: nothing is shared")
    passes: list[int] = []
    step = LanguageModel.step

    def counted(self: LanguageModel, segments: Sequence[Segment]) -> object:
        passes.append(len(segments))
        return step(self, segments)

    monkeypatch.setattr(LanguageModel, "step", counted)
    plain(monkeypatch)
    engine = make(model)
    answers = together([engine.generate(chat(f"say {at}")) for at in range(8)])
    longest = max(usage_of(steps).output_tokens for steps in answers)
    assert len(passes) <= longest + 8
    assert passes.count(8) >= longest - 8


def test_an_answer_that_is_left_at_any_step_leaves_a_right_cache(model: LanguageModel) -> None:
    request = edit("rename f to g")
    whole = list(make(model).generate(request))
    for stop in range(0, len(whole), 2):
        engine = make(model)
        begun = engine.generate(request)
        for _ in itertools.islice(begun, stop):
            pass
        begun.close()
        assert engine._scheduler._seats == []
        assert engine._caches._leased == []
        again = list(engine.generate(request))
        assert [step.text for step in again if step.tokens] == [
            step.text for step in whole if step.tokens
        ]


def test_leaving_one_answer_does_not_touch_the_others(model: LanguageModel) -> None:
    expected = told(list(make(model).generate(chat("the cat sat"))))
    engine = make(model)
    left, kept = engine.generate(chat("the cat lay")), engine.generate(chat("the cat sat"))
    for _ in range(3):
        next(left)
    steps = [next(kept)]
    left.close()
    steps += kept
    assert [text for text, *_ in told(steps)] == [text for text, *_ in expected]


def test_an_error_in_one_leaves_the_others_and_its_cache_right(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(model)
    bad, good = engine.generate(chat("bad")), engine.generate(chat("good"))
    assert next(bad)
    assert next(good)
    victim = engine._scheduler._seats[0].cache
    step = LanguageModel.step

    def failing(self: LanguageModel, segments: Sequence[Segment]) -> object:
        if any(segment.cache is victim for segment in segments):
            raise EngineError("no memory for this one")
        return step(self, segments)

    monkeypatch.setattr(LanguageModel, "step", failing)
    next(bad)
    with pytest.raises(EngineError, match="no memory"):
        list(bad)
    rest = told(list(good))
    monkeypatch.setattr(LanguageModel, "step", step)
    assert [text for text, *_ in rest] == [
        text for text, *_ in told(list(make(model).generate(chat("good"))))
    ]
    assert list(engine.generate(chat("bad")))[-1].finish_reason is not None


def test_a_second_edit_of_a_region_evaluates_only_its_instruction(model: LanguageModel) -> None:
    engine = make(model)
    list(engine.warm(GenerateRequest((), (Tool("apply_patch", "custom"),))))
    cold = usage_of(list(engine.generate(edit("rename f to g"))))
    warm = usage_of(list(engine.generate(edit("sort it"))))
    region = len(model.tokenizer.encode("def f(x):\n    return x\n\n\nx = f(1)"))
    assert warm.cached_tokens >= cold.cached_tokens + region
    changed = "def f(x):\n    return x\n\n\nx = f(2)\n"
    other = usage_of(list(engine.generate(edit("sort it", changed))))
    assert cold.cached_tokens + region - 4 <= other.cached_tokens < warm.cached_tokens


def test_the_head_of_edits_stays_whatever_else_is_said(model: LanguageModel) -> None:
    engine = make(model)
    engine._caches._max_bytes = 1
    list(engine.generate(edit("rename f to g")))
    for at in range(5):
        list(engine.generate(chat(f"{at} talk", limit=2)))
    assert usage_of(list(engine.generate(edit("sort", "y = 1\n\n\n\n\n")))).cached_tokens > 100
