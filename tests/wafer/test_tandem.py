from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.wafer.chip import load_chip
from sparkcode.wafer.cost import WaferCost, make_cost
from sparkcode.wafer.shape import load_shape
from sparkcode.wafer.simulate import Turn, pipeline_of, simulate
from sparkcode.wafer.tandem import Pipeline, between_tokens


def closed_form(pipeline: Pipeline, streams: int) -> float:
    return max(pipeline.step, streams * pipeline.occupancy)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b"])
@pytest.mark.parametrize("streams", [1, 2, 8, 16, 17, 32, 64])
def test_the_closed_form_agrees_with_the_events(model: str, streams: int) -> None:
    chip, shape = load_chip("wse3"), replace(load_shape(model), draft="none")
    cost = make_cost(chip, shape, context=1600, users=streams)
    assert isinstance(cost, WaferCost)
    found = between_tokens(pipeline_of(cost, 1550), streams, tokens=20)
    stated = simulate(chip, shape, Turn(1500, 100), users=streams)
    assert found == pytest.approx(stated.tpot, rel=0.02)


@settings(max_examples=50, deadline=None)
@given(
    layers=st.integers(1, 60),
    ratio=st.floats(1.0, 20.0),
    outside=st.floats(0.0, 5.0),
    streams=st.integers(1, 64),
)
def test_any_pipeline(layers: int, ratio: float, outside: float, streams: int) -> None:
    pipeline = Pipeline(layers, latency=1.0, occupancy=ratio, outside=outside)
    found = between_tokens(pipeline, streams, tokens=10)
    assert found == pytest.approx(closed_form(pipeline, streams), rel=0.02)


def test_a_stream_alone_waits_for_nobody() -> None:
    assert between_tokens(Pipeline(10, 2.0, 5.0, 1.0), 1) == pytest.approx(21.0)
