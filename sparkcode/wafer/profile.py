"""A profile: a chip and a model that runs on it, under one name such as ``wse3/gpt-oss-120b``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from sparkcode.wafer.chip import DEFAULT_CHIP, Chip, WaferChip, load_chip
from sparkcode.wafer.cost import WaferCost, make_cost
from sparkcode.wafer.drafting import Cycle, best_cycle
from sparkcode.wafer.gpu import GpuCost
from sparkcode.wafer.placement import DEFAULT_CONTEXT
from sparkcode.wafer.shape import DEFAULT_SHAPE, Draft, ModelShape, load_shape


@dataclass(frozen=True, slots=True)
class Profile:
    """Raises ``UsageError`` when the model does not fit the chip."""

    chip: Chip
    shape: ModelShape
    context: int = DEFAULT_CONTEXT
    """Tokens of KV cache that there is room for."""
    cost: WaferCost | GpuCost = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", make_cost(self.chip, self.shape, context=self.context))

    @property
    def name(self) -> str:
        return f"{self.chip.name}/{self.shape.name}"

    @property
    def devices(self) -> int:
        """Wafers or GPUs."""
        return self.cost.placement.devices

    @property
    def max_context(self) -> int:
        """Longest context of one stream, in tokens."""
        return self.cost.placement.max_context

    def cycle(self, context: int) -> Cycle:
        """One round of draft and verification at ``context``; a plain step where nothing drafts."""
        return best_cycle(self.cost, drafts_on(self.chip, self.shape), context)

    def tokens_per_second(self, context: int) -> float:
        """Output rate of one stream at ``context`` tokens, as a vendor would state it."""
        return 1 / self.cycle(context).seconds_per_token

    def token_seconds(self, number: int, context: int) -> float:
        """Between an answer's token ``number``, counted from 1, and the one before it, or the
        prompt's end. With drafts the tokens of a round come together: 0 within one."""
        if number <= 1:
            return self.cost.decode_seconds(context)
        found = self.cycle(context)
        behind_first = number - 1
        begins = ceil(behind_first / found.accepted) > ceil((behind_first - 1) / found.accepted)
        return found.seconds if begins else 0.0

    def ttft_seconds(self, new_tokens: int, context: int = 0) -> float:
        """From the prompt's arrival to its first output token, without network or queue."""
        after = context + new_tokens
        return self.cost.prefill_seconds(new_tokens, context) + self.cost.decode_seconds(after)

    def joules_per_token(self, context: int) -> float:
        """Rated power of all devices times the time of a token, for a single stream."""
        return self.devices * self.chip.power / self.tokens_per_second(context)

    def breakdown(self, context: int) -> Mapping[str, float]:
        """Seconds of a decode step by cause."""
        return self.cost.breakdown(context)


def drafts_on(chip: Chip, shape: ModelShape) -> Draft:
    """What drafts for ``shape`` as it is usually served on ``chip``.

    Services on wafers draft where they can; on GPUs drafts are left to whoever serves.
    """
    return shape.draft if isinstance(chip, WaferChip) else "none"


def load_profile(chip_name: str = DEFAULT_CHIP, shape_name: str = DEFAULT_SHAPE) -> Profile:
    """Both from the catalogue, or from paths of .toml files.

    Raises ``UsageError`` for a name that does not exist or a model that does not fit.
    """
    return Profile(load_chip(chip_name), load_shape(shape_name))
