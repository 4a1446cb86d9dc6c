from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch import parser as parser_module
from sparkcode.patch.grammar import (
    Chunk,
    ChunkBegin,
    ChunkEnd,
    FileBegin,
    FileEnd,
    FilePatch,
    Line,
    PatchBegin,
    PatchEnd,
    PatchEvent,
)
from sparkcode.patch.parser import MAX_LINE, SHOWN, PatchParser, parse

BEGIN = "*** Begin Patch\n"
END = "*** End Patch\n"
UPDATE = "*** Update File: f\n"


def whole(body: str) -> str:
    return BEGIN + body + END


def only(body: str) -> FilePatch:
    (section,) = parse(whole(body)).files
    return section


def lines(body: str) -> list[tuple[Line, ...]]:
    return [chunk.lines for chunk in only(UPDATE + body).chunks]


def message(text: str) -> str:
    with pytest.raises(PatchSyntaxError) as caught:
        parse(text)
    return str(caught.value)


def streamed(pieces: list[str]) -> list[PatchEvent] | str:
    parser = PatchParser()
    events: list[PatchEvent] = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
        return events + parser.close()
    except PatchSyntaxError as error:
        return str(error)


def test_events_of_every_kind_of_section() -> None:
    text = whole(
        "*** Add File: new\n+one\n+\n*** Delete File: old\n"
        "*** Update File: f\n*** Move to: g\n@@ def main():\n a\n-b\n+c\n@@\n-d\n*** End of File\n"
    )
    assert streamed([text]) == [
        PatchBegin(),
        FileBegin("add", "new", None),
        Line("+", "one"),
        Line("+", ""),
        FileEnd("new"),
        FileBegin("delete", "old", None),
        FileEnd("old"),
        FileBegin("update", "f", "g"),
        ChunkBegin("def main():"),
        Line(" ", "a"),
        Line("-", "b"),
        Line("+", "c"),
        ChunkEnd(end_of_file=False),
        ChunkBegin(None),
        Line("-", "d"),
        ChunkEnd(end_of_file=True),
        FileEnd("f"),
        PatchEnd(),
    ]


def test_tree() -> None:
    text = "*** Add File: n\n+x\n" + UPDATE + "*** Move to: g\n@@ c\n-a\n*** Delete File: d\n"
    assert parse(whole(text)).files == (
        FilePatch("add", "n", added=("x",)),
        FilePatch("update", "f", "g", (Chunk("c", (Line("-", "a"),)),)),
        FilePatch("delete", "d"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "\n \n  " + whole(UPDATE + "-a\n") + "\n\n",
        whole(UPDATE + "-a\n").replace("\n", "\r\n"),
        whole(UPDATE + "-a\r\r\n"),
        BEGIN + UPDATE + "-a\n*** End Patch",
        BEGIN + UPDATE + "-a\n  *** End Patch  \n\n",
        "*** Begin Patch  \n" + UPDATE + "-a\n" + END,
        whole(UPDATE + "-a\n") + END,
        whole(UPDATE + "-a\n") + "\n" + END,
        BEGIN + " *** Environment ID: x\n" + UPDATE + "-a\n" + END,
        *(
            f"{start}\n{whole(UPDATE + '-a' + chr(10))}{end}"
            for start in ("<<EOF", "<<'EOF'", '<<"EOF"', " \n<<EOF")
            for end in ("EOF\n", "xEOF", END + "EOF", "EOF\n\n")
        ),
        "<<EOF\n" + BEGIN + UPDATE + "-a\n  *** End Patch\nEOF\n\n",
    ],
)
def test_what_surrounds_a_patch_is_forgiven(text: str) -> None:
    assert parse(text).files == (
        FilePatch("update", "f", chunks=(Chunk(None, (Line("-", "a"),)),)),
    )


def test_headers_may_be_indented_outside_an_update_only() -> None:
    text = "  *** Add File: g  \n+x\n  *** Delete File: f\n " + UPDATE.strip() + "  \n-a\n"
    assert [each.path for each in parse(whole(text)).files] == ["g", "f", "f"]
    assert lines("-a\n *** Delete File: f\n") == [(Line("-", "a"), Line(" ", "*** Delete File: f"))]


def test_an_indented_end_marker_inside_an_update_is_context_unless_it_is_last() -> None:
    kept = (Line("-", "a"), Line(" ", " *** End Patch"), Line(" ", ""), Line("-", "b"))
    assert lines("-a\n  *** End Patch\n\n-b\n") == [kept]


