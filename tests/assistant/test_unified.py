"""Unified diffs are those of ``diff -u``, at any size."""

import difflib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant import unified
from sparkcode.assistant.unified import equal_blocks, unified_diff

texts = st.lists(st.sampled_from("abcdefg\u2028\x0c\r"), max_size=30).map("\n".join)


def applied(before: str, diff: str, folder: Path) -> str:
    (folder / "f").write_bytes(before.encode())
    command = ["git", "apply", "--whitespace=nowarn", "--unidiff-zero", "-"]
    subprocess.run(command, input=diff.encode(), cwd=folder, check=True, capture_output=True)
    return (folder / "f").read_bytes().decode()


@given(texts, texts)
def test_a_diff_says_what_both_texts_are(before: str, after: str) -> None:
    diff = unified_diff("f", before.encode(), after.encode())
    lines = [line for line in diff.split("\n")[2:-1] if not line.startswith(("@@", "\\"))]
    for sign, text in (("-", before), ("+", after)):
        rest = iter(text.split("\n"))
        shown = [line[1:] for line in lines if line[0] in (" ", sign)]
        assert all(any(line == other for other in rest) for line in shown)
    assert (before == after) == (not diff)


@given(texts, texts)
def test_blocks_are_equal_in_order_and_cover_most(before: str, after: str) -> None:
    old, new = before.split("\n"), after.split("\n")
    blocks = equal_blocks(old, new)
    a = b = 0
    for start, other, size in blocks:
        assert a <= start
        assert b <= other
        assert old[start : start + size] == new[other : other + size]
        a, b = start + size, other + size
    assert sum(size for _, _, size in blocks) <= min(len(old), len(new))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nb\n"),
        ("", "a\n"),
        ("a\n" * 30 + "b\n" + "a\n" * 30, "a\n" * 31 + "c\n" + "a\n" * 29),
        ("".join(f"{n}\n" for n in range(60)), "".join(f"{n}\n" for n in range(60) if n % 13)),
        ("x\r\ny\r\n", "x\r\nz\n"),
        ("one\ntwo\nthree\n", "three\ntwo\none\n"),
    ],
)
def test_git_applies_it(before: str, after: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    diff = unified_diff("f", before.encode(), after.encode())
    assert applied(before, diff, tmp_path) == after


@given(st.lists(st.integers(0, 40), max_size=40), st.sets(st.integers(0, 39), max_size=4))
def test_with_few_changes_it_is_the_shortest(numbers: list[int], changed: set[int]) -> None:
    old = [f"{n}\n" for n in numbers]
    new = [f"new {line}" if at in changed else line for at, line in enumerate(old)]
    ours = unified_diff("f", "".join(old).encode(), "".join(new).encode()).splitlines()
    theirs = list(difflib.unified_diff(old, new, "a/f", "b/f"))
    assert len(ours) <= len(theirs) + 2


def test_what_has_no_anchor_is_not_compared_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unified, "MAX_CELLS", 100)
    old, new = ["a", "b"] * 20, ["b", "a"] * 30
    assert equal_blocks(["x", *old, "y"], ["x", *new, "y"]) == [(0, 0, 1), (41, 61, 1)]
    # Lines that are unique on both sides part it into what is small enough.
    parted = equal_blocks([*old[:4], "one", *old[:4]], [*new[:4], "one", *new[:4]])
    assert (4, 4, 1) in parted
    assert sum(size for _, _, size in parted) >= 7
