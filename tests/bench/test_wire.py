"""The measurement of the wire, on a short conversation with a real server."""

from __future__ import annotations

import json

import pytest

from sparkcode.bench import wire
from sparkcode.bench.wire import Figures, report
from sparkcode.bench.wire_report import table
from sparkcode.cli.bench import bench
from tests.cli.scripted import invoke

SLOW = Figures(0.010, 0.00002, 0.008, 1000, 500)
QUICK = Figures(0.002, 0.00001, 0.004, 100, 400)


def test_the_report_has_medians_and_what_is_saved() -> None:
    facts = report([SLOW, SLOW, Figures(1, 1, 1, 1, 1)], [QUICK, QUICK, QUICK])
    assert facts["http"]["roundtrip_overhead"] == 0.010
    assert facts["websocket"]["ttft"] == 0.004
    assert facts["reduction"]["roundtrip_overhead"] == pytest.approx(0.8)
    assert facts["reduction"]["per_token_overhead"] == pytest.approx(0.5)
    rows = list(table(facts))
    assert rows[2] == "round trip, ms           10.00        2.00    80 %"
    assert len(rows) == 7


@pytest.mark.weights
def test_the_embedded_engine_is_timed_where_a_model_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "TURNS", 1)
    monkeypatch.setattr(wire, "LONG_EVERY", 9)
    monkeypatch.setattr(wire, "_conversation", lambda *_: _made(SLOW))
    monkeypatch.setattr(wire, "ENGINE_TURNS", 1)
    monkeypatch.setattr(wire, "TURN_CHARACTERS", 100)
    status, stdout, _ = invoke(bench, ["wire", "--rounds", "1", "--model", "qwen2.5-coder-0.5b"])
    assert status == 0
    assert "to first token of qwen2.5-coder-0.5b, ms: " in stdout


async def _made(figures: Figures) -> Figures:
    return figures


def test_both_ways_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "TURNS", 4)
    monkeypatch.setattr(wire, "LONG_EVERY", 2)
    status, stdout, _ = invoke(bench, ["wire", "--rounds", "1", "--json"])
    facts = json.loads(stdout)
    assert (status, facts["turns"], facts["rounds"]) == (0, 4, 1)
    for way in ("http", "websocket"):
        assert facts[way]["roundtrip_overhead"] > 0
        assert facts[way]["ttft"] > 0
        assert facts[way]["per_token_overhead"] >= 0
    # The history is sent again over HTTP, and only there.
    assert facts["http"]["sent_bytes"] > 2 * facts["websocket"]["sent_bytes"]
    status, stdout, _ = invoke(bench, ["wire", "--rounds", "1"])
    assert "round trip, ms" in stdout
