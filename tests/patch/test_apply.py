from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.errors import PatchApplyError
from sparkcode.patch.apply import Placement, Result, apply_patch, apply_update, place
from sparkcode.patch.grammar import Chunk, Line
from sparkcode.patch.parser import parse


def chunks(body: str) -> tuple[Chunk, ...]:
    return parse(f"*** Begin Patch\n*** Update File: f\n{body}*** End Patch").files[0].chunks


def added(text: str, body: str) -> str:
    return apply_update(text, chunks(body), "f")


def kept(text: str, body: str) -> str:
    return apply_update(text, chunks(body), "f", final_newline="keep")


def failure(text: str, body: str) -> str:
    with pytest.raises(PatchApplyError) as caught:
        apply_update(text, chunks(body), "f")
    return str(caught.value)


def patch(root: Path, body: str) -> Result:
    return apply_patch(parse(f"*** Begin Patch\n{body}*** End Patch"), root)


def test_chunks_replace_in_file_order_from_a_cursor() -> None:
    assert added("a\nb\na\nb\n", "@@\n a\n-b\n+x\n@@\n a\n-b\n+y\n") == "a\nx\na\ny\n"
    assert failure("a\nb\n", "@@\n-b\n@@\n-a\n") == "Failed to find expected lines in f:\na"


def test_context_moves_the_cursor_behind_its_line() -> None:
    assert added("a\nx\nb\nx\n", "@@ b\n-x\n+y\n") == "a\nx\nb\ny\n"
    assert failure("a\nx\nb\n", "@@ b\n-x\n-y\n") == "Failed to find expected lines in f:\nx\ny"
    assert failure("a\n", "@@ zork\n-a\n") == "Failed to find context 'zork' in f"


def test_a_chunk_without_old_lines_goes_to_the_end() -> None:
    assert added("a\nb\n", "@@ a\n+x\n@@\n-b\n+c\n") == "a\nc\nx\n"
    assert added("", "+x\n") == "x\n"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (" b\n+y\n", "a\nb\nP\ny\n"),
        (" b\n+y\n*** End of File\n", "a\nb\nP\ny\n"),
        (" b\n \n+y\n", "a\nb\nP\n\ny\n"),
        ("-a\n+x\n b\n+y\n", "x\nb\nP\ny\n"),
        ("+w\n b\n", "a\nw\nb\nP\n"),
        ("-b\n+y\n+z\n", "a\ny\nz\nP\n"),
        ("-b\n \n+y\n", "a\n\ny\nP\n"),
        ("+y\n-b\n", "a\ny\nP\n"),
    ],
)
def test_lines_at_the_end_stand_in_the_order_of_the_patch(body: str, result: str) -> None:
    assert added("a\nb\n", f"@@\n+P\n@@\n{body}") == result


def test_end_of_file_anchors_at_the_end() -> None:
    assert added("a\nb\na\n", "@@\n-a\n+x\n*** End of File\n") == "a\nb\nx\n"
    assert failure("a\nb\n", "@@\n-a\n*** End of File\n").startswith("Failed to find expected")


@pytest.mark.parametrize(
    ("text", "body", "result"),
    [
        ("a\nb\n", "@@\n a\n-b\n+x\n \n", "a\nx\n"),
        ("a\n", "@@\n a\n-\n+\n", "a\n"),
        ("a\n", "@@\n a\n \n+x\n", "a\n\nx\n"),
        ("a\nb", "@@\n-a\n-\n+x\n+\n", "x\nb\n"),
        ("a\n", "@@\n-\n", "a\n"),
        ("a\n", "@@\n-\n+x\n", "x\na\n"),
    ],
)
def test_a_last_empty_old_line_that_is_not_there_is_ignored(
    text: str, body: str, result: str
) -> None:
    assert added(text, body) == result


def test_two_empty_old_lines_are_one_too_many() -> None:
    assert failure("a\n", "@@\n-x\n-\n") == "Failed to find expected lines in f:\nx\n"


def test_kept_lines_keep_their_text_and_ending() -> None:
    assert added("a  \r\n“b”\nc\n", '@@\n a\n "b"\n-c\n+d\n') == "a  \r\n“b”\nd\r\n"


