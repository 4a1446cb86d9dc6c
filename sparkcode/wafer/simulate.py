"""One configuration, simulated: a model on a chip, a prompt, an answer and some users. Pure.

Users share wafers as a pipeline: their tokens follow each other through the layers, so up to the
*knee*, a step's time over a stage's, nobody waits. Beyond it each waits for its turn. They share
GPUs as a batch: weights are read once for all of them, each KV cache for its own.

Times are of the chip alone: no network, no queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import Chip, WaferChip
from sparkcode.wafer.cost import WaferCost, make_cost
from sparkcode.wafer.gpu import GpuCost
from sparkcode.wafer.shape import ModelShape
from sparkcode.wafer.tandem import Pipeline


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a user would see, in seconds, tokens and joules."""

    model: str
    chip: str
    devices: int
    """Wafers or GPUs."""
    users: int
    prompt_tokens: int
    output_tokens: int
    ttft: float
    """From the prompt's arrival to the first token."""
    tpot: float
    """Between two tokens of one user, at the middle of the answer."""
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

    @property
    def tokens_per_second(self) -> float:
        """Of one user."""
        return 1 / self.tpot

    @property
    def total_tokens_per_second(self) -> float:
        """Of all users."""
        return self.users / self.tpot

    @property
    def answer_seconds(self) -> float:
        """From the prompt's arrival to the last token."""
        return self.ttft + (self.output_tokens - 1) * self.tpot


def simulate(
    chip: Chip, shape: ModelShape, *, prompt_tokens: int, output_tokens: int, users: int
) -> Simulation:
    """The simulation of one configuration.

    UsageError if the tokens exceed the model's context, or the model does not fit the chip.
    """
    context = prompt_tokens + output_tokens
    if context > shape.context_length:
        raise UsageError(
            f"{prompt_tokens} + {output_tokens} tokens are more than {shape.name!r} holds, "
            f"{shape.context_length}; use a shorter --context"
        )
    cost = make_cost(chip, shape, context=context, users=users)
    middle = prompt_tokens + output_tokens // 2
    first = cost.prefill_seconds(prompt_tokens, 0) + cost.decode_seconds(prompt_tokens)
    accepted = 1.0
    if isinstance(chip, WaferChip) and shape.speculation:
        accepted = chip.accepted_per_step
    parts, knee = _step(cost, middle, users)
    breakdown = {cause: seconds / accepted for cause, seconds in parts.items()}
    tpot = sum(breakdown.values())
    wafer = cost if isinstance(cost, WaferCost) else None
    return Simulation(
        model=shape.name,
        chip=chip.name,
        devices=cost.placement.devices,
        users=users,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        ttft=first,
        tpot=tpot,
        breakdown=breakdown,
        joules_per_token=cost.placement.devices * chip.power * tpot / users,
        max_context=cost.placement.max_context,
        knee=knee,
        region_side=wafer.placement.region_side if wafer else 0,
        layers_per_device=wafer.placement.layers_per_wafer if wafer else 0,
    )


def pipeline_of(cost: WaferCost, context: int) -> Pipeline:
    """The layers of ``cost`` as the event simulation sees them."""
    parts = cost.breakdown(context)
    hops = parts["wafer_hops"]
    layers = cost.shape.num_layers
    latency = (sum(parts.values()) - hops) / layers
    return Pipeline(layers, latency, cost.stage_seconds(context), hops)


def _step(cost: WaferCost | GpuCost, context: int, users: int) -> tuple[Mapping[str, float], float]:
    """Seconds of one user's decode step by cause, and the knee."""
    if isinstance(cost, GpuCost):
        return cost.batch_breakdown(users, context), 1.0
    parts = dict(cost.breakdown(context))
    step, stage = sum(parts.values()), cost.stage_seconds(context)
    if users * stage > step:
        parts["waiting"] = users * stage - step
    return parts, max(1.0, step / stage)
