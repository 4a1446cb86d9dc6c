from __future__ import annotations

from collections.abc import Generator

from sparkcode.bench.edits import (
    Answer,
    accepted_length,
    decode_rate,
    run_request,
    second_edit_ttft,
    short_requests,
    throughput,
)
from sparkcode.engine.base import EngineInfo, GenerateRequest, Message, Step, TokenUsage
from tests.bench.support import EDIT, counting


class Canned:
    """Steps with these token counts, for any request; remembers the order of its pulls."""

    def __init__(self, *counts: int) -> None:
        self.counts = counts
        self.pulls: list[str] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("scripted", "canned", 1)

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        for count in self.counts:
            self.pulls.append(request.last_user_text)
            yield Step(0.0, tokens=count, usage=TokenUsage(passes=2) if count == 3 else None)

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        yield Step(0.0)


HELLO = GenerateRequest((Message("user", "hello"),))


def test_a_request_is_timed_from_prompt_to_first_token_to_end() -> None:
    answer = run_request(Canned(0, 2, 3, 1, 0), HELLO, timer=counting())
    assert answer == Answer(2.0, 5.0, 6, 2)
    assert run_request(Canned(), HELLO, timer=counting()) == Answer(0.0, 0.0, 0, 0)


def test_decoding_is_what_came_after_the_first_token() -> None:
    answers = [Answer(1.0, 3.0, 9, 3), Answer(2.0, 4.0, 5, 2)]
    assert decode_rate(answers) == 3.0
    assert accepted_length(answers) == 12 / 5
    assert decode_rate([]) == accepted_length([]) == 0.0


def test_a_second_edit_asks_something_else_about_the_region() -> None:
    engine = Canned(0, 1)
    assert second_edit_ttft(engine, EDIT, timer=counting()) == 2.0
    assert EDIT.instruction not in engine.pulls[0]
    assert "Edit region: lines 2-2" in engine.pulls[0]


def test_requests_at_once_are_pulled_in_turn() -> None:
    engine = Canned(1, 1)
    requests = [GenerateRequest((Message("user", name),)) for name in "ab"]
    assert throughput(engine, requests, timer=counting()) == 4.0
    assert engine.pulls == ["a", "b", "a", "b"]


def test_eight_short_requests_differ() -> None:
    assert len({request.last_user_text for request in short_requests()}) == 8
