"""The forward pass of a Llama-family decoder: token ids in, logits out.

    embed -> (norm -> attention -> add -> norm -> SwiGLU -> add) for every layer -> norm -> head

Qwen 2 adds a bias to Q, K and V; Llama rotates neighbouring components instead of halves. One
function serves prefill (many tokens), decode (one), verification of a draft (a few) and several
sequences at once: a step's tokens are rows of one batch, and each row's cache holds everything
before it. A :class:`Runner` does the arithmetic; what a step is, and when it counts, is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

import numpy as np

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.records import PackedMatrix
from sparkcode.model.weights import ModelConfig


@dataclass(frozen=True, slots=True)
class Segment:
    """New tokens of one sequence."""

    cache: KVCache
    tokens: Sequence[int]
    logits: Literal["none", "last", "all"] = "last"
    """Which rows are scored: row t scores the token that follows ``tokens[t]``."""


class Runner(Protocol):
    """The layers and the head, on whatever multiplies."""

    @property
    def exact(self) -> bool:
        """Whether a row's logits are the same bits whatever other rows its step has."""
        ...

    def run(self, x: F32, segments: Sequence[Segment], picked: Sequence[int]) -> F32:
        """Embedded rows x [R, D] of all segments, in order -> logits [len(picked), V].

        Keys and values are written behind each cache's tokens; the caches have room for them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Weights:
    """A whole model, ready to run."""

    config: ModelConfig
    embedding: PackedMatrix  # [V, D], read by rows
    runner: Runner


def forward(segments: Sequence[Segment], weights: Weights) -> list[F32]:
    """Evaluate each segment after its cache's tokens, and add it to them.

    Returns each one's logits, [0 | 1 | T, V]. No cache may come twice. A step that raises leaves
    every cache as it was: EngineError, code ``context_length_exceeded``, when tokens do not fit,
    and ValueError for an empty step or an id outside the vocabulary.
    """
    for segment in segments:
        _check(segment, weights.config)
    x = weights.embedding.rows([token for segment in segments for token in segment.tokens])
    starts = accumulate((len(segment.tokens) for segment in segments), initial=0)
    wanted = [_picked(segment, start) for segment, start in zip(segments, starts, strict=False)]
    scores = weights.runner.run(x, segments, [row for rows in wanted for row in rows])
    results = np.split(scores, list(accumulate(len(rows) for rows in wanted))[:-1])
    for segment, logits in zip(segments, results, strict=True):
        segment.cache.commit(segment.tokens, logits[-1] if len(logits) else None)
    return results


def _picked(segment: Segment, start: int) -> range:
    """Rows of the batch that are scored, for a segment whose first row is ``start``."""
    count = len(segment.tokens)
    match segment.logits:
        case "none":
            return range(0)
        case "last":
            return range(start + count - 1, start + count)
        case _:
            return range(start, start + count)


def _check(segment: Segment, config: ModelConfig) -> None:
    tokens, cache = segment.tokens, segment.cache
    if not tokens:
        raise ValueError("a step needs at least one token")
    if min(tokens) < 0 or max(tokens) >= config.vocab_size:
        raise ValueError(f"token ids have to lie within 0 to {config.vocab_size - 1}")
    length = len(cache) + len(tokens)
    if length > config.context_length:
        raise EngineError(
            f"{length} tokens do not fit: the model's context holds {config.context_length}",
            code="context_length_exceeded",
        )
    cache.reserve(length)
