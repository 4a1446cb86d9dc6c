"""Cost: the simulated seconds of a prefill, a decode step and a verification, per chip and model.

On a wafer a token walks through the regions of all layers, one after another::

    step   = kappa * layers * cycles(layer) / clock  +  wafers * hop          (see layer.py)
    prompt = step(context) + tokens * stage(context)
    verify = step + (tokens - 1) * stage(context)

because prompt tokens, and drafted tokens to verify, follow each other through the pipeline: the
first fills it, which takes a step, and each costs one stage. ``stage`` is measured at short
contexts and grows with the rows of the KV cache. The head and sampling are inside the fitted
constants, not a term.

**Forms that lost**, by the error on models that the constants were not fitted to: a fill that is
the same for all models, or longer than a step; a stage in proportion to a layer's time; a constant
cost per layer or per wafer beside the cycles.

The GPU's model is in :mod:`sparkcode.wafer.gpu`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sparkcode.wafer.chip import Chip, WaferChip
from sparkcode.wafer.gpu import GpuCost, gpu_cost
from sparkcode.wafer.layer import Work, context_rows, layer_work
from sparkcode.wafer.placement import DEFAULT_CONTEXT, Placement, place
from sparkcode.wafer.shape import ModelShape


class CostModel(Protocol):
    """Simulated seconds of the passes of one stream. ``context`` counts tokens already cached."""

    def prefill_seconds(self, new_tokens: int, context: int) -> float:
        """From the prompt's arrival until ``new_tokens`` more tokens are cached; 0 for none."""
        ...

    def decode_seconds(self, context: int) -> float:
        """One decode step: one token in, one token out."""
        ...

    def verify_seconds(self, tokens: int, context: int) -> float:
        """One pass over ``tokens`` tokens (the last one known and the drafted ones)."""
        ...


@dataclass(frozen=True, slots=True)
class WaferCost:
    """A model on wafers. ``fixed`` is the work of one layer at an empty context."""

    chip: WaferChip
    shape: ModelShape
    placement: Placement
    fixed: Work

    def prefill_seconds(self, new_tokens: int, context: int) -> float:
        if new_tokens <= 0:
            return 0.0
        first, last = (self.stage_seconds(context + n) for n in (1, new_tokens))
        fill = self.decode_seconds(context)
        return fill + new_tokens * (first + last) / 2

    def decode_seconds(self, context: int) -> float:
        return sum(self.breakdown(context).values())

    def verify_seconds(self, tokens: int, context: int) -> float:
        followers = max(0, tokens - 1)
        return self.decode_seconds(context) + followers * self.stage_seconds(context)

    def draft_seconds(self, context: int) -> float:
        """One drafted token: a small model beside this one, or a layer more of this one."""
        if self.shape.draft == "head":
            return self.decode_seconds(context) / self.shape.num_layers
        return self.chip.draft_cycles / self.chip.clock

    def stage_seconds(self, context: int) -> float:
        """Between two tokens that follow each other through the pipeline at ``context``.

        The slowest layer sets it: one without a window where there is one.
        """
        all_windowed = self.shape.window_layers == self.shape.num_layers
        seen = min(context, self.shape.window) if all_windowed else context
        rows = seen / self.placement.region_side
        return self.chip.prompt_cycles / self.chip.clock + self._seconds(
            rows * self.chip.row_cycles
        )

    def breakdown(self, context: int) -> Mapping[str, float]:
        """Seconds of a decode step by cause; they add up to ``decode_seconds``."""
        side = self.placement.region_side
        work = self.fixed + Work(rows=context_rows(self.shape, side, context))
        work *= self.shape.num_layers
        return {
            "collectives": self._seconds(work.stages * self.chip.stage_cycles),
            "rows": self._seconds(work.rows * self.chip.row_cycles),
            "hops": self._seconds(work.hops * self.chip.hop_cycles),
            "wafer_hops": self.placement.wafers * self.chip.wafer_hop,
        }

    def _seconds(self, cycles: float) -> float:
        return self.chip.kernel_factor * cycles / self.chip.clock


def make_cost(
    chip: Chip, shape: ModelShape, *, context: int = DEFAULT_CONTEXT, users: int = 1
) -> WaferCost | GpuCost:
    """The cost of ``shape`` on ``chip``, placed for ``users`` KV caches of ``context`` tokens.

    Placing searches region sizes (milliseconds): make one and keep it. Raises ``UsageError`` if the
    model does not fit.
    """
    if not isinstance(chip, WaferChip):
        return gpu_cost(chip, shape, context=context, users=users)
    placement = place(chip, shape, context=context, users=users)
    fixed = layer_work(chip, shape, side=placement.region_side, context=0)
    return WaferCost(chip, shape, placement, fixed)