def test_chunk_headers() -> None:
    body = "\n a\n@@\n-b\n@@  c \n-d\n@@ \n-e\n"
    assert [chunk.context for chunk in only(UPDATE + body).chunks] == [None, None, " c", None]
    assert lines(body)[0] == (Line(" ", ""), Line(" ", "a"))


def test_end_of_file_marker() -> None:
    chunks = only(UPDATE + "*** End of File\n-a\n*** End of File \n  \n@@\n+b\n").chunks
    assert [chunk.end_of_file for chunk in chunks] == [True, False]


def test_backslash_lines_describe_the_line_above() -> None:
    body = "-a\n\\ Text ends with 2 CR\n+b\n\\ Text ends with 1 CR\n\\ Line ends with CRLF\n"
    assert lines(body + "+c\n\\ Line ends with LF\n+d\n\\ No newline at end of file\n") == [
        (
            Line("-", "a\r\r"),
            Line("+", "b\r", "crlf"),
            Line("+", "c", "lf"),
            Line("+", "d", "none"),
        )
    ]


@pytest.mark.parametrize(
    "body",
    [
        "@@\n\\ Line ends with LF\n",
        " a\n\\ Line ends with LF\n",
        "+a\n\\ Line ends with LF\n\\ Line ends with LF\n",
        "+a\n\\ Text ends with 1 CR\n\\ Text ends with 1 CR\n",
        "+a\n\\ Text ends with 0 CR\n",
        "+a\n\\ something else\n",
    ],
)
def test_a_backslash_line_that_fits_nothing_is_refused(body: str) -> None:
    assert "'\\ " in message(whole(UPDATE + body))


NOT_LINE = "Unexpected line found in update hunk: "
NO_AT = "Expected update hunk to start with a @@ context marker, got: "
NO_LINES = "Update hunk does not contain any lines"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("zork\n" + BEGIN, "patch: The first line of the patch must be '*** Begin Patch'"),
        ("<<EOF \n" + whole("") + "EOF", "patch: The first line of the patch must be"),
        ("<<EOF\n\n" + whole("") + "EOF", "patch: The first line of the patch must be"),
        (" \n", "patch: The last line of the patch must be '*** End Patch'"),
        (BEGIN + UPDATE + "zork\n", "patch: The last line of the patch must be"),
        (whole(UPDATE + "-a\n") + "x\n" + END, "patch: The last line of the patch must be"),
        (whole(UPDATE + "-a\n") + END + END, "patch: The last line of the patch must be"),
        ("<<EOF\n" + whole(UPDATE + "-a\n") + "\nEOF", "patch: The last line of the patch must"),
        (whole(BEGIN), "patch hunk on line 2: '*** Begin Patch' is not a valid hunk header."),
        ("\n" + whole("\n"), "patch hunk on line 2: '' is not a valid hunk header."),
        (whole("*** Add File: g\n+a\nb\n"), "patch hunk on line 4: 'b' is not a valid hunk header"),
        (whole("*** Delete File: g\n+a\n"), "patch hunk on line 3: '+a' is not a valid"),
        (whole("*** Update File: \n-a\n"), "patch hunk on line 2: '*** Update File:' is not a"),
        (whole("*** Environment ID: \n"), "patch: apply_patch environment_id cannot be empty"),
        (
            whole("*** Environment ID: x\n*** Environment ID: x\n"),
            "patch: apply_patch environment_id cannot be specified more than once",
        ),
        (whole(UPDATE), "patch hunk on line 2: Update file hunk for path 'f' is empty"),
        (whole(UPDATE + "*** Delete File: g\n"), "patch hunk on line 2: Update file hunk for"),
        (whole(UPDATE + "@@\n"), f"patch hunk on line 4: {NO_LINES}"),
        (whole(UPDATE + "@@\n*** End of File\n"), f"patch hunk on line 4: {NO_LINES}"),
        (whole(UPDATE + "@@\n@@ b\n"), f"patch hunk on line 4: {NOT_LINE}'@@ b'."),
        (whole(UPDATE + "@@\n*** Delete File: g\n"), f"patch hunk on line 4: {NOT_LINE}'*** Del"),
        (whole(UPDATE + "zork\n"), f"patch hunk on line 3: {NOT_LINE}'zork'. Every line should"),
        (whole(UPDATE + "*** Move to: \n-a\n"), f"patch hunk on line 3: {NOT_LINE}'*** Move to: '"),
        (whole(UPDATE + "-a\nzork\n"), f"patch hunk on line 4: {NO_AT}'zork'"),
        (
            whole(UPDATE + "-a\n\\'\t\"é\u3000x\n"),
            f"patch hunk on line 4: {NO_AT}'\\'\t\"é\u3000x'",
        ),
        (whole(UPDATE + "-a\n*** Move to: g\n"), f"patch hunk on line 4: {NO_AT}'*** Move to: g'"),
        (whole(UPDATE + "-a\n*** End of File\n+b\n"), f"patch hunk on line 5: {NO_AT}'+b'"),
        (
            whole(UPDATE + "-a\n*** End of File\n*** End of File\n"),
            f"patch hunk on line 5: {NO_AT}'*** End of File'",
        ),
    ],
)
def test_errors_are_worded_as_codex_words_them(text: str, expected: str) -> None:
    assert message(text).startswith("Invalid " + expected)


