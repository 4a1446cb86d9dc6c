from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant.edit import EditStream, Plan, strays
from sparkcode.assistant.edits import Edits, Target, check_region
from sparkcode.assistant.preview import EditPreview
from sparkcode.assistant.workspace import MAX_FILE_BYTES, Buffer, Workspace
from sparkcode.errors import PatchApplyError, UsageError, WorkspaceError
from sparkcode.patch.grammar import ChunkBegin, ChunkEnd, Line
from sparkcode.protocol.blocks import FileBlock
from sparkcode.syntax.lines import Region

FILES = {
    "a.py": Buffer("a.py", "one\r\ntwo", "python", 1, b"one\r\ntwo"),
    "b.py": Buffer("b.py", "b\n", "python", 1, b"b\n"),
}


def opener(path: str) -> tuple[str, Buffer | None]:
    if path.startswith("/"):
        raise WorkspaceError(f"{path!r} is outside the workspace")
    return path.removeprefix("./"), FILES.get(path.removeprefix("./"))


def patched(*sections: str) -> EditStream:
    stream = EditStream(opener)
    stream.feed("\n".join(["*** Begin Patch", *sections, "*** End Patch"]))
    stream.close()
    return stream


def test_a_plan_for_every_operation() -> None:
    stream = patched(
        "*** Update File: ./a.py\n@@\n-two\n+2\n\\ No newline at end of file",
        "*** Add File: new/c.py\n+c",
        "*** Delete File: b.py",
    )
    assert stream.error == ""
    assert stream.plan() == Plan(
        before={"a.py": b"one\r\ntwo", "new/c.py": None, "b.py": b"b\n"},
        after={"a.py": b"one\r\n2", "new/c.py": b"c\n", "b.py": None},
    )
    assert stream.plan().letters == (("M", "a.py"), ("A", "new/c.py"), ("D", "b.py"))
    assert list(stream.previews) == ["a.py", "new/c.py", "b.py"]


def test_a_moved_file_is_written_and_removed() -> None:
    stream = patched("*** Update File: b.py\n*** Move to: c.py\n@@\n-b\n+c")
    assert stream.plan().pairs == {"b.py": (b"b\n", None), "c.py": (None, b"c\n")}
    assert stream.previews["b.py"].moved_to == "c.py"
    same = patched("*** Update File: b.py\n*** Move to: ./b.py\n@@\n-b\n+c")
    assert same.plan().pairs == {"b.py": (b"b\n", b"c\n")}


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ("*** Update File: none.py\n@@\n-a", "there is no file 'none.py' to update"),
        ("*** Delete File: none.py", "there is no file 'none.py' to delete"),
        ("*** Update File: a.py\n@@\n-three", "Failed to find expected lines in a.py"),
        ("*** Update File: a.py\n*** Move to: /etc/x\n@@\n-two", "'/etc/x' is outside"),
        ("*** Delete File: b.py\n*** Delete File: ./b.py", "the patch names 'b.py' twice"),
        ("*** Frobnicate File: a.py", "frobnicate"),
    ],
)
def test_why_an_edit_cannot_be_applied(section: str, error: str) -> None:
    stream = patched(section)
    assert error.lower() in stream.error.lower()
    before = stream.error
    stream.feed("more")
    stream.close()
    assert stream.error == before


