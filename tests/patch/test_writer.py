from __future__ import annotations

from itertools import pairwise, takewhile
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.apply import apply_update
from sparkcode.patch.parser import parse
from sparkcode.patch.seek import Haystack
from sparkcode.patch.writer import JUDGED, Endings, PatchWriter, context_length, write

ALPHABET = [
    "\n", "\n", "\n", "\r\n", "\r", "\t", "a", "b", " ", "}", "\u2028", "\x85", "\x0b", "foo(bar)",
    "+", "-", "\\", "@@", "*** End Patch", "\n\n", "x = 1\n", "x = 2\n", "    return x\n", "“q”",
]  # fmt: skip
texts = st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join)
rewrites = st.lists(st.sampled_from([each for each in ALPHABET if "\r" not in each]), max_size=30)


def patched(original: str, patch: str) -> str:
    if not patch:
        return original
    return apply_update(original, parse(patch).files[0].chunks, "f", final_newline="keep")


def stream(
    original: str, region: tuple[int, int], pieces: list[str], endings: Endings = "follow"
) -> str:
    writer = PatchWriter("f", original, region, endings=endings)
    text = "".join([writer.feed(piece) for piece in pieces])
    text += writer.close()
    assert writer.changed == bool(text)
    return text


@settings(max_examples=300, deadline=None)
@given(texts, texts)
@example("a\nb\n", "a\nb")
@example("a", "a\nb")
@example("x\r\r\n", "x\r\r\r\n")
@example("x\r", "y\r")
def test_a_written_patch_turns_one_text_into_the_other(before: str, after: str) -> None:
    patch = write("f", before, after)
    assert (patch == "") == (before == after)
    assert patched(before, patch) == after


@st.composite
def regions(draw: st.DrawFn) -> tuple[str, tuple[int, int], list[str], list[str]]:
    original = draw(texts)
    count = original.count("\n") + (not original.endswith("\n") and original != "")
    first = draw(st.integers(1, count + 1))
    last = draw(st.integers(first - 1, count))
    lines = original.split("\n")[first - 1 : last]
    text = "".join(draw(rewrites))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(lines)))
        text = "".join(f"{line}\n" for line in [*lines[:at], *text.split("\n"), *lines[at + 1 :]])
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=10)))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    return original, (first, last), pieces, [text]


Rewrites = list[tuple[tuple[int, int], str]]
"""Regions of a file, in its order, and the new text of each."""


@st.composite
def several_regions(draw: st.DrawFn) -> tuple[str, Rewrites]:
    # Without CR: one region's rewrite may change which ending is the file's usual one.
    original = draw(texts).replace("\r", "")
    count = original.count("\n") + (not original.endswith("\n") and original != "")
    cuts = draw(st.lists(st.integers(0, count), min_size=2, max_size=6).map(sorted))
    lines = original.split("\n")
    found = []
    for first, last in zip(cuts[::2], cuts[1::2], strict=False):
        new = lines[first:last] if draw(st.booleans()) else []
        text = "".join(f"{line}\n" for line in new) + "".join(draw(rewrites))
        found.append(((first + 1, last), text))
    return original, found


def whole_lines(rewritten: Rewrites) -> Rewrites:
    """Nothing but the last region may lack the end of its last line.

    Whether that line is the file's last depends on the regions behind it, which come later.
    """
    ended = [
        (region, f"{text}\n" if text[-1:] not in ("", "\n") else text) for region, text in rewritten
    ]
    return ended[:-1] + rewritten[-1:]


def one_by_one(original: str, rewritten: Rewrites, endings: Endings) -> str:
    """Each region by a patch of its own, from the last to the first."""
    for region, text in reversed(rewritten):
        original = patched(original, stream(original, region, [text], endings))
    return original


@settings(max_examples=300, deadline=None)
@given(st.lists(several_regions(), min_size=1, max_size=3), st.sampled_from(["follow", "exact"]))
@example([("a\n", [((1, 1), "b\n"), ((2, 1), "c\n")])], "follow")
@example([("\n\n", [((1, 0), "\t"), ((1, 2), "")])], "exact")
@example([("a\nb\n", [((1, 1), "b\n"), ((2, 2), "b\n")]), ("x\n", [((1, 1), "y\n")])], "follow")
def test_several_regions_and_files_make_one_patch(
    files: list[tuple[str, Rewrites]], endings: Endings
) -> None:
    if endings == "exact":
        files = [(original, whole_lines(rewritten)) for original, rewritten in files]
    writer, patch = None, ""
    for at, (original, rewritten) in enumerate(files):
        for region, text in rewritten:
            if writer is not None:
                patch += writer.end()
            writer = PatchWriter(f"f{at}", original, region, endings=endings, after=writer)
            patch += writer.feed(text)
    assert writer is not None
    patch += writer.close()
    assert writer.changed == bool(patch)
    expected = {
        f"f{at}": one_by_one(original, rewritten, endings)
        for at, (original, rewritten) in enumerate(files)
    }
    changed = {path for at, (text, _) in enumerate(files) if expected[path := f"f{at}"] != text}
    sections = parse(patch).files if patch else []
    assert {section.path for section in sections} >= changed
    for section in sections:
        original = files[int(section.path[1:])][0]
        after = apply_update(original, section.chunks, final_newline="keep")
        assert after == expected[section.path]


