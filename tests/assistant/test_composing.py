from __future__ import annotations

from collections.abc import Mapping

import pytest

from sparkcode.assistant.composing import ASKED_WHOLE, Asked, Desk, composed
from sparkcode.assistant.edits import NEW, Target
from sparkcode.assistant.intent import intent_of
from sparkcode.errors import UsageError
from sparkcode.syntax.lines import Region
from sparkcode.syntax.widen import Source

CALC = "def add(a, b):\n    return a + b\n\n\nclass Box:\n    def area(self):\n        return 1\n"
USE = "from calc import add\n\n\ndef twice(a):\n    return add(a, a)\n"
HERE = Region(1, 2)
TEXTS = {"calc.py": CALC, "use.py": USE}


def asked(
    instruction: str,
    *,
    texts: Mapping[str, str] = TEXTS,
    path: str = "calc.py",
    region: Region | None = HERE,
    selected: bool = False,
    there: tuple[str, ...] = (),
) -> Asked:
    sources = {name: Source.of(text, "python") for name, text in texts.items()}
    desk = Desk(sources, path, region, selected, there.__contains__, lambda path: "a\nb\n")
    return composed(intent_of(instruction, exists=there.__contains__), desk)


def test_an_edit_follows_the_words_unless_lines_are_selected() -> None:
    assert asked("Add a check").targets == (Target("calc.py", Region(1, 2)),)
    rename = asked("Rename add to plus")
    assert {each.path for each in rename.targets} == {"calc.py", "use.py"}
    chosen = asked("Rename add to plus", selected=True)
    assert chosen.targets == (Target("calc.py", Region(1, 2)),)
    assert chosen.title == "edit"


def test_without_a_file_there_is_nothing_to_edit() -> None:
    nothing = asked("Add a check", texts={}, path="")
    assert (nothing.kind, nothing.targets, nothing.about) == ("edit", (), None)


def test_a_new_file_is_all_of_it() -> None:
    new = asked("/new pkg/a.py a sieve", texts={}, path="")
    assert new == Asked("new", "a sieve", (Target("pkg/a.py", NEW),))
    assert new.title == "new file pkg/a.py"
    with pytest.raises(UsageError, match=r"'calc\.py' is there already"):
        asked("/new calc.py a sieve", there=("calc.py",))


def test_an_explanation_is_about_what_is_pointed_to() -> None:
    told = asked("/explain")
    assert (told.targets, told.about) == ((), Target("calc.py", Region(1, 2)))
    assert told.title == "explain calc.py:1-2"
    assert asked("/explain", texts={}, path="").title == "explain"
    whole = asked("Explain this", region=None)
    assert whole.about == Target("calc.py", Region(1, 7))


def test_a_question_is_about_the_file_or_the_selection() -> None:
    assert asked("Why?").about is None
    assert asked("Why?").title == "ask"
    task = asked("/task Rename it", selected=True)
    assert (task.title, task.targets, task.about) == ("task in the whole folder", (), None)
    assert asked("Why?", selected=True).title == "ask about calc.py:1-2"


def test_in_a_long_file_a_question_is_about_what_is_pointed_to() -> None:
    long = {"calc.py": CALC + "x = 1\n" * ASKED_WHOLE}
    assert asked("Why?", texts=long).about == Target("calc.py", Region(1, 2))
    assert asked("Why?", texts=long, region=None).about is None


def test_tests_of_what_is_pointed_to() -> None:
    tests = asked("/test")
    assert tests.targets == (Target("test_calc.py", NEW),)
    assert tests.about == Target("calc.py", Region(1, 2))
    assert tests.title == "tests for calc.py:1-2 in test_calc.py"
    assert tests.instruction.startswith("Write tests for this code. Write four")
    assert "from calc import add" in tests.instruction


def test_tests_of_what_is_named() -> None:
    assert asked("/test twice").about == Target("use.py", Region(4, 5))
    method = asked("Write tests for Box.area")
    assert method.about == Target("calc.py", Region(6, 7))
    assert "from calc import Box" in method.instruction
    assert "import calc" in asked("/test", region=Region(3, 3)).instruction
    with pytest.raises(UsageError, match=r"defines .Lid\.area."):
        asked("Write tests for Lid.area")
    with pytest.raises(UsageError, match="nothing is open"):
        asked("/test", texts={}, path="")


def test_tests_go_to_the_end_of_a_file_that_is_there() -> None:
    open_too = {**TEXTS, "test_calc.py": "import calc\n\nx = 1\n"}
    more = asked("/test add", texts=open_too, there=("test_calc.py",))
    assert more.targets == (Target("test_calc.py", Region(4, 3)),)
    on_disk = asked("/test add", there=("test_calc.py",))
    assert on_disk.targets == (Target("test_calc.py", Region(3, 2)),)
