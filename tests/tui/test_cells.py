from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sparkcode.tui.cells import Wrapper, clip, fit, visible, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\tb", "a   b"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f\x9b\u202e\ud800", "␡���"),
        ("日本", "日本"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_visible_steers_a_terminal(text: str) -> None:
    for char in visible(text):
        assert ord(char) >= 0x20
        assert not 0x7F <= ord(char) < 0xA0


def test_fit_and_clip() -> None:
    assert fit("ab", 4) == "ab  "
    assert fit("abcdef", 4) == "abc…"
    assert fit("日本語", 4) == "日 …"
    assert fit("ab", 0) == ""
    assert clip("ab", 4) == "ab"
    assert clip("abcdef", 4) == "abc…"


def test_wrap() -> None:
    assert wrap("one two three\nfour", 7) == ["one two", "three", "four"]
    assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrap("    indented word", 8) == ["    inde", "nted", "word"]
    assert wrap("a\n\nb\n", 9) == ["a", "", "b"]
    assert wrap("日本語", 4) == ["日本", "語"]
    assert wrap("", 4) == []


@given(st.text(alphabet="ab \n日\t"), st.lists(st.integers(0, 40)), st.integers(1, 12))
def test_wrapping_does_not_depend_on_the_pieces(text: str, cuts: list[int], width: int) -> None:
    wrapper = Wrapper(width)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for first, last in pairwise(places):
        wrapper.feed(text[first:last])
    assert wrapper.rows == wrap(text, width)


@given(st.text(alphabet="ab \n日"), st.integers(2, 12))
def test_rows_fit_and_keep_every_letter(text: str, width: int) -> None:
    rows = wrap(text, width)
    assert all(cell_len(row.rstrip(" ")) <= width for row in rows)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "").replace("\n", "")