def test_regions_of_a_file_come_in_its_order() -> None:
    first = PatchWriter("f", "a\nb\nc\n", (2, 2))
    first.feed("B\n")
    first.end()
    with pytest.raises(PatchSyntaxError, match="'f' overlap or are out of order at line 2"):
        PatchWriter("f", "a\nb\nc\n", (2, 3), after=first)


def test_near_changes_of_two_regions_share_a_hunk() -> None:
    text = "".join(f"{each}\n" for each in range(9))
    first = PatchWriter("f", text, (2, 2))
    patch = first.feed("one\n") + first.end()
    second = PatchWriter("f", text, (6, 6), after=first)
    patch += second.feed("five\n") + second.close()
    assert patch == (
        "*** Begin Patch\n*** Update File: f\n@@\n 0\n+one\n-1\n 2\n 3\n 4\n+five\n-5\n"
        " 6\n 7\n 8\n*** End Patch\n"
    )


@settings(max_examples=300, deadline=None)
@given(regions(), st.sampled_from(["follow", "exact"]))
def test_the_patch_does_not_depend_on_how_the_rewrite_was_cut(
    case: tuple[str, tuple[int, int], list[str], list[str]], endings: Endings
) -> None:
    original, (first, last), pieces, text = case
    patch = stream(original, (first, last), pieces, endings)
    assert patch == stream(original, (first, last), text, endings)
    assert patch == stream(original, (first, last), list(text[0]), endings)
    result = patched(original, patch)
    lines = original.splitlines(keepends=True) if original.isascii() else original.split("\n")
    assert (result == original) or patch
    if endings == "follow" and original.isascii() and not set(original) & set("\r\x0b"):
        before, after = "".join(lines[: first - 1]), "".join(lines[last:])
        middle = text[0] + ("\n" if text[0] and not text[0].endswith("\n") else "")
        bare = not after and original and not original.endswith("\n")
        if not after and before and not before.endswith("\n"):
            before += "\n" if middle else ""
        expected = before + middle + after
        if bare and middle:
            expected = expected.removesuffix("\n")
        assert result == expected


def test_unchanged_text_is_no_patch() -> None:
    for text in ("", "a", "a\n", "a\r\nb", "\n\n"):
        assert write("f", text, text) == ""
    assert stream("a\nb\nc\n", (2, 2), ["b"]) == ""
    assert stream("a\r\nb\r\n", (1, 2), ["a\nb"]) == ""
    assert stream("a\nb", (1, 2), ["a\n", "b\n"]) == ""


def test_a_plain_edit() -> None:
    assert stream("a\nb\nc\nd\ne\nf\n", (4, 4), ["x", "\n"]) == (
        "*** Begin Patch\n*** Update File: f\n@@\n a\n b\n c\n+x\n-d\n e\n f\n*** End Patch\n"
    )


def test_near_changes_share_a_hunk_and_far_ones_do_not() -> None:
    letters = [chr(ord("a") + each) for each in range(26)]
    text = "\n".join(letters) + "\n"
    assert write("f", text, text.replace("d\n", "").replace("k\n", "")).count("@@") == 1
    assert write("f", text, text.replace("d\n", "").replace("l\n", "")).count("@@") == 2


def test_context_grows_until_its_first_match_is_the_right_place() -> None:
    block = "{\n  a\n  b\n  c\n}\n"
    text = f"one\n{block}two\n{block}end\n"
    assert stream(text, (12, 12), ["  x\n"]).count("\n ") == 6
    same = "x\n" * 40
    both = "x\n" * 7 + "y\n" + "x\n" * 20 + "z\n" + "x\n" * 11
    assert patched(same, write("f", same, both)) == both
    same = "x\n" * 9
    assert patched(same, stream(same, (8, 8), ["x\ny\n"])) == "x\n" * 8 + "y\nx\n"


@given(st.lists(st.sampled_from("ab"), max_size=14))
def test_context_length_is_the_least_that_is_enough(lines: list[str]) -> None:
    length = context_length(lines)
    assert Haystack(lines).seek(lines[len(lines) - length :], 0) == len(lines) - length
    shorter = length - 1
    if shorter >= 3:
        assert Haystack(lines).seek(lines[len(lines) - shorter :], 0) != len(lines) - shorter


def test_insertion_into_an_empty_file_and_at_both_ends() -> None:
    assert patched("", stream("", (1, 0), ["a"])) == "a\n"
    assert patched("a\n", stream("a\n", (1, 0), ["x"])) == "x\na\n"
    assert patched("a\n", stream("a\n", (2, 1), ["x"])) == "a\nx\n"
    assert patched("a", stream("a", (2, 1), ["x\n"])) == "a\nx"


