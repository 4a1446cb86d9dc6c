"""The GPU's cost model: a roofline with what a plain roofline leaves out.

::

    pass   = matrices + cache + attention + launches + all-reduces
    matrices = max(weights, arithmetic) + loss * min(weights, arithmetic)

*Weights* reads every weight that the pass touches once (of experts, those that its tokens are
expected to choose). *Arithmetic* counts two operations per parameter and token. *Cache* reads the
KV cache once, and older kernels read part of it again for each query head of a group. *Attention*
of a prompt's tokens to all before them runs at half the matrices' rate. *Launches* cost each
kernel the same, whatever it computes; a layer with experts or with a latent cache has more of them.
*All-reduces*, two per layer, appear when the model is split over several devices (tensor
parallelism). A single stream is bound by memory, so verifying a few drafted tokens costs about one
step.

**Forms that lost**, by the error on models that the constants were not fitted to: one overhead per
layer, whatever the layer; an overhead that long passes hide in part; latency that grows with the
number of devices; efficiency that falls with the size of a shard; elementwise passes over the
activations; a cost per sequence or per request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Final

from sparkcode.errors import UsageError
from sparkcode.wafer.chip import GpuChip
from sparkcode.wafer.shape import ModelShape

_ACTIVATION_BYTES: Final = 2
_ATTENTION_RATE: Final = 0.5
"""Of attention within a prompt, against the matrices': masked, and in small blocks."""
DENSE_KERNELS: Final = 9
"""Of a layer: norm, QKV, rotation, attention, output, norm, up and gate, activation, down."""
EXPERT_KERNELS: Final = 4
"""More with experts: router, choice, sorting tokens by expert, combining."""
LATENT_KERNELS: Final = 4
"""More with a latent cache: two projections down, a norm, absorbing keys and values."""


@dataclass(frozen=True, slots=True)
class GpuPlacement:
    """A tensor-parallel group that holds the model."""

    devices: int
    nodes: int = 1
    """Over which they are spread."""
    streams: int = 1
    """Users whose KV caches find room at once."""
    max_context: int = 0
    """Longest context of each of them, in tokens."""


def place_gpu(chip: GpuChip, shape: ModelShape, *, context: int, users: int) -> GpuPlacement:
    """The smallest power of two of devices that holds the weights and one KV cache as long as the
    model allows, or the largest that there is.

    Its size does not depend on ``context`` or ``users``: more of either would make it larger, and
    so faster. Raises ``UsageError`` if weights and a cache of ``context`` tokens do not fit.
    """
    usable = chip.usable_memory * chip.memory_bytes
    most = 1 << (chip.max_devices.bit_length() - 1)
    group = 1
    while group < most and group * usable < shape.weight_bytes + shape.kv_bytes(
        shape.context_length
    ):
        group *= 2
    capacity = group * usable - shape.weight_bytes
    cache = shape.kv_bytes(context)
    if cache > capacity:
        raise UsageError(
            f"{shape.name!r} takes {shape.weight_bytes / 1e9:,.0f} GB and {cache / 1e9:,.0f} GB "
            f"for {context} tokens, more than {group} of {chip.name!r} hold; use a larger chip"
        )
    streams = min(users, floor(capacity / cache)) if cache else users
    return GpuPlacement(group, 1, streams, shape.context_in(capacity / streams))


