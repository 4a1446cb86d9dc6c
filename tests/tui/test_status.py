from __future__ import annotations

from dataclasses import replace

import pytest

from sparkcode.assistant.flight import Link
from sparkcode.assistant.meter import StreamStats
from sparkcode.link.transport import Peer
from sparkcode.tui.status import (
    Parts,
    cells,
    latency_band,
    milliseconds,
    rate,
    sim_line,
    tab_line,
    wall_line,
)

FULL = StreamStats(
    ttft=0.085,
    ttfp=0.45,
    itl_p50=0.001,
    itl_p95=0.1234,
    tokens=300,
    tokens_per_second=900,
    live_tokens_per_second=998.4,
    sim_ttft=0.041,
    sim_tokens_per_second=1043.2,
    backlog=12,
    display_efficiency=0.987,
)
PEER = Peer("websocket", "u", "spark", "qwen2.5-coder-1.5b", "wse3/gpt-oss-120b")


def text(parts: Parts) -> str:
    return "".join(part for part, _ in parts)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "    -  "),
        (0.0004, "  0.4ms"),
        (0.0851, "   85ms"),
        (0.9994, "  999ms"),
        (1.2344, "   1.2s"),
        (75.31, "  75.3s"),
        (754.0, "   754s"),
        (1e9, "  9999s"),
    ],
)
def test_milliseconds(seconds: float | None, shown: str) -> None:
    assert milliseconds(seconds) == shown


def test_rate() -> None:
    assert [rate(value) for value in (None, 4.25, 998.4)] == ["    -", "  4.2", "  998"]


def test_bands() -> None:
    found = [latency_band(value) for value in (None, 0.1, 0.4, 0.41)]
    assert found == ["muted", "good", "fair", "bad"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_wall_line_fits_and_does_not_shiver(width: int) -> None:
    empty, full = wall_line(StreamStats(), width), wall_line(FULL, width)
    assert cells(empty) == cells(full) <= width
    assert text(full).startswith("wall ")
    assert "998 tok/s" in text(full)
    assert " 99%" in text(full)
    assert "- tok/s" in text(empty)
    slow = wall_line(StreamStats(display_efficiency=0.5, backlog=500), width)
    assert ("500", "fair") in [(part.strip(), style) for part, style in slow]
    assert (" 50%", "bad") in slow


@pytest.mark.parametrize("width", [80, 121, 122])
def test_tokens_a_pass_are_shown_where_they_fit(width: int) -> None:
    line = wall_line(replace(FULL, engine_ttft=0.2, accepted_per_step=3.21), width)
    assert cells(line) <= width
    assert text(line).endswith("  3.2/pass") == (width >= 122)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_sim_line_fits(width: int) -> None:
    for link in (Link("connecting"), Link("ready", PEER), Link("reconnecting", PEER, 3)):
        line = sim_line(FULL, link, width)
        assert text(line).startswith("sim ")
        assert link.state in text(line)
        if width >= 80:
            assert cells(line) == width
    assert "● ready ws spark qwen2.5-coder-1.5b" in text(sim_line(FULL, Link("ready", PEER), 120))
    assert "wse3/gpt-oss-120b" in text(sim_line(FULL, Link("ready", PEER), 120))
    assert " x4" in text(sim_line(FULL, Link("ready", PEER, 3), 120))


def test_a_hostile_name_is_text() -> None:
    peer = Peer("sse", "u", "\x1b[31m", "m", "\x07")
    assert not set(text(sim_line(FULL, Link("ready", peer), 120))) & {"\x1b", "\x07"}


def test_tabs() -> None:
    assert tab_line([], 0, [], 80) == []
    assert text(tab_line(["a.py", "b.py"], 1, ["+1 -2", ""], 80)) == " a.py +1 -2 ▌b.py "
    many = [f"file_{at:02}.py" for at in range(30)]
    for index in range(30):
        line = tab_line(many, index, [""] * 30, 80)
        assert f"▌{many[index]}" in text(line)
        assert cells(line) <= 80
    assert text(tab_line(many, 29, [""] * 30, 80)).startswith("‹ ")
    assert text(tab_line(many, 0, [""] * 30, 80)).endswith("›")


def test_the_sim_line_says_when_the_computation_was_late() -> None:
    late = text(sim_line(replace(FULL, sim_lag=1.25), Link("ready", PEER), 100))
    assert "late 1.2s" in late
    assert "late" not in text(sim_line(replace(FULL, sim_lag=0.001), Link("ready", PEER), 100))
    assert "late" not in text(sim_line(FULL, Link("ready", PEER), 100))