def test_follow_keeps_the_files_line_endings() -> None:
    assert patched("a\r\nb\r\n", stream("a\r\nb\r\n", (1, 1), ["x\ny"])) == "x\r\ny\r\nb\r\n"
    assert patched("a\nb", stream("a\nb", (1, 2), ["a\nx\n"])) == "a\nx"
    assert patched("a\nb", stream("a\nb", (1, 2), ["a\n"])) == "a"
    assert patched("\ta\nb\n", stream("\ta\nb\n", (1, 1), ["\tx\r\n"])) == "\tx\nb\n"


def test_backslash_lines_only_where_they_are_needed() -> None:
    assert "\\" not in write("f", "a\r\nb\r\n", "a\r\nx\r\n")
    assert "+b\n\\ No newline at end of file\n" in write("f", "a\nb\n", "a\nb")
    assert "+x\n\\ Line ends with CRLF\n" in write("f", "a\nb\n", "a\nx\r\n")
    assert "+x\n\\ Line ends with LF\n" in write("f", "a\r\nb\r\n", "a\r\nx\n")
    assert "-a\n\\ Text ends with 1 CR\n" in write("f", "a\r\r\n", "")


def test_exact_text_inside_a_file_cannot_join_lines() -> None:
    assert patched("a\nb\n", stream("a\nb\n", (1, 1), ["x"], "exact")) == "x\nb\n"


def test_a_new_line_is_shown_while_it_is_being_written() -> None:
    writer = PatchWriter("f", "def f():\n    return 1\n", (1, 2))
    assert writer.feed("def f():\n    x = ") == ""
    assert writer.feed("compute()").endswith("@@\n def f():\n+    x = compute()")
    assert writer.feed(" + 1\r") == " + 1"
    assert writer.feed("\n") == "\n"
    assert writer.feed("    return 1") == ""
    assert writer.feed("\n") == "     return 1\n"
    assert writer.close() == "*** End Patch\n"


def test_a_replacement_is_shown_below_the_line_it_replaces() -> None:
    writer = PatchWriter("f", "    return foo(a, b)\n", (1, 1))
    assert writer.feed("    return foo(a") == ""
    assert writer.feed(", c").endswith("@@\n-    return foo(a, b)\n+    return foo(a, c")


def test_unusable_paths_and_regions_are_refused() -> None:
    for path in ("", "a\nb", "a ", "a\r"):
        with pytest.raises(PatchSyntaxError, match="cannot stand in a patch"):
            PatchWriter(path, "", (1, 0))
    for region in ((0, 1), (3, 1), (1, 3), (4, 3)):
        with pytest.raises(PatchSyntaxError, match="is not within its 2 lines"):
            PatchWriter("f", "a\nb\n", region)


# --- delay ----------------------------------------------------------------------------------------

_OLD = ["return total", "x = 1", "def f():", "", "}", "else:", "print(name)", "    pass"]
_NEW = ["brand new line", "return totals", "y = 2"]
old_lines = st.lists(st.sampled_from(_OLD), min_size=1, max_size=6)
new_lines = st.lists(st.sampled_from([*_OLD[:5], *_NEW]), min_size=2, max_size=5)


def line_by_line(original: list[str], lines: list[str]) -> tuple[str, str]:
    """What is out once ``lines`` have come, and the whole patch if nothing follows."""
    text = "".join(f"{line}\n" for line in original)
    writer = PatchWriter("f", text, (1, len(original)))
    said = "".join([writer.feed(f"{line}\n") for line in lines])
    return said, said + writer.close()


@settings(max_examples=60, deadline=None)
@given(old_lines, new_lines)
def test_what_is_certain_is_out_one_line_later(original: list[str], lines: list[str]) -> None:
    rests = [original[at:] for at in range(len(original) + 1)]
    starts = [[], *([line] for line in {*original, *_NEW}), *([line, line] for line in _NEW)]
    for count in range(1, len(lines)):
        futures = [start + rest for start in starts for rest in rests] + [lines[count:]]
        wholes = [line_by_line(original, lines[:count] + future)[1] for future in futures]
        least, most = min(wholes), max(wholes)
        equal = takewhile(lambda each: each[0] == each[1], zip(least, most, strict=False))
        certain = "".join(one for one, _ in equal)
        assert line_by_line(original, lines[: count + 1])[0].startswith(certain)


@pytest.mark.parametrize("piece", [1, 7, 5000])
def test_a_long_line_is_compared_only_up_to_its_first_part(piece: int) -> None:
    long = "a" * (3 * JUDGED)
    for new in (long + "b", long[:-1] + "b", "b" + long, long):
        text = f"x\n{new}\ny\n"
        pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
        patch = stream(f"x\n{long}\ny\n", (1, 3), pieces)
        assert patched(f"x\n{long}\ny\n", patch) == text


@given(st.lists(st.sampled_from(["a", "\r", "\r\r", "\n", "b" * 9]), max_size=20))
def test_carriage_returns_of_a_growing_line_wait_for_its_end(pieces: list[str]) -> None:
    text = "".join(pieces)
    for endings in get_args(Endings):
        whole = stream("x\ny\n", (1, 2), [text], endings=endings)
        assert stream("x\ny\n", (1, 2), pieces, endings=endings) == whole