@dataclass(frozen=True, slots=True)
class GpuCost:
    """A model on GPUs."""

    chip: GpuChip
    shape: ModelShape
    placement: GpuPlacement

    def prefill_seconds(self, new_tokens: int, context: int) -> float:
        return self.prompt_seconds(new_tokens, context, streams=1)

    def prompt_seconds(self, new_tokens: int, context: int, *, streams: int) -> float:
        """As ``prefill_seconds``, of ``streams`` prompts in one pass."""
        if new_tokens <= 0:
            return 0.0
        parts = self._parts(streams * new_tokens, context, streams)
        seen = self.shape.mean_attended(context, new_tokens)
        each = 4 * self.shape.num_layers * self.shape.q_size * seen
        attention = streams * new_tokens * each / (self._rate16 * _ATTENTION_RATE)
        return sum(parts.values()) + attention

    def decode_seconds(self, context: int) -> float:
        return self.verify_seconds(1, context)

    def verify_seconds(self, tokens: int, context: int) -> float:
        return sum(self._parts(max(1, tokens), context, 1).values())

    def draft_seconds(self, context: int) -> float:
        """One drafted token, by a layer more of the model."""
        return self.decode_seconds(context) / self.shape.num_layers

    def breakdown(self, context: int) -> Mapping[str, float]:
        """Seconds of a decode step by cause; they add up to ``decode_seconds``."""
        return self._parts(1, context, 1)

    def batch_breakdown(self, streams: int, context: int) -> Mapping[str, float]:
        """As ``breakdown`` for a step of ``streams`` at once, each at ``context``."""
        return self._parts(streams, context, streams)

    @property
    def _rate16(self) -> float:
        return self.placement.devices * self.chip.peak_flops * self.chip.compute_efficiency

    def _parts(self, tokens: int, context: int, streams: int) -> Mapping[str, float]:
        weights, compute = self._weight_seconds(tokens), self._compute_seconds(tokens)
        loss = self.chip.overlap_loss
        memory_share, compute_share = (1.0, loss) if weights >= compute else (loss, 1.0)
        return {
            "weights": weights * memory_share,
            "kv": self._kv_seconds(context) * streams,
            "compute": compute * compute_share,
            "launches": self.shape.num_layers * self._kernels * self.chip.kernel_seconds,
            "all_reduce": self._all_reduce_seconds(tokens),
        }

    @property
    def _kernels(self) -> float:
        """Of a layer, on average."""
        latent = LATENT_KERNELS if self.shape.kv_tensors == 1 else 0
        return DENSE_KERNELS + EXPERT_KERNELS * self.shape.moe_fraction + latent

    def _weight_seconds(self, tokens: int) -> float:
        chip, shape = self.chip, self.shape
        efficiency = chip.bandwidth_efficiency
        if shape.widened:
            efficiency *= chip.quantised_efficiency
        if shape.num_experts:
            efficiency *= chip.expert_efficiency
        total = shape.bytes_read(shape.distinct_experts(tokens))
        return total / (self.placement.devices * chip.memory_bandwidth * efficiency)

    def _kv_seconds(self, context: int) -> float:
        shape = self.shape
        again = self.chip.reread_share * (shape.q_size / shape.kv_size - 1)
        rate = self.placement.devices * self.chip.memory_bandwidth
        return shape.kv_bytes(context) * (1 + again) / rate

    def _compute_seconds(self, tokens: int) -> float:
        chip = self.chip
        rate = self._rate16
        if self.shape.activation_bits == 8:
            rate = self.placement.devices * chip.peak_flops_8bit * chip.compute_efficiency_8bit
        return tokens * 2 * self.shape.active_parameters / rate

    def _all_reduce_seconds(self, tokens: int) -> float:
        devices = self.placement.devices
        if devices == 1:
            return 0.0
        chip, shape = self.chip, self.shape
        moved = 2 * (devices - 1) / devices * tokens * shape.hidden_size * _ACTIVATION_BYTES
        latency = chip.all_reduce_latency + chip.kernel_seconds
        if self.placement.nodes > 1:
            latency += chip.node_latency
        each = latency + moved / (chip.link_bandwidth * chip.link_efficiency)
        return 2 * shape.num_layers * each


def gpu_cost(chip: GpuChip, shape: ModelShape, *, context: int, users: int) -> GpuCost:
    """The cost model of ``shape`` on the smallest group of ``chip`` that holds it."""
    return GpuCost(chip, shape, place_gpu(chip, shape, context=context, users=users))
