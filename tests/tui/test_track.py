from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.tui.track import Track, paced
from sparkcode.wafer.timeline import Timeline


def track(times: list[float], pieces: list[str]) -> Track:
    return Track(Timeline("any", times), pieces)


def test_as_many_pieces_as_are_seen() -> None:
    found = track([1.0, 2.0, 2.0, 3.0], ["a", "b", "c", "d", "e"])
    assert [found.text(now) for now in (0.9, 1.0, 2.5, 3.0, 9.0)] == [
        "",
        "a",
        "abc",
        "abcd",
        "abcd",
    ]
    assert not found.done(2.9)
    assert found.done(3.0)


def test_a_short_text_is_repeated() -> None:
    assert track([0.0] * 5, ["x", "y"]).text(0) == "xyxyx"
    assert track([0.0] * 5, []).text(0) == ""


@given(st.text(max_size=200), st.integers(1, 30), st.integers(1, 8))
def test_the_tail_fits_and_ends_with_the_newest(text: str, width: int, height: int) -> None:
    found = track([0.0] * max(1, len(text)), list(text))
    rows = found.tail(1.0, width, height)
    assert len(rows) <= height
    assert "\x1b" not in "".join(rows)


def test_the_pace_so_far() -> None:
    found = track([1.0, 1.5, 2.0], ["a"])
    assert paced(found, 0.5) is None
    assert paced(found, 1.2) is None
    assert paced(found, 2.0) == 2.0
    assert paced(found, 100.0) == 2.0
