"""The blank lines at a region's edges are its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.margins import Margins


def passed(text: str, original: str, instruction: str = "Change it", size: int = 3) -> str:
    margins = Margins(original, instruction)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return "".join(map(margins.feed, pieces)) + margins.finish()


@pytest.mark.parametrize(
    ("original", "text", "expected"),
    [
        ("a\nb", "a\nB", "a\nB"),
        ("a\nb\n\n", "a\nB", "a\nB\n\n"),
        ("\n\na\nb", "a\nB", "\n\na\nB"),
        ("a\nb", "\n\na\nB\n\n", "a\nB"),
        ("\n  \n  a\n \n", "  a\n\n  c", "\n  \n  a\n\n  c\n \n"),
        ("a\n\nb", "a\nb", "a\nb"),
        ("a\n", "", ""),
        ("a\n\n", "\n\n", ""),
        ("", "\nx\n", "\nx\n"),
        ("\n\n", "x\n", "x\n"),
        ("  a", "    a  ", "    a  "),
    ],
)
def test_edges_come_back(original: str, text: str, expected: str) -> None:
    assert passed(text, original) == expected


@pytest.mark.parametrize("instruction", ["Add a blank line below", "Format it as PEP 8 says"])
def test_an_instruction_about_them_is_followed(instruction: str) -> None:
    assert passed("\na\n\n", "a", instruction) == "\na\n\n"


@given(st.text(alphabet="a \n\t"), st.text(alphabet="a \n\t"), st.integers(1, 5))
def test_any_chunking_gives_the_same_text(original: str, text: str, size: int) -> None:
    assert passed(text, original, size=size) == passed(text, original, size=max(1, len(text)))
    assert passed(original, original, size=size) == original


@given(st.text(alphabet="ab \n"), st.text(alphabet="ab \n"))
def test_a_line_is_held_no_longer_than_it_is_blank(original: str, text: str) -> None:
    margins = Margins(original, "Change it")
    said = margins.feed(text)
    if text.strip():
        assert said.count("a") + said.count("b") == text.count("a") + text.count("b")
