"""When each token of an answer would be seen, on a profile or at a plain pace. Pure.

With drafts, tokens come in bursts: a round takes its time and then yields what was accepted, all at
once. A mean of 2.8 a round is played as rounds of two and three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import load_chip
from sparkcode.wafer.network import NO_NETWORK, Transport
from sparkcode.wafer.profile import Profile
from sparkcode.wafer.shape import DEFAULT_SHAPE, ModelShape, load_shape
from sparkcode.wafer.simulate import Turn, check_turn

MIN_PACE = 0.1
MAX_PACE = 100_000.0
"""Tokens a second that can be asked for."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One answer: seconds from the prompt's arrival to each of its tokens, never falling."""

    name: str
    times: Sequence[float]
    joules_per_token: float | None = None
    """None where there is no chip."""
    simulated: bool = True
    """False for what an engine really took."""

    @property
    def ttft(self) -> float:
        return self.times[0]

    @property
    def seconds(self) -> float:
        return self.times[-1]

    @property
    def tokens_per_second(self) -> float:
        """After the first token; of a single one, over its own time."""
        spent = self.seconds - self.ttft
        return (len(self.times) - 1) / spent if spent > 0 else 1 / max(self.ttft, 1e-9)

    def cut(self, tokens: int) -> Timeline:
        """Its first ``tokens``."""
        return replace(self, times=self.times[:tokens])

    def seen(self, now: float) -> int:
        """Tokens that are out at ``now`` seconds."""
        low, high = 0, len(self.times)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.times[middle] <= now else (low, middle)
        return low


def timeline(profile: Profile, turn: Turn, transport: Transport = NO_NETWORK) -> Timeline:
    """UsageError if the turn is longer than the model's context, or does not fit the chip."""
    check_turn(profile.shape, turn)
    whole = turn.prompt + turn.output
    profile = replace(profile, context=max(whole, profile.context))
    reading = profile.cost.prefill_seconds(turn.prompt - turn.cached, turn.cached)
    now = transport.before_first(turn.prompt) + reading + profile.cost.decode_seconds(turn.prompt)
    times = [now]
    for number in range(2, turn.output + 1):
        now += profile.token_seconds(number, turn.prompt + number)
        times.append(now + (number - 1) * transport.token)
    joules = profile.joules_per_token(turn.prompt + turn.output // 2)
    return Timeline(profile.name, times, joules)


def at_pace(pace: float, turn: Turn) -> Timeline:
    """Tokens a second as they are seen, whatever lies between, from the first on."""
    return Timeline(f"{pace:g} tok/s", [(at + 1) / pace for at in range(turn.output)])


def asked(
    text: str, model: str | None = None, load: Callable[[str], ModelShape] = load_shape
) -> Profile | float:
    """What ``wse3``, ``wse3/llama-3.1-8b``, ``my.toml`` or ``50`` means: a profile, or tokens a
    second.

    ``model`` is meant where the text names none; ``load`` reads it. UsageError says what would be
    right.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        pace = float(text)
        if not MIN_PACE <= pace <= MAX_PACE:
            raise UsageError(
                f"{text} tokens a second; expected from {MIN_PACE:g} to {MAX_PACE:,.0f}"
            )
        return pace
    chip, slash, shape = text.partition("/")
    if text.endswith(".toml") and not _is_chip(chip):
        chip, slash = text, ""
    return Profile(load_chip(chip), load(shape if slash else model or DEFAULT_SHAPE))


def _is_chip(name: str) -> bool:
    try:
        load_chip(name)
    except UsageError:
        return False
    return True


def play(found: Profile | float, turn: Turn, over: Transport = NO_NETWORK) -> Timeline:
    """The timeline of what ``asked`` found."""
    if isinstance(found, Profile):
        return timeline(found, turn, over)
    return at_pace(found, turn)
