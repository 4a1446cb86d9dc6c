from __future__ import annotations

import asyncio

from rich.control import Control
from rich.segment import Segment

from sparkcode.replay.canvas import Canvas


def at(x: int, y: int, text: str) -> list[Segment]:
    return [Control.move_to(x, y).segment, Segment(text)]


def test_starts_blank() -> None:
    assert Canvas(4, 2).text == "\n"


def test_paints_where_the_control_says() -> None:
    canvas = Canvas(10, 3)
    canvas.paint([*at(2, 1, "ab"), Segment("c"), Segment.line(), *at(0, 2, "z")])
    assert canvas.text.split("\n") == ["", "  abc", "z"]


def test_a_later_piece_replaces_only_its_cells() -> None:
    canvas = Canvas(6, 1)
    canvas.paint(at(0, 0, "abcdef"))
    canvas.paint(at(2, 0, "XY"))
    assert canvas.text == "abXYef"


def test_a_wide_character_takes_two_cells() -> None:
    canvas = Canvas(6, 1)
    canvas.paint(at(0, 0, "日b"))
    canvas.paint(at(3, 0, "c"))
    assert canvas.text == "日bc"


def test_a_combining_mark_joins_the_character_before_it() -> None:
    canvas = Canvas(4, 1)
    canvas.paint(at(0, 0, "e\u0301x"))
    assert canvas.text == "e\u0301x"


def test_a_combining_mark_without_a_character_is_dropped() -> None:
    canvas = Canvas(4, 1)
    canvas.paint(at(0, 0, "\u0301x"))
    assert canvas.text == "x"


def test_what_lies_outside_is_left_off() -> None:
    canvas = Canvas(3, 1)
    canvas.paint([*at(2, 0, "abc"), *at(0, 5, "no"), *at(0, 0, "日")])
    assert canvas.text == "日a"


def test_other_controls_move_nothing() -> None:
    canvas = Canvas(3, 1)
    canvas.paint([Control.bell().segment, Segment("a")])
    assert canvas.text == "a"


def test_a_new_size_starts_over() -> None:
    canvas = Canvas(3, 1)
    canvas.paint(at(0, 0, "abc"))
    canvas.resize(3, 1)
    assert canvas.text == "abc"
    canvas.resize(5, 2)
    assert canvas.text == "\n"


async def test_next_paint_waits_for_one() -> None:
    canvas = Canvas(3, 1)
    canvas.paint(at(0, 0, "a"))
    waiting = asyncio.create_task(canvas.next_paint())
    await asyncio.sleep(0)
    assert not waiting.done()
    canvas.paint(at(0, 0, "b"))
    await waiting
