"""The small pure parts: gate, history, gap, keys."""

from __future__ import annotations

import pytest

from sparkcode.assistant.preview import DiffRow
from sparkcode.tui.gap import Gap
from sparkcode.tui.gate import Gate
from sparkcode.tui.history import History
from sparkcode.tui.keys import KEYS, bindings, help_rows, key_line


def test_the_gate_arms_after_300_ms_in_one_state() -> None:
    gate = Gate()
    gate.see("pending", 10.0)
    assert not gate.armed(10.29)
    gate.see("pending", 10.25)
    assert gate.armed(10.3)
    offered = [gate.offered]
    gate.typed()
    offered.append(gate.offered)
    gate.see("accepted", 11.0)
    assert [*offered, gate.offered] == [True, False, True]
    assert not gate.armed(11.1)


def test_two_control_c_within_two_seconds() -> None:
    gate = Gate()
    assert not gate.clear(5.0)
    assert gate.leaving(6.9)
    assert gate.clear(7.0)
    assert not gate.clear(10.0)


def test_history_keeps_the_draft() -> None:
    history = History()
    assert history.earlier("draft") is None
    assert history.later() is None
    for text in ("one", "two", "two", "  "):
        history.push(text)
    assert history.earlier("draft") == "two"
    assert history.earlier("two") == "one"
    assert history.earlier("one") is None
    assert history.later() == "two"
    assert history.later() == "draft"
    assert history.later() is None


def grown(count: int, below: int = 5) -> list[DiffRow]:
    head = [DiffRow(" ", "head", 1, 1)]
    added = [DiffRow("+", str(at), None, at + 2) for at in range(count)]
    return head + added + [DiffRow(" ", "tail", at + 2, at) for at in range(below)]


def test_rows_below_a_long_run_move_seldom() -> None:
    gap = Gap()
    places = []
    for count in range(1, 60):
        rows = grown(count)
        gap.follow(rows, count, page=30)
        places.append(count + 1 + gap.size)
        shown = [gap.row(y) for y in range(len(rows) + gap.size)]
        assert [at for at in shown if at is not None] == list(range(len(rows)))
    assert places == sorted(places)
    assert len(set(places)) < 12


def test_the_gap_closes_when_the_run_ends() -> None:
    gap = Gap()
    for count in range(1, 12):
        gap.follow(grown(count), count, page=30)
    assert gap.size
    gap.follow(grown(11), 12, page=30)
    assert gap.size == 0
    gap.follow(grown(11), 11, page=30)
    gap.close()
    assert gap.row(14) == 14


def test_a_chunk_that_moves_closes_the_gap() -> None:
    gap = Gap()
    for count in range(1, 8):
        gap.follow(grown(count), count, page=30)
    gap.follow(grown(2, below=9), 2, page=30)
    assert gap.size == 0


def test_keys_are_unique_and_bound_once() -> None:
    assert len({key.id for key in KEYS}) == len(KEYS)
    keys = [name for key in KEYS if key.bound for name in key.keys.split(",")]
    assert len(keys) == len(set(keys))
    assert {binding.id for binding in bindings()} == {key.id for key in KEYS if key.bound}


def test_flow_control_and_multiplexer_keys_are_free() -> None:
    keys = {name for key in KEYS for name in key.keys.split(",")}
    assert not keys & {"ctrl+s", "ctrl+b", "ctrl+a", "ctrl+i", "ctrl+m"}


def test_help_has_every_key() -> None:
    assert sum(len(rows) for _, rows in help_rows()) == len(KEYS)


@pytest.mark.parametrize(("width", "count"), [(200, 3), (24, 2), (5, 0)])
def test_the_key_line_fits(width: int, count: int) -> None:
    line = key_line(["interrupt", "accept", "reject"], width)
    assert line == [("Esc", "stop"), ("y", "accept"), ("n", "reject")][:count]
