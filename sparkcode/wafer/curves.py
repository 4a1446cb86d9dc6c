"""Curves over the timing model: what ``sim --plot`` draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from statistics import NormalDist
from typing import Final

from sparkcode.wafer.chip import Chip
from sparkcode.wafer.shape import ModelShape
from sparkcode.wafer.simulate import Simulation, Turn, simulate

SPREAD: Final = 1.0
"""Standard deviation of the logarithm of prompts' and answers' lengths, assumed: a coding agent's
vary by a factor of about ten."""
QUANTILES: Final = tuple((at + 0.5) / 40 for at in range(40))


@dataclass(frozen=True, slots=True)
class Operator:
    """One matrix product or the attention of a decode step, over all layers and users."""

    name: str
    flops: float
    bytes: float
    """Read from memory."""

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


def operators(shape: ModelShape, *, users: int, context: int) -> list[Operator]:
    """Of a decode step of ``users``, each at ``context``."""
    layers, hidden = shape.num_layers, shape.hidden_size
    each = shape.weight_bytes_per_parameter
    found = [
        _product("Q and O", layers * 2 * hidden * shape.q_size, users, each),
        _product("K and V", layers * 2 * hidden * shape.kv_size, users, each),
    ]
    dense = layers * (1 - shape.moe_fraction) * shape.dense_parameters
    if dense:
        found.append(_product("dense block", dense, users, each))
    if shape.num_experts:
        found.append(_experts(shape, users))
    attended = shape.attended(context)
    read = users * shape.kv_bytes(context)
    if read:
        flops = users * 4 * layers * shape.q_size * attended
        found.append(Operator("attention", flops, read))
    found.append(_product("head", shape.head_parameters, users, each))
    return found


def _product(name: str, parameters: float, users: int, each: float) -> Operator:
    return Operator(name, 2 * parameters * users, parameters * each)


def _experts(shape: ModelShape, users: int) -> Operator:
    """Only the experts that somebody's token chose are read."""
    layers = shape.num_layers * shape.moe_fraction
    stored = shape.expert_bytes_per_parameter or shape.weight_bytes_per_parameter
    used = layers * (shape.experts_per_token * shape.expert_parameters + shape.shared_parameters)
    read = layers * (
        shape.distinct_experts(users) * shape.expert_parameters * stored
        + shape.shared_parameters * shape.weight_bytes_per_parameter
    )
    return Operator("experts", 2 * used * users, read)


def pace_by_context(chip: Chip, shape: ModelShape, contexts: Sequence[int]) -> list[Point]:
    """Tokens a second of a single user against tokens of context."""
    last = shape.context_length - 1
    asked = [context for context in contexts if context < last] + [last]
    return [
        Point(context, simulate(chip, shape, Turn(context, 1)).tokens_per_second)
        for context in asked
    ]


def pareto(chip: Chip, shape: ModelShape, turn: Turn, most: int = 512) -> list[Point]:
    """Tokens a second of each user against those of all for each device, from one user on, as far
    as more users serve each device more."""
    found: list[Point] = []
    for users in _counts(most):
        done = simulate(chip, shape, turn, users=users)
        point = Point(done.tokens_per_second, done.total_tokens_per_second / done.devices)
        if not found or point.y > found[-1].y:
            found.append(point)
    return found


def _counts(most: int) -> list[int]:
    counts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
    return [count for count in counts if count <= most]


def spread_of(chip: Chip, shape: ModelShape, turn: Turn) -> list[Simulation]:
    """The same turn with prompts and answers of many lengths around its own, shortest first."""
    normal = NormalDist()
    found = []
    for share in QUANTILES:
        factor = exp(SPREAD * normal.inv_cdf(share))
        output = max(1, round(turn.output * factor))
        prompt = max(1, round(turn.prompt * factor))
        room = shape.context_length - output
        if room < 1:
            break
        prompt = min(prompt, room)
        cached = min(prompt, round(turn.cached * factor))
        found.append(simulate(chip, shape, Turn(prompt, output, cached)))
    return found
