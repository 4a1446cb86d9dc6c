"""One configuration, simulated: a model on a chip, a prompt, an answer and some users. Pure.

Users share wafers as a pipeline: their tokens follow each other through the layers, so up to the
*knee*, a round's time over that of its tokens' stages, nobody waits. Beyond it each waits for its
turn, and a service drafts less, because drafted tokens take turns too. They share GPUs as a batch:
weights are read once for all of them, each KV cache for its own. On both, users whose caches find
no room wait. What is simulated is one copy of the model; :mod:`sparkcode.wafer.fleet`
counts copies.

Times are of the chip alone, unless a transport is named: no network, no queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import Chip, WaferChip
from sparkcode.wafer.cost import WaferCost, make_cost
from sparkcode.wafer.drafting import cycles
from sparkcode.wafer.gpu import GpuCost
from sparkcode.wafer.network import NO_NETWORK, Transport
from sparkcode.wafer.shape import ModelShape
from sparkcode.wafer.tandem import Pipeline, between_rounds

MOST_EVENTS: Final = 256
"""Users whose tokens are followed one by one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked and answered, in tokens."""

    prompt: int
    output: int
    cached: int = 0
    """Of the prompt: attended to, but not read again."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a user would see, in seconds, tokens and joules."""

    model: str
    chip: str
    devices: int
    """Wafers or GPUs."""
    users: int
    turn: Turn
    ttft: float
    """From the prompt's arrival to the first token."""
    tpot: float
    """Between two tokens of one user, at the middle of the answer."""
    prompt_turn: float
    """Seconds for which a prompt keeps the devices from the other users' tokens."""
    breakdown: Mapping[str, float]
    """Seconds of ``tpot`` by cause; they add up to it."""
    joules_per_token: float
    """Rated power of all devices, over the tokens of all users."""
    max_context: int
    """Longest context of each user, in tokens."""
    knee: float
    """Users up to which nobody waits; 1 on GPUs, where every user costs a little."""
    region_side: int = 0
    """Cores along one side of a layer's region; 0 on GPUs."""
    layers_per_device: int = 0
    """0 on GPUs, which share each layer."""
    token_turn: float | None = None
    """Seconds for which a token keeps the slowest layer from the others'; None on GPUs."""
    drafted: int = 0
    """Tokens that are drafted in a round; 0 for plain decoding."""
    accepted: float = 1.0
    """Mean tokens that a round yields; they are seen together."""

    @property
    def tokens_per_second(self) -> float:
        """Of one user."""
        return 1 / self.tpot

    @property
    def total_tokens_per_second(self) -> float:
        """Of all users."""
        return self.users / self.tpot

    @property
    def sustained_tpot(self) -> float:
        """Between two tokens of one user while others' prompts are read in between: each answer
        has a prompt before it, and what is not cached of it keeps the devices from writing."""
        reading = self.users * self.prompt_turn / self.turn.output
        if self.token_turn is None:
            return self.tpot + reading
        return max(self.tpot, self.users * self.token_turn + reading)

    @property
    def answer_seconds(self) -> float:
        """From the prompt's arrival to the last token."""
        return self.ttft + (self.turn.output - 1) * self.tpot


def simulate(
    chip: Chip,
    shape: ModelShape,
    turn: Turn,
    *,
    users: int = 1,
    transport: Transport = NO_NETWORK,
) -> Simulation:
    """The simulation of one configuration.

    UsageError if the tokens exceed the model's context, more are cached than the prompt has, or the
    model does not fit the chip.
    """
    check_turn(shape, turn)
    cost = make_cost(chip, shape, context=turn.prompt + turn.output, users=users)
    middle = turn.prompt + turn.output // 2
    reading = cost.prefill_seconds(turn.prompt - turn.cached, turn.cached)
    fill = cost.decode_seconds(turn.cached) if reading and isinstance(cost, WaferCost) else 0.0
    first = transport.before_first(turn.prompt) + reading + cost.decode_seconds(turn.prompt)
    step = _step(cost, middle, users)
    breakdown = {cause: seconds / step.accepted for cause, seconds in step.parts.items()}
    on_chip = sum(breakdown.values())
    if transport.token:
        breakdown["network"] = transport.token
    tpot = sum(breakdown.values())
    wafer = cost if isinstance(cost, WaferCost) else None
    return Simulation(
        model=shape.name,
        chip=chip.name,
        devices=cost.placement.devices,
        users=users,
        turn=turn,
        ttft=first,
        tpot=tpot,
        prompt_turn=reading - fill,
        breakdown=breakdown,
        joules_per_token=cost.placement.devices * chip.power * on_chip / users,
        max_context=cost.placement.max_context,
        knee=step.knee,
        region_side=wafer.placement.region_side if wafer else 0,
        layers_per_device=wafer.placement.layers_per_wafer if wafer else 0,
        token_turn=None if step.turn is None else step.turn / step.accepted,
        drafted=step.drafted,
        accepted=step.accepted,
    )


