from __future__ import annotations

from sparkcode.assistant.preview import DiffRow
from sparkcode.assistant.workspace import Buffer
from sparkcode.syntax.lines import Region
from sparkcode.tui.panes import Pane, Panes, lines_of


def buffer(text: str, version: int = 1) -> Buffer:
    return Buffer("a.py", text, "python", version, text.encode())


def test_lines() -> None:
    assert lines_of("a\r\nb\n") == ["a", "b"]
    assert lines_of("a\n\nb") == ["a", "", "b"]
    assert lines_of("") == []


def test_a_pane_loads_a_version_once() -> None:
    pane = Pane("a.py")
    assert pane.last == 0
    assert pane.load(buffer("1\n2\n3\n"))
    assert not pane.load(buffer("1\n2\n3\n"))
    pane.move(9)
    assert pane.cursor == 2
    assert pane.load(buffer("1\n", 2))
    assert pane.cursor == 0


def test_the_selection_comes_before_the_definition() -> None:
    asked: list[int] = []

    def find(text: str, language: str, line: int) -> Region:
        asked.append(line)
        return Region(1, line)

    pane = Pane("a.py")
    pane.load(buffer("1\n2\n3\n4\n"))
    pane.move(2)
    assert pane.region(find) == Region(1, 3)
    assert pane.region(find) == Region(1, 3)
    assert asked == [3]
    pane.move(3, select=True)
    pane.move(1, select=True)
    assert pane.region(find) == Region(2, 3)
    pane.move(0)
    assert pane.selection is None
    assert asked == [3]


def test_an_accepted_edit_is_marked() -> None:
    pane = Pane("a.py")
    pane.load(buffer("1\n2\n3\n"))
    pane.landed([DiffRow(" ", "1", 1, 1), DiffRow("-", "x", 2, None), DiffRow("+", "2", None, 2)])
    assert pane.marks == {2}
    assert pane.cursor == 1
    pane.landed([])
    assert pane.marks == frozenset()


def test_tabs() -> None:
    panes = Panes()
    panes.step(1)
    assert panes.current is None
    for path in "abc":
        panes.add(path)
    assert panes.add("b") is panes.get("b")
    panes.step(-1)
    assert panes.current is panes.get("c")
    panes.step(1)
    assert panes.index == 0
    panes.show("b")
    panes.forget("a")
    assert panes.current is panes.get("b")
    panes.show("c")
    panes.forget("c")
    assert panes.current is panes.get("b")
    panes.forget("b")
    assert panes.current is None
    assert len(panes) == 0
