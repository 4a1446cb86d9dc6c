from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant.preview import SEARCH_LINES, DiffRow, EditPreview
from sparkcode.errors import PatchApplyError
from sparkcode.patch.apply import apply_update, place, split_lines
from sparkcode.patch.grammar import Chunk, FileBegin, FileEnd, PatchBegin
from sparkcode.patch.parser import PatchParser, parse

CALC = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"


def patch(*lines: str, path: str = "calc.py") -> str:
    return "\n".join(["*** Begin Patch", f"*** Update File: {path}", *lines, "*** End Patch", ""])


def watch(original: str, text: str, size: int = 10**9) -> EditPreview:
    """The preview after ``text``, fed in pieces, with all that a screen would ask on the way."""
    preview = EditPreview("calc.py", original)
    parser = PatchParser()
    for at in range(0, len(text), size):
        for event in parser.feed(text[at : at + size]):
            preview.feed(event)
        preview.partial(parser.pending)
        check(preview)
    for event in parser.close():
        preview.feed(event)
    check(preview)
    return preview


def check(preview: EditPreview) -> None:
    """What holds for the rows at any time."""
    rows = list(preview.rows)
    assert rows == preview.rows[:]
    assert [row.old for row in rows if row.old] == list(
        range(1, sum(row.old is not None for row in rows) + 1)
    )
    assert [row.new for row in rows if row.new] == list(
        range(1, sum(row.new is not None for row in rows) + 1)
    )
    assert preview.added == sum(row.kind == "+" for row in rows)
    assert preview.removed == sum(row.kind == "-" for row in rows)
    assert [list(hunk) for hunk in preview.hunks] == hunks(rows)
    assert 0 <= preview.focus < max(1, len(rows))


def hunks(rows: Sequence[DiffRow]) -> list[list[int]]:
    runs = groupby(range(len(rows)), key=lambda at: rows[at].kind != " ")
    return [list(run) for changed, run in runs if changed]


def shown(preview: EditPreview) -> list[str]:
    return [row.kind + row.text for row in preview.rows]


def expected(original: str, chunks: Sequence[Chunk]) -> list[str]:
    """The rows computed from scratch out of the applier's placements."""
    lines = [line for line, _ in split_lines(original)]
    runs: list[tuple[int, list[str]]] = []
    for placement in place(original, chunks):
        at = placement.start
        for keeps, run in groupby(placement.chunk.lines, key=lambda line: line.kind == " "):
            changed = list(run)
            if not keeps:
                runs.append((at, [line.kind + line.text for line in changed]))
            at += sum(line.kind != "+" for line in changed)
    rows: list[str] = []
    done = 0
    for at, run_rows in sorted(runs, key=lambda each: each[0]):
        rows += [f" {line}" for line in lines[done:at]]
        done = at
        for row in run_rows:
            rows.append(row if row[0] == "+" else f"-{lines[done]}")
            done += row[0] != "+"
    return rows + [f" {line}" for line in lines[done:]]


def test_before_a_patch_the_file_is_shown_as_it_is() -> None:
    preview = EditPreview("calc.py", "a\r\nb")
    assert list(preview.rows) == [DiffRow(" ", "a", 1, 1), DiffRow(" ", "b", 2, 2)]
    assert (preview.added, preview.removed, preview.hunks, preview.revision) == (0, 0, [], 0)
    assert preview.rows[-1].text == "b"
    with pytest.raises(IndexError, match="row 2 of 2"):
        preview.rows[2]


def test_rows_change_in_place() -> None:
    preview = watch(CALC, patch("@@", " def add(a, b):", "-    return a - b", "+    return a + b"))
    assert shown(preview) == [
        " def add(a, b):",
        "-    return a - b",
        "+    return a + b",
        " ",
        " ",
        " def sub(a, b):",
        "     return a - b",
    ]
    assert preview.hunks == [range(1, 3)]
    assert preview.focus == 2
    assert preview.rows[3] == DiffRow(" ", "", 3, 3)


def test_the_last_line_grows_as_it_arrives() -> None:
    preview = EditPreview("calc.py", "a\nb\n")
    parser = PatchParser()
    text = "*** Begin Patch\n*** Update File: calc.py\n@@\n a\n+ne"
    for event in parser.feed(text):
        preview.feed(event)
    preview.partial(parser.pending)
    assert shown(preview) == [" a", "+ne", " b"]
    assert preview.rows[2] == DiffRow(" ", "b", 2, 3)
    assert (preview.added, preview.focus, preview.hunks) == (1, 1, [range(1, 2)])
    seen = preview.revision
    preview.partial(parser.pending)
    assert preview.revision == seen
    preview.partial("+new\x1b[2J")
    assert shown(preview)[1] == "+new"
    assert preview.revision == seen + 1
    preview.partial("-b")
    assert shown(preview) == [" a", " b"]


def test_a_chunk_moves_when_a_line_shows_that_it_belongs_further_down() -> None:
    original = "x\na\nx\nb\n"
    preview = EditPreview("calc.py", original)
    parser = PatchParser()
    for event in parser.feed("*** Begin Patch\n*** Update File: calc.py\n@@\n-x\n+y\n+"):
        preview.feed(event)
    assert shown(preview) == ["-x", "+y", " a", " x", " b"]
    for event in parser.feed("z\n b\n+"):
        preview.feed(event)
    assert shown(preview) == [" x", " a", "-x", "+y", "+z", " b"]
    check(preview)


