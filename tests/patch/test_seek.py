from __future__ import annotations

import pytest

from sparkcode.patch.seek import Haystack


def test_four_passes_of_falling_strictness() -> None:
    lines = ["  “x” – y\u00a0z  ", "\tend ", "a", "a ", " a "]
    assert Haystack(lines).seek(["a"], 0) == 2
    assert Haystack(lines).seek(["a"], 3) == 3
    assert Haystack(lines).seek(["a"], 4) == 4
    assert Haystack(lines).seek(['"x" - y z', "end"], 0) == 0
    assert Haystack(lines).seek(['"x" - y z', "fin"], 0) is None


def test_an_exact_match_far_below_wins_over_a_forgiving_one() -> None:
    assert Haystack([" a", "b", "a", "c", "a", "b"]).seek(["a", "b"], 0) == 4


@pytest.mark.parametrize(
    ("character", "ascii_form"), [("\u2212", "-"), ("\u201a", "'"), ("\u2009", " ")]
)
def test_the_last_pass_maps_to_ascii(character: str, ascii_form: str) -> None:
    assert Haystack([f"x{character}y"]).seek([f"x{ascii_form}y"], 0) == 0


def test_information_separators_are_not_white_space() -> None:
    assert Haystack(["a\x1c"]).seek(["a"], 0) is None
    assert Haystack(["a\x85"]).seek(["a"], 0) == 0


def test_end_of_file_tries_the_last_place_only() -> None:
    haystack = Haystack(["a", "b", "a", "b"])
    assert haystack.seek(["a"], 0, end_of_file=True) is None
    assert haystack.seek(["a", "b"], 0, end_of_file=True) == 2
    assert haystack.seek(["a", "b"], 3, end_of_file=True) is None


def test_nothing_is_found_at_once_and_too_much_never() -> None:
    assert Haystack(["a"]).seek([], 1) == 1
    assert Haystack(["a"]).seek(["a", "a"], 0) is None
    assert Haystack([]).seek(["a"], 0) is None