def test_a_file_does_not_grow_without_bound() -> None:
    half = "+" + "x" * (MAX_FILE_BYTES // 2)
    assert "larger than 1 MiB" in patched(f"*** Add File: c\n{half}\n{half}").error


def test_a_patch_without_files_changes_nothing() -> None:
    stream = EditStream(opener)
    stream.feed("*** Begin Patch\n*** End Patch")
    with pytest.raises(PatchApplyError, match="changes no file"):
        stream.plan()


@pytest.mark.parametrize(
    ("lines", "region", "outside"),
    [
        (" a,-b,+B", (2, 2), False),
        (" a,-b,+B", (3, 3), True),
        ("-a,+A", (1, 1), False),
        (" a,+x", (2, 3), False),
        (" a,+x", (3, 3), True),
        (" c,+x", (1, 3), False),
        (" b,+x", (1, 1), True),
        ("-a, b,-c", (1, 2), True),
        ("-a, b,-c", (1, 3), False),
    ],
)
def test_an_edit_that_leaves_its_region(lines: str, region: tuple[int, int], outside: bool) -> None:
    preview = EditPreview("f", "a\nb\nc\n")
    preview.feed(ChunkBegin(None))
    for line in lines.split(","):
        kind = line[0]
        assert kind in " +-"
        preview.feed(Line("+" if kind == "+" else "-" if kind == "-" else " ", line[1:]))
    preview.feed(ChunkEnd(False))
    assert strays(preview, [Region(*region)]) is outside


@pytest.fixture
def edits(tmp_path: Path) -> Edits:
    (tmp_path / "a.py").write_text("a\n")
    (tmp_path / "b.py").write_text("b\n")
    return Edits(Workspace(tmp_path))


def test_targets_come_first_and_all_open_files_travel(edits: Edits) -> None:
    edits.open("a.py")
    blocks = edits.blocks([Target("./b.py", Region(1, 1))])
    assert blocks == [
        (FileBlock("b.py", "b\n", "python", (1, 1)), 1),
        (FileBlock("a.py", "a\n", "python"), 1),
    ]


@pytest.mark.parametrize(
    ("text", "region", "fits"),
    [
        ("", (1, 0), True),
        ("", (1, 1), False),
        ("a\nb\n", (1, 2), True),
        ("a\nb\n", (3, 2), True),
        ("a\nb\n", (2, 1), True),
        ("a\nb\n", (3, 3), False),
        ("a\nb\n", (0, 1), False),
        ("a\nb\n", (2, 0), False),
    ],
)
def test_a_region_lies_in_its_file(text: str, region: tuple[int, int], fits: bool) -> None:
    buffer = Buffer("f", text, "", 1, text.encode())
    if fits:
        check_region(buffer, Region(*region))
    else:
        with pytest.raises(UsageError, match="lie outside 'f'"):
            check_region(buffer, Region(*region))


def test_a_file_that_is_gone_is_closed(edits: Edits, tmp_path: Path) -> None:
    edits.open("a.py")
    edits.open("b.py")
    (tmp_path / "a.py").unlink()
    assert [block.path for block, _ in edits.blocks([])] == ["b.py"]
    assert list(edits.buffers) == ["b.py"]


def test_a_created_file_is_undone_by_removing_it(edits: Edits, tmp_path: Path) -> None:
    edits.start([])
    edits.feed("*** Begin Patch\n*** Add File: new.py\n+x\n*** End Patch")
    edits.finish()
    assert edits.state == "pending"
    edits.accept()
    assert (tmp_path / "new.py").read_text() == "x\n"
    assert edits.buffers["new.py"].text == "x\n"
    edits.start([])
    assert edits.undo() == ("new.py",)
    assert (edits.state, "new.py" in edits.buffers) == ("none", False)
    assert not (tmp_path / "new.py").exists()


def test_a_turn_without_a_patch_has_no_edit(edits: Edits) -> None:
    edits.start([])
    edits.finish()
    edits.stop("failed")
    assert (edits.state, edits.error) == ("none", "")


def test_a_failed_turn_fails_its_edit(edits: Edits) -> None:
    edits.start([])
    edits.feed("*** Begin")
    edits.stop("the link was lost")
    assert (edits.state, edits.error) == ("failed", "the link was lost")


def test_several_regions_of_a_file_travel_in_one_block(edits: Edits, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1\n2\n3\n4\n5\n")
    regions = [(4, 4), (1, 2), (2, 2)]
    targets = [Target("./a.py", Region(*each)) for each in regions] + [Target("b.py", Region(1, 1))]
    assert [block for block, _ in edits.blocks(targets)] == [
        FileBlock("a.py", "1\n2\n3\n4\n5\n", "python", (1, 2), also=((4, 4),)),
        FileBlock("b.py", "b\n", "python", (1, 1)),
    ]
    with pytest.raises(UsageError, match="lines 6-7 lie outside"):
        edits.blocks([targets[0], Target("a.py", Region(6, 7))])


@pytest.mark.parametrize(
    ("line", "note"), [("2", ""), ("4", ""), ("3", "the edit changes lines outside a.py:1-2, 4-4")]
)
def test_an_edit_between_its_regions_is_noted(
    edits: Edits, tmp_path: Path, line: str, note: str
) -> None:
    (tmp_path / "a.py").write_text("1\n2\n3\n4\n5\n")
    edits.open("a.py")
    edits.start([Target("a.py", Region(1, 2)), Target("a.py", Region(4, 4))])
    edits.feed(f"*** Begin Patch\n*** Update File: a.py\n@@\n-{line}\n+x\n*** End Patch")
    edits.finish()
    assert (edits.state, edits.note) == ("pending", note)