@pytest.mark.parametrize(
    ("text", "ending"),
    [("a\r\nb\nc\n", "\r\n"), ("a\nb\r\nc\r\n", "\n"), ("a", "\n"), ("a\r", "\r")],
)
def test_added_lines_end_as_the_first_line_does(text: str, ending: str) -> None:
    assert added(text, "@@\n-a\n+x\n").startswith(f"x{ending}")


def test_codex_takes_a_lone_return_for_an_ending_and_an_editor_does_not() -> None:
    assert added("a\rb\rc\n", "@@\n-b\n+x\n") == "a\rx\rc\n"
    with pytest.raises(PatchApplyError):
        kept("a\rb\rc\n", "@@\n-b\n+x\n")


def test_final_newline_is_added_or_kept() -> None:
    assert added("a\nb", "@@\n-a\n+x\n") == "x\nb\n"
    assert kept("a\nb", "@@\n-a\n+x\n") == "x\nb"
    assert kept("a\nb", "@@\n b\n+x\n") == "a\nb\nx\n"
    assert kept("a\nb", "@@\n-a\n-b\n") == ""
    assert added("a\r\nb\r\n", "@@\n-b\n+x\n\\ No newline at end of file\n") == "a\r\nx"


def test_marked_endings() -> None:
    body = "@@\n+x\n\\ Line ends with CRLF\n+y\n\\ No newline at end of file\n a\n"
    assert kept("a\n", body) == "x\r\ny\na\n"
    assert kept("a\r\n", "@@\n-a\n+x\n\\ Line ends with LF\n") == "x\n"


def test_place_says_which_lines_a_chunk_covers() -> None:
    first, second, third = chunks("@@\n b\n-c\n+d\n@@\n+x\n@@\n-e\n-\n")
    assert place("a\nb\nc\ne", (first, second, third)) == [
        Placement(1, 2, first),
        Placement(4, 0, second),
        Placement(3, 1, Chunk(None, (Line("-", "e"),))),
    ]
    with pytest.raises(PatchApplyError, match="in the file"):
        place("a\n", [first])


def test_files_are_added_changed_moved_and_deleted(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "old").write_text("x\n")
    result = patch(
        tmp_path,
        "*** Add File: n/e/w\n+1\n+2\n*** Update File: f\n-a\n+b\n"
        "*** Update File: f\n*** Move to: d/g\n-b\n+c\n*** Delete File: old\n*** Add File: e\n",
    )
    assert result.failure is None
    assert result.summary == (
        "Success. Updated the following files:\nA n/e/w\nA e\nM f\nM d/g\nD old\n"
    )
    found = {
        str(path.relative_to(tmp_path)): path.read_text()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == {"n/e/w": "1\n2\n", "e": "", "d/g": "c\n"}


def test_a_file_moved_onto_itself_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    assert patch(tmp_path, "*** Update File: f\n*** Move to: ./f\n-a\n+b\n").failure is None
    assert (tmp_path / "f").read_text() == "b\n"


def test_moves_over_links(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "link").symlink_to("f")
    move = "*** Update File: {}\n*** Move to: {}\n-{}\n+{}\n"
    assert patch(tmp_path, move.format("f", "link", "a", "b")).failure is None
    assert patch(tmp_path, move.format("link", "./link", "b", "c")).failure is None
    assert (tmp_path / "link").is_symlink()
    assert patch(tmp_path, move.format("link", "f", "c", "d")).failure is None
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "f").read_text() == "d\n"


def test_a_failure_leaves_earlier_sections_applied(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    result = patch(tmp_path, "*** Add File: n\n+1\n*** Update File: f\n-x\n*** Delete File: f\n")
    assert str(result.failure) == f"Failed to find expected lines in {tmp_path}/f:\nx"
    assert result.added == ("n",)
    assert result.deleted == ()
    assert (tmp_path / "n").read_text() == "1\n"
    assert (tmp_path / "f").read_text() == "a\n"


def test_an_empty_patch_is_a_failure(tmp_path: Path) -> None:
    assert str(patch(tmp_path, "").failure) == "No files were modified."


def test_keep_applies_to_files_too(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\nb")
    tree = parse("*** Begin Patch\n*** Update File: f\n-a\n+x\n*** End Patch")
    apply_patch(tree, tmp_path, final_newline="keep")
    assert (tmp_path / "f").read_text() == "x\nb"
