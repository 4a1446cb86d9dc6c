"""What pairs of measurements say, as medians and spreads.

A processor that is shared changes its speed from one second to the next, and memory bandwidth may
have two states. So two engines are measured in turn, one pair after another, and what is reported
is the median of the pairs' ratios: whatever slows both of a pair leaves its ratio alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of several values."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of ``values``; ValueError when there are none."""
    if not values:
        raise ValueError("a spread needs at least one value")
    return Spread(median(values), min(values), max(values))


def pair_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """``ours[i] / theirs[i]`` of each pair."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def peak_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Our best rate to the peer's best, wherever in the run each of them was."""
    return max(ours) / max(theirs)


@dataclass(frozen=True, slots=True)
class Passes:
    """Wall seconds of one prompt and the tokens that followed it."""

    prefill_seconds: float
    ttft_seconds: float
    """From the prompt's ids to the first token's id."""
    decode_seconds: float

    def prefill_rate(self, tokens: int) -> float:
        """Prompt tokens a second."""
        return tokens / self.prefill_seconds

    def decode_rate(self, tokens: int) -> float:
        """Tokens a second, one after another."""
        return tokens / self.decode_seconds