def check_turn(shape: ModelShape, turn: Turn) -> None:
    """UsageError if ``shape`` does not hold it, or more of it is cached than there is."""
    if turn.cached > turn.prompt:
        raise UsageError(
            f"{turn.cached} cached tokens are more than the prompt's {turn.prompt}; use fewer"
        )
    if turn.prompt + turn.output > shape.context_length:
        raise UsageError(
            f"{turn.prompt} + {turn.output} tokens are more than {shape.name!r} holds, "
            f"{shape.context_length}; use a shorter --context"
        )


def pipeline_of(cost: WaferCost, context: int, drafted: int = 0) -> Pipeline:
    """The layers of ``cost`` as the event simulation sees them."""
    parts = cost.breakdown(context)
    outside = parts["wafer_hops"]
    layers = cost.shape.num_layers
    latency = (sum(parts.values()) - outside) / layers
    if drafted:
        outside += drafted * cost.draft_seconds(context)
    return Pipeline(layers, latency, cost.stage_seconds(context), outside, drafted + 1)


def by_events(chip: WaferChip, shape: ModelShape, found: Simulation) -> float:
    """Seconds between two tokens of one user of ``found``, by the event simulation.

    UsageError where so many users wait for room that their tokens are not all on their way.
    """
    turn = found.turn
    cost = make_cost(chip, shape, context=turn.prompt + turn.output, users=found.users)
    assert isinstance(cost, WaferCost)
    if cost.placement.streams < found.users or found.users > MOST_EVENTS:
        most = min(cost.placement.streams, MOST_EVENTS)
        raise UsageError(f"events of {found.users} users are too many; use at most {most}")
    middle = turn.prompt + turn.output // 2
    pipeline = pipeline_of(cost, middle, found.drafted)
    on_chip = between_rounds(pipeline, found.users, rounds=20) / found.accepted
    return on_chip + found.breakdown.get("network", 0.0)


@dataclass(frozen=True, slots=True)
class _Step:
    """One round of one user: seconds by cause, and what it yields."""

    parts: Mapping[str, float]
    knee: float
    turn: float | None = None
    """For which the round keeps the slowest layer busy; None where it keeps all devices busy."""
    drafted: int = 0
    accepted: float = 1.0


def _step(cost: WaferCost | GpuCost, context: int, users: int) -> _Step:
    if isinstance(cost, GpuCost):
        streams = cost.placement.streams
        together = dict(cost.batch_breakdown(streams, context))
        if users > streams:
            together["waiting"] = sum(together.values()) * (users / streams - 1)
        return _Step(together, 1.0)
    stage, streams = cost.stage_seconds(context), cost.placement.streams

    def turns(drafted: int) -> float:
        """Until every stream's tokens of a round have had their turn in the slowest layer."""
        return streams * (drafted + 1) * stage

    best = min(
        cycles(cost, cost.shape.draft, context),
        key=lambda found: max(found.seconds, turns(found.drafted)) / found.accepted,
    )
    parts = dict(cost.breakdown(context))
    if best.drafted:
        parts["draft"] = best.draft_seconds
        parts["verify"] = best.drafted * stage
    whole = max(best.seconds, turns(best.drafted)) * users / streams
    if whole > best.seconds:
        parts["waiting"] = whole - best.seconds
    knee = best.seconds / ((best.drafted + 1) * stage)
    own = (best.drafted + 1) * stage
    return _Step(parts, max(1.0, knee), own, best.drafted, best.accepted)
