"""Edits and several requests at once, end to end through an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from sparkcode.bench.workload import Edit
from sparkcode.engine.base import Engine, GenerateRequest, Message, Step

AGAIN = "Add a one-line comment that says what this does."
"""A second instruction for the same region."""
CONCURRENT_TOKENS = 32
_TOPICS = (
    "a hash table", "a binary search", "a mutex", "a linked list",
    "a cache", "a parser", "a socket", "a compiler",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request cost."""

    ttft_seconds: float
    """From the request to the first token."""
    total_seconds: float
    tokens: int
    passes: int
    """Forward passes after the one that ended the prompt and brought the first token."""


def run_request(
    engine: Engine, request: GenerateRequest, *, timer: Callable[[], float] = time.perf_counter
) -> Answer:
    """Pull a whole answer and time it."""
    began = now = first = timer()
    tokens = passes = 0
    for step in engine.generate(request):
        now = timer()
        if step.tokens and not tokens:
            first = now
        tokens += step.tokens
        passes = step.usage.passes if step.usage else passes
    return Answer(first - began, now - began, tokens, passes)


def decode_rate(answers: Sequence[Answer]) -> float:
    """Tokens a second after each answer's first, all answers together; 0 when there are none.

    The time is that of decoding, drafting, verifying and writing the patch.
    """
    seconds = sum(answer.total_seconds - answer.ttft_seconds for answer in answers)
    tokens = sum(max(0, answer.tokens - 1) for answer in answers)
    return tokens / seconds if seconds > 0 else 0.0


def accepted_length(answers: Sequence[Answer]) -> float:
    """Tokens a forward pass brought on average, the first of each answer left out; 0 without."""
    passes = sum(answer.passes for answer in answers)
    tokens = sum(max(0, answer.tokens - 1) for answer in answers)
    return tokens / passes if passes else 0.0


def second_edit_ttft(
    engine: Engine, edit: Edit, *, timer: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds to the first token of another instruction for a region that was just edited."""
    return run_request(engine, edit.request(AGAIN, limit=1), timer=timer).ttft_seconds


def short_requests() -> list[GenerateRequest]:
    """Eight short questions with answers of CONCURRENT_TOKENS tokens at most."""
    return [
        GenerateRequest(
            (Message("user", f"Explain in three sentences what {topic} is."),),
            max_output_tokens=CONCURRENT_TOKENS,
        )
        for topic in _TOPICS
    ]


def throughput(
    engine: Engine,
    requests: Sequence[GenerateRequest],
    *,
    timer: Callable[[], float] = time.perf_counter,
) -> float:
    """Tokens a second of all ``requests`` at once: pulled in turn, as the server pulls them."""
    began, tokens = timer(), 0
    running = [engine.generate(request) for request in requests]
    while running:
        left: list[Generator[Step, None, None]] = []
        for steps in running:
            while step := next(steps, None):
                tokens += step.tokens
                if not step.more:
                    left.append(steps)
                    break
        running = left
    return tokens / (timer() - began)
