"""What an instruction edits in several open files."""

from __future__ import annotations

import pytest

from sparkcode.assistant.aim import aim
from sparkcode.assistant.edits import Target, places
from sparkcode.syntax.lines import Region
from sparkcode.syntax.widen import Source

STACK = (
    "class Stack:\n    def push(self, item):\n        pass\n\n\ndef make():\n    return Stack()\n"
)
APP = "import stack\n\n\ndef main():\n    items = stack.Stack()\n    items.push(1)\n"
SOURCES = {
    "stack.py": Source.of(STACK, "python"),
    "app.py": Source.of(APP, "python"),
    "notes.md": Source.of("Nothing here.\n", "markdown"),
}


@pytest.mark.parametrize(
    ("instruction", "path", "region", "shown"),
    [
        ("Rename it to Pile", "stack.py", (1, 3), "stack.py:1-7; app.py:4-6"),
        ("Rename Stack to Pile", "app.py", (4, 6), "app.py:4-6"),
        ("Rename Stack to Pile everywhere", "app.py", (4, 6), "app.py:4-6; stack.py:1-7"),
        ("Rename Stack to Pile everywhere", "notes.md", (1, 1), "stack.py:1-7; app.py:4-6"),
        ("Rename Stack to Pile", "notes.md", (1, 1), "notes.md:1-1"),
        # A method's name may be another's in another file.
        ("Rename push to add", "stack.py", (1, 7), "stack.py:1-7"),
        ("Rename push to add everywhere", "stack.py", (1, 7), "stack.py:1-7; app.py:4-6"),
        ("Add type hints everywhere", "stack.py", (6, 7), "stack.py:1-7"),
        ("Add a check", "stack.py", (6, 7), "stack.py:6-7"),
    ],
)
def test_where_an_instruction_leads(
    instruction: str, path: str, region: tuple[int, int], shown: str
) -> None:
    assert places(aim(instruction, SOURCES, path, Region(*region))) == shown


def test_many_places_are_counted() -> None:
    found = [Target("a.py", Region(each, each)) for each in (1, 3, 5)]
    assert places(found) == "a.py:1-1, 3-3, 5-5"
    assert places([*found, Target("a.py", Region(9, 9))]) == "a.py: 4 places"
