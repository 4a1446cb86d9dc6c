from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.network import HTTP
from sparkcode.wafer.shape import load_shape
from sparkcode.wafer.simulate import Turn, by_events, simulate
from sparkcode.wafer.tandem import Pipeline, between_rounds
from tests.wafer.shapes import wafer


def closed_form(pipeline: Pipeline, streams: int) -> float:
    return max(pipeline.round, streams * pipeline.tokens * pipeline.occupancy)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b", "glm-4.6"])
@pytest.mark.parametrize("streams", [1, 2, 8, 16, 17, 32, 64])
def test_the_closed_form_agrees_with_the_events(model: str, streams: int) -> None:
    chip, shape = wafer(), load_shape(model)
    stated = simulate(chip, shape, Turn(1500, 100), users=streams)
    assert by_events(chip, shape, stated) == pytest.approx(stated.tpot, rel=0.02)


def test_the_network_is_added_to_both() -> None:
    chip, shape = wafer(), load_shape("llama-3.1-8b")
    stated = simulate(chip, shape, Turn(1500, 100), transport=HTTP)
    assert by_events(chip, shape, stated) == pytest.approx(stated.tpot, rel=0.02)


@pytest.mark.parametrize("users", [257, 10**6])
def test_too_many_to_follow(users: int) -> None:
    chip, shape = wafer(), load_shape("llama-3.1-8b")
    stated = simulate(chip, shape, Turn(1500, 100), users=users)
    with pytest.raises(UsageError, match=f"events of {users} users are too many; use at most 256"):
        by_events(chip, shape, stated)


@settings(max_examples=50, deadline=None)
@given(
    layers=st.integers(1, 60),
    ratio=st.floats(1.0, 20.0),
    outside=st.floats(0.0, 5.0),
    tokens=st.integers(1, 5),
    streams=st.integers(1, 64),
)
def test_any_pipeline(layers: int, ratio: float, outside: float, tokens: int, streams: int) -> None:
    pipeline = Pipeline(layers, 1.0, ratio, outside, tokens)
    found = between_rounds(pipeline, streams, rounds=10)
    assert found == pytest.approx(closed_form(pipeline, streams), rel=0.02)


def test_a_stream_alone_waits_for_nobody() -> None:
    assert between_rounds(Pipeline(10, 2.0, 5.0, 1.0), 1) == pytest.approx(21.0)
    assert between_rounds(Pipeline(10, 2.0, 5.0, 1.0, 3), 1) == pytest.approx(31.0)
