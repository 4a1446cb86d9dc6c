from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.edit import EditStream, Plan
from sparkcode.assistant.staged import as_patch, together
from sparkcode.assistant.workspace import Buffer

LINES = st.lists(st.sampled_from(["a", "b", "", "\tc"]), max_size=6).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def test_later_patches_start_where_earlier_ones_end() -> None:
    one = Plan({"a": b"1\n", "new": None}, {"a": b"2\n", "new": b"n\n"})
    two = Plan({"a": b"2\n", "b": b"x\n"}, {"a": b"3\n", "b": None})
    both = together(one, two)
    assert both.pairs == {"a": (b"1\n", b"3\n"), "new": (None, b"n\n"), "b": (b"x\n", None)}
    assert together(None, two) == two


def test_what_was_added_and_taken_away_was_never_there() -> None:
    one = Plan({"new": None, "a": b"1\n"}, {"new": b"n\n", "a": b"2\n"})
    two = Plan({"new": b"n\n"}, {"new": None})
    assert together(one, two).pairs == {"a": (b"1\n", b"2\n")}


def again(before: Contents, patch: str) -> Contents:
    """What ``patch`` makes of ``before``."""

    def opener(path: str) -> tuple[str, Buffer | None]:
        raw = before[path]
        return path, None if raw is None else Buffer(path, raw.decode(), "", 1, raw)

    stream = EditStream(opener)
    stream.feed(patch)
    stream.close()
    assert stream.error == ""
    return stream.plan().after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"1\n2\n", b"1\n3\n"),
        (b"1\r\n2", b"1\r\n3"),
        (b"1\n2\n", b"1\n2"),
        (b"1", b""),
        (b"", b"1\n"),
        (None, b"1\n\n2\n"),
        (b"1\n", None),
        ("\ufeffé\n".encode(), "\ufeffè\n".encode()),
    ],
)
def test_a_patch_for_every_change(before: bytes | None, after: bytes | None) -> None:
    assert again({"x": before}, as_patch({"x": before}, {"x": after})) == {"x": after}


def test_no_change_is_no_patch() -> None:
    assert as_patch({"x": b"1\n", "y": None}, {"x": b"1\n", "y": None}) == ""


def test_what_goes_stands_before_what_comes() -> None:
    patch = as_patch({"x": b"a\n1\n2\nb\n3"}, {"x": b"a\n4\n5\nb\n6"})
    assert patch == (
        "*** Begin Patch\n*** Update File: x\n@@\n a\n-1\n-2\n+4\n+5\n b\n-3\n+6\n"
        "\\ No newline at end of file\n*** End Patch\n"
    )


@given(LINES, LINES, LINES)
def test_the_patch_of_several_files_makes_them(old: str, new: str, other: str) -> None:
    before: Contents = {"a": old.encode(), "b": None, "c": b"gone\n", "d": other.encode()}
    after: Contents = {"a": new.encode(), "b": b"+\n", "c": None, "d": old.encode()}
    changed = {path: data for path, data in after.items() if before[path] != data}
    assert again(before, as_patch(before, after)) == changed
