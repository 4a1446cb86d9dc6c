from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant.edits import Edits, Target
from sparkcode.assistant.related import MAX_CHARS, MAX_FILES, related
from sparkcode.assistant.workspace import Workspace
from sparkcode.protocol.blocks import FileBlock
from sparkcode.syntax.lines import Region

USE = "from models import User\nimport util\n\n\ndef f():\n    return User(util.x)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "models.py").write_text("class User: ...\n")
    (tmp_path / "util.py").write_text("x = 1\n")
    return tmp_path


def names(project: Path, *blocks: FileBlock) -> list[str]:
    return [buffer.path for buffer in related(blocks, Workspace(project))]


def test_what_the_marked_lines_import(project: Path) -> None:
    assert names(project, FileBlock("use.py", USE, "python", (5, 6))) == ["models.py", "util.py"]
    assert names(project, FileBlock("use.py", USE, "python", selected=(6, 6))) == [
        "models.py",
        "util.py",
    ]
    assert names(project, FileBlock("use.py", USE, "python", (3, 4))) == []
    assert names(project, FileBlock("use.py", USE, "python")) == []


def test_what_the_instruction_names(project: Path) -> None:
    def asked(wanted: str) -> list[str]:
        block = FileBlock("use.py", USE, "python", (3, 4))
        return [buffer.path for buffer in related([block], Workspace(project), wanted)]

    assert asked("Make a User") == ["models.py"]
    assert asked("Make it") == []


def test_open_files_are_not_read_twice(project: Path) -> None:
    models = FileBlock("models.py", "class User: ...\n", "python")
    assert names(project, FileBlock("use.py", USE, "python", (5, 6)), models) == ["util.py"]


def test_sizes_are_bounded(project: Path) -> None:
    (project / "models.py").write_text("x" * (MAX_CHARS + 1))
    (project / "util.py").write_bytes(b"\xff")
    assert names(project, FileBlock("use.py", USE, "python", (5, 6))) == []
    many = [f"m{at}" for at in range(MAX_FILES + 3)]
    for each in many:
        (project / f"{each}.py").write_text("x = 1\n")
    text = "".join(f"import {each}\n" for each in many) + f"print({', '.join(many)})\n"
    found = names(project, FileBlock("use.py", text, "python", (len(many) + 1, len(many) + 1)))
    assert found == [f"{each}.py" for each in many[:MAX_FILES]]


def test_nothing_outside_the_workspace(project: Path) -> None:
    (project / "in").mkdir()
    (project / "in" / "util.py").symlink_to(project / "util.py")
    use = FileBlock("use.py", "import util\nutil.x\n", "python", (2, 2))
    assert [each.path for each in related([use], Workspace(project / "in"))] == []


def test_an_edit_carries_them_without_opening_them(project: Path) -> None:
    edits = Edits(Workspace(project))
    blocks = edits.blocks([Target("use.py", Region(5, 6))])
    assert [block.path for block, _ in blocks] == ["use.py", "models.py", "util.py"]
    assert list(edits.buffers) == ["use.py"]
    again = [block.path for block, _ in edits.blocks([])]
    assert again == ["use.py"]
    (project / "util.py").write_text("x = 2\n")
    versions = {b.path: v for b, v in edits.blocks([Target("use.py", Region(5, 6))])}
    assert versions == {"use.py": 1, "models.py": 1, "util.py": 2}
