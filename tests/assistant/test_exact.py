"""The whole road of an edit's text is exact: file, block, rewrite, patch, file."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.assistant.edits import Edits, Target
from sparkcode.assistant.unified import unified_diff
from sparkcode.assistant.workspace import Workspace
from sparkcode.engine.base import GenerateRequest, Message, Tool
from sparkcode.engine.prompt import edit_tasks
from sparkcode.engine.sinks import PatchSink
from sparkcode.protocol.blocks import render
from sparkcode.syntax.lines import Region


def edited(folder: Path, raw: bytes, region: Region, rewrite: str, size: int = 7) -> bytes:
    """The file's bytes once a model has said ``rewrite`` for ``region`` and it was accepted."""
    (folder / "file.txt").write_bytes(raw)
    edits = Edits(Workspace(folder))
    targets = [Target("file.txt", region)]
    blocks = edits.blocks(targets)
    text = "\n".join([*(render(block) for block, _ in blocks), "Instruction: Change it."])
    request = GenerateRequest((Message("user", text),), (Tool("apply_patch", "custom"),))
    (task,) = edit_tasks(request)
    sink = PatchSink(task)
    edits.start(targets)
    fence = sink._fence._fence
    said = f"{rewrite}\n{fence}\n"
    for at in range(0, len(said), size):
        channel, delta = sink.feed(said[at : at + size])
        if channel.kind == "custom_tool_call" and delta:
            edits.feed(delta)
    channel, delta = sink.finish(complete=True)
    if channel.kind == "custom_tool_call":
        if delta:
            edits.feed(delta)
        edits.finish()
        assert edits.error == ""
        assert edits.note == ""
        edits.accept()
    return (folder / "file.txt").read_bytes()


@pytest.mark.parametrize(
    ("raw", "region", "rewrite", "expected"),
    [
        (b"a\r\nb\r\nc\r\n", Region(2, 2), "B", b"a\r\nB\r\nc\r\n"),
        (b"a\r\nb\nc\r\n", Region(3, 3), "C", b"a\r\nb\nC\r\n"),
        (b"\tone\n\t\ttwo\n", Region(2, 2), "\t\tTWO\t", b"\tone\n\t\tTWO\t\n"),
        (b"a\nb", Region(2, 2), "B", b"a\nB"),
        (b"a\nb", Region(1, 1), "A", b"A\nb"),
        (b"a\nb", Region(2, 2), "B\nC", b"a\nB\nC"),
        (b"\xef\xbb\xbfa\nb\n", Region(2, 2), "B", b"\xef\xbb\xbfa\nB\n"),
        (b"\xef\xbb\xbfa\nb\n", Region(1, 1), "\ufeffA", b"\xef\xbb\xbfA\nb\n"),
        (b"a\x0cb\nc\x0bd\n", Region(1, 1), "A\x0cb", b"A\x0cb\nc\x0bd\n"),
        ("a\u2028b\nc\x85d\n".encode(), Region(2, 2), "C\x85d", "a\u2028b\nC\x85d\n".encode()),
        (b"a\rb\nc\n", Region(2, 2), "C", b"a\rb\nC\n"),
        ("e\u0301é\n日本\n".encode(), Region(2, 2), "日本語", "e\u0301é\n日本語\n".encode()),
        (b"", Region(1, 0), "new\nfile", b"new\nfile\n"),
        (b"a\n", Region(1, 1), "", b""),
        (b"a\n", Region(2, 1), "b", b"a\nb\n"),
        (b"a\n```\nb\n````\n", Region(3, 3), "B", b"a\n```\nB\n````\n"),
        (
            b"*** End Patch\n@@\n",
            Region(2, 2),
            "*** Begin Patch",
            b"*** End Patch\n*** Begin Patch\n",
        ),
        (b"a\n\n\nb\n", Region(2, 3), "x", b"a\nx\nb\n"),
        (b"a\n\nb\n\n\nc\n", Region(1, 4), "A\n\nb", b"A\n\nb\n\n\nc\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_every_byte_outside_the_change_stays(
    raw: bytes, region: Region, rewrite: str, expected: bytes, size: int, tmp_path: Path
) -> None:
    assert edited(tmp_path, raw, region, rewrite, size) == expected


lines = st.lists(
    st.text(alphabet="ab \t\u2028\x0c\x85é\r`+-", max_size=4).map(lambda text: text.rstrip("\r")),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_any_line_can_be_rewritten(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    ending: str,
    final: bool,
    data: st.DataObject,
) -> None:
    text = ending.join(rows) + ending * final
    count = len(rows) - (not final and rows[-1] == "")
    if not count:
        return
    at = data.draw(st.integers(1, count))
    raw = edited(tmp_path_factory.mktemp("any"), text.encode(), Region(at, at), "REWRITTEN", 3)
    assert raw.decode() == ending.join([*rows[: at - 1], "REWRITTEN", *rows[at:]]) + ending * final


def test_a_file_of_fifty_thousand_lines_and_one_of_a_million_characters(tmp_path: Path) -> None:
    many = "".join(f"line {at} of {at % 7}\n" for at in range(50_000))
    last = Region(49_999, 50_000)
    expected = many.replace("line 49998 of 4", "LINE")
    assert edited(tmp_path, many.encode(), last, "LINE\nline 49999 of 5", 1000) == expected.encode()
    assert unified_diff("f", many.encode(), expected.encode()).count("\n") == 9
    other = many.replace("of 3", "OF 3")
    assert unified_diff("f", many.encode(), other.encode()).count("\n+line") == 7143
    long = "a" * (1_000_000)
    raw = edited(tmp_path, f"x\n{long}\ny\n".encode(), Region(1, 3), f"x\n{long}b\ny", 1 << 14)
    assert raw == f"x\n{long}b\ny\n".encode()


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"a\n")
    os.chmod(tmp_path / "file.txt", 0o755)
    edited(tmp_path, b"a\n", Region(1, 1), "b")
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o755
