"""A fleet: what so many megawatts of a chip serve, at a pace that users are promised. Pure.

An *instance* is the devices that hold the model once. As many users as still get the promised pace
share it, while each other's prompts are read in between, or fewer where more would need so many
further wafers for their caches that each wafer serves fewer: what is sought is the most users for
each device. The megawatts are those of the building; the chips get what cooling and losses leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import Chip
from sparkcode.wafer.shape import ModelShape
from sparkcode.wafer.simulate import Simulation, Turn, simulate

MAX_USERS = 4096
"""Of one instance."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Everything that a fleet's size hangs on beside the chip and the model."""

    megawatts: float
    """Of the whole site, at the end."""
    overhead: float
    """The site's power over the chips' (power usage effectiveness)."""
    context: int
    """Tokens of a prompt."""
    cached: float
    """Share of a prompt that need not be read again."""
    output: int
    """Tokens of an answer."""
    pace: float
    """Tokens a second that each user gets at least."""
    utilisation: float
    """Share of the day that an instance is as busy as it may be."""
    phases: Sequence[tuple[str, float]]
    """When which share of the megawatts has come, in order; the last is 1."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The fleet at one time."""

    when: str
    megawatts: float
    devices: int
    """Wafers or GPUs."""
    instances: int
    users: int
    """At once, each at the promised pace."""
    tokens_per_day: float
    """Of answers."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """An instance, and how many of it there are when."""

    instance: Simulation
    assumptions: Assumptions
    phases: Sequence[Phase]


def plan(chip: Chip, shape: ModelShape, assumed: Assumptions) -> Fleet:
    """UsageError if not even a single user gets the pace, or the site cannot power an instance."""
    instance = best_instance(chip, shape, assumed)
    phases = [
        _phase(chip, instance, assumed, when, assumed.megawatts * share)
        for when, share in assumed.phases
    ]
    if not phases or not phases[-1].instances:
        need = instance.devices * chip.power * assumed.overhead / 1e6
        raise UsageError(
            f"{assumed.megawatts:g} MW power no instance: one takes {need:.3g} MW; use more power"
        )
    return Fleet(instance, assumed, phases)


def best_instance(chip: Chip, shape: ModelShape, assumed: Assumptions) -> Simulation:
    """The number of users with the most users for each device, at the pace or better."""
    alone = _with_users(chip, shape, assumed, 1)
    if 1 / alone.sustained_tpot < assumed.pace:
        raise UsageError(
            f"{shape.name!r} on {chip.name!r} gives a single user {1 / alone.sustained_tpot:,.0f} "
            f"tok/s with prompts between, less than the promised {assumed.pace:g}; promise less, "
            "cache more, or use another chip"
        )
    best, users = alone, 1
    while users < MAX_USERS:
        users += 1
        found = _with_users(chip, shape, assumed, users)
        if 1 / found.sustained_tpot < assumed.pace:
            break
        best = max(best, found, key=_density)
    return best


def _density(found: Simulation) -> float:
    return found.users / found.devices


def _with_users(chip: Chip, shape: ModelShape, assumed: Assumptions, users: int) -> Simulation:
    turn = Turn(assumed.context, assumed.output, floor(assumed.context * assumed.cached))
    return simulate(chip, shape, turn, users=users)


def _phase(
    chip: Chip, instance: Simulation, assumed: Assumptions, when: str, megawatts: float
) -> Phase:
    devices = floor(megawatts * 1e6 / (chip.power * assumed.overhead))
    instances = devices // instance.devices
    users = instances * instance.users
    rate = users / instance.sustained_tpot * assumed.utilisation
    return Phase(
        when=when,
        megawatts=megawatts,
        devices=devices,
        instances=instances,
        users=users,
        tokens_per_day=rate * SECONDS_PER_DAY,
    )
