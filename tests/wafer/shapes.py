"""Chips and models that the tests vary: published shapes that need no data file, and strategies."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st

from sparkcode.wafer.chip import GpuChip, WaferChip, load_chip
from sparkcode.wafer.shape import ModelShape

FEW: Final = settings(max_examples=40, deadline=None, derandomize=True)
"""For properties whose every example searches for a placement."""


def wafer(name: str = "wse3") -> WaferChip:
    chip = load_chip(name)
    assert isinstance(chip, WaferChip)
    return chip


def gpu(name: str = "h100") -> GpuChip:
    chip = load_chip(name)
    assert isinstance(chip, GpuChip)
    return chip


def dense(name: str, sizes: tuple[int, int, int, int, int], **more: Any) -> ModelShape:
    """``sizes``: layers, hidden, q, kv, intermediate."""
    layers, hidden, q_size, kv_size, intermediate = sizes
    return ModelShape(
        name=name,
        num_layers=layers,
        hidden_size=hidden,
        q_size=q_size,
        kv_size=kv_size,
        intermediate_size=intermediate,
        **{"vocab_size": 128_000, "context_length": 131_072, **more},
    )


@st.composite
def shapes(draw: st.DrawFn) -> ModelShape:
    """Models of up to a few billion parameters: dense or with experts, with windows or without."""
    layers = draw(st.integers(1, 48))
    hidden = draw(st.integers(64, 4096))
    windowed = draw(st.integers(0, layers))
    experts = draw(st.integers(2, 32)) if draw(st.booleans()) else 0
    moe: dict[str, Any] = (
        {}
        if not experts
        else {
            "num_experts": experts,
            "experts_per_token": draw(st.integers(1, experts)),
            "expert_intermediate_size": draw(st.integers(64, 2048)),
            "shared_intermediate_size": draw(st.integers(0, 4096)),
            "moe_fraction": draw(st.floats(0.1, 1.0)),
        }
    )
    return dense(
        "drawn",
        (layers, hidden, hidden, draw(st.integers(32, hidden)), draw(st.integers(64, 16_384))),
        window=draw(st.integers(1, 4096)) if windowed else 0,
        window_layers=windowed,
        weight_bytes_per_parameter=draw(st.sampled_from([0.55, 1.0, 2.0])),
        **moe,
    )