def test_a_heredoc_has_to_be_closed() -> None:
    assert "last line" in str(streamed(["<<EOF\n" + whole(UPDATE + "-a\n")]))
    assert "last line" in str(streamed(["<<EOF\n" + BEGIN + UPDATE + "-a\n *** End Patch"]))
    assert "last line" in str(streamed(["<<EOF\n", whole(UPDATE + "-a\n"), "EOF\n", END]))
    assert "must be '*** Begin" in str(streamed(["<<EOF\n", "<<EOF\n"]))
    assert "context marker" in str(
        streamed(["<<EOF\n" + BEGIN + UPDATE + "-a\n *** End Patch\nEOF\nx\n"])
    )


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"line 3: the line is longer than {MAX_LINE}" in str(
        streamed([BEGIN + UPDATE, "+" + "x" * MAX_LINE])
    )
    monkeypatch.setattr(parser_module, "MAX_PATCH", 40)
    assert "longer than 40 characters" in str(streamed([BEGIN + UPDATE, "+" * 40]))


def test_pending_shows_the_beginning_of_a_long_line() -> None:
    parser = PatchParser()
    parser.feed("*** Begin Patch\n*** Add File: a\n+")
    for _ in range(SHOWN // 1000 + 2):
        parser.feed("x" * 1000)
    assert parser.pending == "+" + "x" * (SHOWN - 1)


def test_pending_shows_what_no_event_has_shown_yet() -> None:
    parser = PatchParser()
    seen: list[tuple[str, int]] = []
    for piece in (BEGIN + UPDATE + "@@\n", "+ab", "c", "\n", "\\ No", " newline at end of file\n"):
        events = parser.feed(piece)
        seen.append((parser.pending, sum(isinstance(event, Line) for event in events)))
    assert seen == [("", 0), ("+ab", 0), ("+abc", 0), ("+abc", 0), ("+abc", 0), ("+abc", 0)]
    assert parser.feed("+") == [Line("+", "abc", "none")]
    assert parser.pending == "+"


def test_events_come_as_soon_as_they_are_certain() -> None:
    parser = PatchParser()
    assert parser.feed(BEGIN + UPDATE) == [PatchBegin()]
    assert parser.feed("*** Mo") == []
    assert parser.feed("re") == [FileBegin("update", "f", None)]


PIECES = [
    BEGIN, END, UPDATE, "*** Add File: g\n", "*** Delete File: h\n", "*** Move to: i\n", "@@\n",
    "@@ a\n", " a\n", "-b\r\n", "+c\n", "\n", "  *** End Patch\n", "*** End of File\n", "zork\n",
    "\\ Line ends with CRLF\n", "\\ Text ends with 3 CR\n", "*** Environment ID: 1\n", "EOF\n",
    "<<'EOF'\n", " ", "\\ No newline at end of file\n", "+EOF\n",
]  # fmt: skip


@st.composite
def cut_patches(draw: st.DrawFn) -> tuple[str, list[str]]:
    body = "".join(draw(st.lists(st.sampled_from(PIECES), max_size=12)))
    start = draw(st.sampled_from(["", "\n", "<<EOF\n"])) + BEGIN
    text = start + draw(st.sampled_from(["", UPDATE, UPDATE + "@@\n"])) + body
    text += draw(st.sampled_from(["", END, END + "EOF\n", " " + END, " " + END + "EOF", END + END]))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    bounds = [0, *cuts, len(text)]
    return text, [text[a:b] for a, b in pairwise(bounds)]


@settings(max_examples=400, deadline=None)
@given(cut_patches())
def test_the_events_do_not_depend_on_how_the_text_was_cut(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    assert streamed(pieces) == streamed([text]) == streamed(list(text))
    try:
        parse(text)
    except PatchSyntaxError:
        assert isinstance(streamed([text]), str)
    else:
        assert isinstance(streamed([text]), list)
