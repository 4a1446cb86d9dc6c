from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.bench.workload import Edit, builtin_edits, parse_edits, read_edits
from sparkcode.engine.prompt import edit_tasks
from sparkcode.errors import WorkspaceError


def test_each_built_in_edit_marks_a_region_of_its_file() -> None:
    edits = builtin_edits()
    assert len(edits) >= 6
    assert len({edit.id for edit in edits}) == len(edits)
    for edit in edits:
        (task,) = edit_tasks(edit.request())
        assert task.instruction == edit.instruction
        assert task.region_text.strip()


def test_another_instruction_and_a_limit() -> None:
    request = Edit("a", "one", "tex", "x\n", (1, 1)).request("two", limit=3)
    assert request.max_output_tokens == 3
    assert "File: a.tex" in request.last_user_text
    assert request.last_user_text.endswith("Instruction: two")


def test_a_file_of_edits(tmp_path: Path) -> None:
    line = (
        '{"id":"a","instruction":"i","language":"python","before":"x","region":[1,1],"klass":"k"}'
    )
    path = tmp_path / "edits.jsonl"
    path.write_text(f"{line}\n\n{line}\n")
    assert [edit.id for edit in read_edits(path)] == ["a", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no edits in 'f'"),
        ("{}", "f, line 1 is no edit: .*`id`"),
        ("\nx", "f, line 2 is no edit"),
        (
            '{"id":"a","instruction":"i","language":"p","before":"x","region":[-1,1]}',
            "region",
        ),
    ],
)
def test_lines_that_are_no_edits(text: str, said: str) -> None:
    with pytest.raises(WorkspaceError, match=said):
        parse_edits(text, "f")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkspaceError, match="cannot read the edits"):
        read_edits(tmp_path / "absent")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(WorkspaceError, match="not UTF-8"):
        read_edits(tmp_path / "bytes")
    monkeypatch.setattr("sparkcode.bench.workload._MAX_BYTES", 3)
    (tmp_path / "large").write_bytes(b"    ")
    with pytest.raises(WorkspaceError, match="larger than 3 bytes"):
        read_edits(tmp_path / "large")
