"""What an instruction would edit while it is typed, and the choice against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant.edits import Target
from sparkcode.assistant.workspace import Buffer
from sparkcode.syntax.lines import Region
from sparkcode.syntax.widen import Source
from sparkcode.tui.aiming import Aiming, label
from sparkcode.tui.panes import Panes
from tests.tui.support import Table, table, virtually

BOX = """class Box:
    def area(self):
        return self.side ** 2

    def grow(self):
        self.side += 1


def make():
    return Box()
"""
USE = "import box\n\n\ndef main():\n    print(box.make())\n"


@pytest.fixture
def panes() -> Panes:
    found = Panes()
    for path, text in (("box.py", BOX), ("use.py", USE)):
        found.add(path).load(Buffer(path, text, "python", 1, text.encode()))
    return found


def shown(aiming: Aiming, instruction: str) -> str:
    return label(aiming.asked(instruction).targets)


def at(panes: Panes, line: int) -> Aiming:
    """The cursor on a line, from 1."""
    assert panes.current is not None
    panes.current.move(line - 1)
    return Aiming(panes)


def test_the_words_decide_and_a_selection_wins(panes: Panes) -> None:
    aiming = at(panes, 3)
    assert shown(aiming, "") == "box.py:2-3"
    assert shown(aiming, "Add docstrings everywhere") == "box.py:1-10"
    assert shown(aiming, "Add docstrings to all methods") == "box.py:1-6"
    assert shown(aiming, "Rename make to build") == "box.py:9-10 +1 file"
    assert panes.current is not None
    panes.current.move(3, select=True)
    assert shown(aiming, "Rename make to build everywhere") == "box.py:3-4"
    aiming.step("")
    assert panes.current.chosen is None


def test_the_key_goes_outward_and_back(panes: Panes) -> None:
    aiming = at(panes, 3)
    seen = []
    for _ in range(6):
        seen.append(shown(aiming, "Add a check"))
        aiming.step("Add a check")
    assert seen == ["box.py:2-3", "box.py:1-6", "box.py:1-10"] * 2
    seen = []
    for _ in range(6):
        seen.append(shown(aiming, "Add type hints to all methods"))
        aiming.step("Add type hints to all methods")
    assert seen == ["box.py:1-6", "box.py:2-3", "box.py:1-10"] * 2


def test_a_choice_holds_until_the_cursor_moves(panes: Panes) -> None:
    aiming = at(panes, 9)
    aiming.step("Rename make to build")
    assert shown(aiming, "Rename make to build") == "box.py:9-10"
    aiming.step("Rename make to build")
    assert shown(aiming, "Rename make to build") == "box.py:1-10"
    assert shown(aiming, "Add a check") == "box.py:1-10"
    assert panes.current is not None
    panes.current.move(9)
    assert shown(aiming, "Rename make to build") == "box.py:9-10 +1 file"


def test_nothing_is_found_twice(panes: Panes, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def of(text: str, language: str) -> Source:
        read.append(text)
        return Source(text, tuple(text.split("\n")), ())

    monkeypatch.setattr("sparkcode.tui.aiming.Source.of", of)
    aiming = at(panes, 3)
    assert aiming.known("Add a check") is None
    for instruction in ("Add a check", "Add a check", "Rename x to y", "Rename x to z"):
        aiming.asked(instruction)
        assert aiming.known(instruction) == aiming.asked(instruction)
    assert read == [BOX, USE]
    assert Aiming(Panes()).asked("x").targets == ()
    Aiming(Panes()).step("x")


def test_files_are_counted() -> None:
    region = Region(1, 2)
    targets = tuple(Target(path, region) for path in "abc")
    assert [label(targets[:count]) for count in (1, 2, 3)] == [
        "a:1-2",
        "a:1-2 +1 file",
        "a:1-2 +2 files",
    ]


def box(folder: Path) -> None:
    (folder / "box.py").write_text(BOX)
    (folder / "use.py").write_text(USE)


def marked(screen: Table) -> list[int]:
    """Line numbers of the file that are marked."""
    rows = [row for row in screen.rows() if row[:1] in ("▌", "▶") and row[1:5].strip().isdigit()]
    return [int(row[1:5]) for row in rows]


def test_the_title_follows_the_instruction_and_all_of_it_is_sent(tmp_path: Path) -> None:
    box(tmp_path)

    async def work() -> None:
        async with table(tmp_path, paths=("box.py", "use.py")) as screen:
            assert "edit box.py:1-6" in screen.text()
            await screen.type("Rename make to build")
            await screen.wait()
            assert "edit box.py:9-10 +1 file" in screen.text()
            assert marked(screen) == [1, 9, 10]
            await screen.press("ctrl+r")
            assert "edit box.py:1-6 " in screen.text()
            await screen.press("ctrl+r", "ctrl+r")
            assert "edit box.py:9-10 +1 file" in screen.text()
            await screen.press("enter")
            asked = str(await screen.engine.next())
            assert "File: box.py\\nEdit region: lines 9-10\\n" in asked
            assert "File: use.py\\nEdit region: lines 4-5\\n" in asked
            assert "box.py:9-10; use.py:4-5" in screen.text()

    virtually(work)


def test_a_question_leads_nowhere(tmp_path: Path) -> None:
    box(tmp_path)

    async def work() -> None:
        async with table(tmp_path, paths=("box.py", "use.py")) as screen:
            await screen.type("Why is this everywhere?")
            await screen.wait()
            assert "ask about box.py " in screen.text()

    virtually(work)


def test_a_new_file_is_announced_written_and_taken_back(tmp_path: Path) -> None:
    box(tmp_path)

    async def work() -> None:
        async with table(tmp_path, paths=("box.py",)) as screen:
            await screen.type("/new")
            await screen.wait()
            assert "/new needs a path" in screen.text()
            await screen.type(" lid.py a lid")
            await screen.wait()
            assert "new file lid.py" in screen.text()
            assert marked(screen) == [1]
            await screen.press("enter")
            patch = "*** Begin Patch\n*** Add File: lid.py\n+LID = 1\n*** End Patch\n"
            response = await screen.stream_patch(patch)
            await screen.engine.completed(response)
            await screen.wait(0.5)
            assert "lid.py +1 -0" in screen.rows()[0]
            await screen.press("y")
            await screen.wait()
            assert (tmp_path / "lid.py").read_text() == "LID = 1\n"
            await screen.type("/new lid.py again")
            await screen.wait()
            assert "'lid.py' is there already" in screen.text()
            await screen.press("enter")
            assert "'lid.py' is there already" in screen.text()
            assert "again" in screen.text()

    virtually(work)


def test_what_is_explained_or_tested_is_marked(tmp_path: Path) -> None:
    box(tmp_path)

    async def work() -> None:
        async with table(tmp_path, paths=("box.py", "use.py")) as screen:
            await screen.type("/explain")
            await screen.wait()
            assert "explain box.py:1-6" in screen.text()
            await screen.press("enter")
            asked = str(await screen.engine.next())
            assert "File: box.py\\nSelected: lines 1-6\\n" in asked
            await screen.press("escape")
            await screen.type("/test make")
            await screen.wait()
            assert "tests for box.py:9-10 in test_box.py" in screen.text()
            assert marked(screen) == [1, 9, 10]

    virtually(work)
