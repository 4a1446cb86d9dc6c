"""``bench wire`` for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ROWS = (
    ("roundtrip_overhead", "round trip, ms", 1e3),
    ("per_token_overhead", "per token, µs", 1e6),
    ("ttft", "to first token, ms", 1e3),
    ("sent_bytes", "sent, kB", 1e-3),
    ("received_bytes", "received, kB", 1e-3),
)


def table(facts: dict[str, Any]) -> Iterator[str]:
    """A line for each figure: HTTP, WebSocket, and how much less that is."""
    turns, rounds = facts["turns"], facts["rounds"]
    yield f"{turns} turns a conversation, median of {rounds} rounds"
    yield f"{'':<20}{'HTTP':>10}{'WebSocket':>12}{'less':>8}"
    for name, label, scale in _ROWS:
        before, after = facts["http"][name] * scale, facts["websocket"][name] * scale
        less = f"{100 * facts['reduction'][name]:.0f} %"
        yield f"{label:<20}{before:>10.2f}{after:>12.2f}{less:>8}"
    if engine := facts.get("engine"):
        before, after = engine["http"]["ttft"] * 1e3, engine["websocket"]["ttft"] * 1e3
        less = f"{100 * engine['reduction']['ttft']:.0f} %"
        yield f"to first token of {engine['model']}, ms: {before:.0f}, {after:.0f}, {less}"
