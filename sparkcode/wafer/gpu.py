"""The GPU's cost model: a roofline with what a plain roofline leaves out.

::

    pass = max(memory, arithmetic) + loss * min(memory, arithmetic) + launches + all-reduces

*Memory* reads every weight that the pass touches once (of experts, those that its tokens are
expected to choose) and the KV cache once. *Arithmetic* counts two operations per parameter and
token, and attention. *Launches* cost each layer the same, whatever it computes; a pass of many
tokens hides part of them. *All-reduces*, two per layer, appear when the model is split over several
devices (tensor parallelism). A single stream is bound by memory, so verifying a few drafted tokens
costs about one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import GpuChip
from sparkcode.wafer.shape import ModelShape

_ACTIVATION_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class GpuPlacement:
    """A tensor-parallel group that holds the model."""

    devices: int
    kv_capacity_bytes: float
    """Memory that weights leave for KV caches, over all devices."""
    max_context: int
    """Longest context of each stream, in tokens."""


def place_gpu(chip: GpuChip, shape: ModelShape, *, context: int, users: int) -> GpuPlacement:
    """The smallest power of two of devices that holds weights and ``users`` KV caches.

    Raises ``UsageError`` if one node is too small.
    """
    usable = chip.usable_memory * chip.memory_bytes
    needed = shape.weight_bytes + users * shape.kv_bytes(context)
    devices = 1
    while devices * usable < needed:
        devices *= 2
    if devices > chip.max_devices:
        raise UsageError(
            f"{shape.name!r} with {users} x {context} tokens takes {needed / 1e9:,.0f} GB, more "
            f"than {chip.max_devices} of {chip.name!r} hold; use a larger chip, "
            "fewer streams or a shorter context"
        )
    capacity = devices * usable - shape.weight_bytes
    return GpuPlacement(devices, capacity, shape.context_in(capacity / users))


@dataclass(frozen=True, slots=True)
class GpuCost:
    """A model on GPUs of one node."""

    chip: GpuChip
    shape: ModelShape
    placement: GpuPlacement

    def prefill_seconds(self, new_tokens: int, context: int) -> float:
        return self._pass_seconds(new_tokens, context) if new_tokens > 0 else 0.0

    def decode_seconds(self, context: int) -> float:
        return self._pass_seconds(1, context)

    def verify_seconds(self, tokens: int, context: int) -> float:
        return self._pass_seconds(max(1, tokens), context)

    def breakdown(self, context: int) -> Mapping[str, float]:
        """Seconds of a decode step by cause; they add up to ``decode_seconds``."""
        return self._parts(1, context)

    def batch_breakdown(self, users: int, context: int) -> Mapping[str, float]:
        """As ``breakdown`` for a step of ``users`` streams at once, each at ``context``."""
        return self._parts(users, context, streams=users)

    def _pass_seconds(self, tokens: int, context: int) -> float:
        """Of one pass. Hiding launches never makes a longer pass faster than a short one."""
        few = self.chip.few_tokens
        if tokens <= few:
            return sum(self._parts(tokens, context).values())
        parts = dict(self._parts(tokens, context))
        parts["launches"] *= self.chip.hidden_overhead
        return max(sum(parts.values()), self._pass_seconds(few, context))

    def _parts(self, tokens: int, context: int, streams: int = 1) -> Mapping[str, float]:
        weights = self._weight_seconds(tokens)
        kv = self._kv_seconds(context) * streams
        compute = self._compute_seconds(tokens, context)
        loss = self.chip.overlap_loss
        memory_share, compute_share = (1.0, loss) if weights + kv >= compute else (loss, 1.0)
        return {
            "weights": weights * memory_share,
            "kv": kv * memory_share,
            "compute": compute * compute_share,
            "launches": self.shape.num_layers * self.chip.layer_overhead,
            "all_reduce": self._all_reduce_seconds(tokens),
        }

    def _weight_seconds(self, tokens: int) -> float:
        chip, shape = self.chip, self.shape
        efficiency = chip.bandwidth_efficiency
        if shape.weight_bytes_per_parameter < 2:
            efficiency *= chip.quantised_efficiency
        if shape.num_experts:
            efficiency *= chip.expert_efficiency
        parameters = shape.parameters_read(shape.distinct_experts(tokens))
        total = parameters * shape.weight_bytes_per_parameter
        return total / (self.placement.devices * chip.memory_bandwidth * efficiency)

    def _kv_seconds(self, context: int) -> float:
        rate = self.placement.devices * self.chip.memory_bandwidth * self.chip.kv_efficiency
        return self.shape.kv_bytes(context) / rate

    def _compute_seconds(self, tokens: int, context: int) -> float:
        shape = self.shape
        attended = shape.attended(context + tokens / 2)
        per_token = 2 * shape.active_parameters + 4 * shape.num_layers * shape.q_size * attended
        rate = self.placement.devices * self.chip.peak_flops * self.chip.compute_efficiency
        return tokens * per_token / rate

    def _all_reduce_seconds(self, tokens: int) -> float:
        devices = self.placement.devices
        if devices == 1:
            return 0.0
        chip, shape = self.chip, self.shape
        moved = 2 * (devices - 1) / devices * tokens * shape.hidden_size * _ACTIVATION_BYTES
        each = chip.all_reduce_latency + moved / (chip.link_bandwidth * chip.link_efficiency)
        return 2 * shape.num_layers * each


def gpu_cost(chip: GpuChip, shape: ModelShape, *, context: int, users: int) -> GpuCost:
    """The cost model of ``shape`` on the smallest group of ``chip`` that holds it."""
    return GpuCost(chip, shape, place_gpu(chip, shape, context=context, users=users))