def test_an_addition_without_context_goes_to_the_end() -> None:
    preview = watch("a\n", patch("@@", "+b", "+c"))
    assert shown(preview) == [" a", "+b", "+c"]
    assert preview.focus == 2
    assert preview.rows[-1] == DiffRow("+", "c", None, 3)
    both = watch("a\nb\n", patch("@@", "+z", "@@", "-a"))
    assert shown(both) == ["-a", " b", "+z"]


def test_a_chunk_that_fits_nowhere_is_a_misfit() -> None:
    preview = watch("a\nb\n", patch("@@", " a", "@@", "-no", "+new"))
    assert preview.misfit
    assert shown(preview) == [" a", "+new", " b"]
    assert watch("a\n", patch("@@ nowhere", "-a")).misfit
    assert watch("a\n", patch("@@", "-b", "-")).misfit
    assert not watch("a\n", patch("@@ a", "+b")).misfit
    assert shown(watch("a\n\n", patch("@@", "-a", " ", " "))) == ["-a", " "]


def test_additions_at_the_end_stand_in_the_order_of_their_chunks() -> None:
    preview = watch("a\n", patch("@@", "+only", "@@", " a", "+new", "@@", "+last"))
    assert shown(preview) == [" a", "+only", "+new", "+last"]
    assert (preview.added, preview.hunks) == (3, [range(1, 4)])
    assert preview.focus == 3
    replaced = watch("a\n", patch("@@", "+only", "@@", "-a", "+new"))
    assert shown(replaced) == ["-a", "+new", "+only"]


def test_new_deleted_and_moved_files() -> None:
    new = watch("", "*** Begin Patch\n*** Add File: n.py\n+a\n+b\n*** End Patch")
    assert (shown(new), new.deleted) == (["+a", "+b"], False)
    over = watch("old\n", "*** Begin Patch\n*** Add File: n.py\n+a\n*** End Patch")
    assert shown(over) == ["-old", "+a"]
    gone = watch("a\nb\n", "*** Begin Patch\n*** Delete File: n.py\n*** End Patch")
    assert (shown(gone), gone.deleted) == (["-a", "-b"], True)
    moved = EditPreview("calc.py", "a\n")
    moved.feed(FileBegin("update", "calc.py", "new.py"))
    assert moved.moved_to == "new.py"


def test_events_that_are_not_its_own_change_no_row() -> None:
    preview = EditPreview("calc.py", "a\n")
    preview.feed(PatchBegin())
    preview.feed(FileEnd("calc.py"))
    assert shown(preview) == [" a"]


def test_a_loose_match_yields_to_an_exact_one_at_the_end_of_the_chunk() -> None:
    preview = watch("a\nb \na\nb\n", patch("@@", " a", "-b"))
    assert shown(preview) == [" a", " b ", " a", "-b"]


def test_a_long_chunk_that_fits_nowhere_is_searched_once_more() -> None:
    count = SEARCH_LINES + 20
    lines = [f"line {n}" for n in range(count)]
    wrong = [*lines[:-1], "other"]
    original = "\n".join([*lines, *wrong]) + "\n"
    preview = watch(original, patch("@@", *(f" {line}" for line in wrong), "+new"))
    assert (shown(preview)[-1], preview.misfit) == ("+new", False)


LINES = st.lists(st.sampled_from(["a", "b", "", " a", "a ", "b\t", "“q”", '"q"']), max_size=8)


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, str]:
    """A file and a patch that often fits it."""
    lines = draw(LINES)
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    original = ending.join(lines) + draw(st.sampled_from(["", ending]))
    body: list[str] = []
    at = 0
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(min(at, len(lines)), len(lines)))
        body.append(draw(st.sampled_from(["@@", "@@ a"])))
        count = draw(st.integers(0, 4))
        for line in lines[at : at + count]:
            body += draw(st.sampled_from([[f" {line}"], [f"-{line}"], [f"-{line}", "+n"]]))
        body += draw(st.sampled_from([[], ["+new"], [" "], [" b"]]))
        if body[-1].startswith("@@"):
            body.append("+only")
        body += draw(st.sampled_from([[], [], ["*** End of File"]]))
        at += count
    return original, patch(*body)


@given(edits(), st.integers(1, 9))
def test_any_chunking_gives_what_a_computation_from_scratch_gives(
    edit: tuple[str, str], size: int
) -> None:
    original, text = edit
    preview = watch(original, text, size)
    chunks = parse(text).files[0].chunks
    assert list(preview.rows) == list(watch(original, text).rows)
    try:
        rows = expected(original, chunks)
    except PatchApplyError:
        assert preview.misfit
        return
    assert not preview.misfit
    assert shown(preview) == rows
    kept = [row.text for row in preview.rows if row.kind != "-"]
    applied = apply_update(original, chunks, final_newline="keep")
    assert kept == [line for line, _ in split_lines(applied)]


def test_a_delta_on_a_long_file_leaves_the_rest_alone() -> None:
    original = "".join(f"line {n}\n" for n in range(5000))
    preview = EditPreview("calc.py", original)
    parser = PatchParser()
    for event in parser.feed("*** Begin Patch\n*** Update File: calc.py\n@@\n line 10\n"):
        preview.feed(event)
    for event in parser.feed("+new\n+"):
        preview.feed(event)
    before = preview.rows[0]
    for n in range(500):
        for event in parser.feed(f"new {n}\n+"):
            preview.feed(event)
        assert preview.rows[0] is before
    assert len(preview._head) < 600
    assert len(preview.rows) == 5501
    assert preview.rows[-1] == DiffRow(" ", "line 4999", 5000, 5501)
