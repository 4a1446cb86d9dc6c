from __future__ import annotations

import pytest

from sparkcode.syntax.instruction import Rename, mentions, reach_of, rename_in


@pytest.mark.parametrize(
    ("instruction", "rename"),
    [
        ("Rename foo to bar", Rename("foo", "bar", alone=True)),
        ("rename `load_all()` to `load`.", Rename("load_all", "load", alone=True)),
        ("Rename the class Stack to Pile everywhere", Rename("Stack", "Pile", alone=True)),
        ("Rename Stack.push to Stack.add in this file", Rename("push", "add", alone=True)),
        ("rename the load function into read", Rename("load", "read")),
        ("rename the function load to read and log it", Rename("load", "read")),
        ("rename the parameter x to y", Rename("x", "y", local=True)),
        ("rename it to total", Rename(None, "total", alone=True)),
        ("rename this function to total", Rename(None, "total", alone=True)),
        ("Call it total", Rename(None, "total", alone=True)),
        ("This function should be called total", Rename(None, "total", alone=True)),
        ("load should be named read", Rename("load", "read", alone=True)),
        ("Replace all uses of foo with bar", Rename("foo", "bar", alone=True)),
        ("Replace foo with bar everywhere", Rename("foo", "bar", alone=True)),
        ("Replace foo with bar", None),
        ("The callback should be called once", None),
        ("Load the settings lazily and call it once", None),
        ("Rename foo to foo", None),
        ("Add a function foo", None),
        ("", None),
    ],
)
def test_renames(instruction: str, rename: Rename | None) -> None:
    found = rename_in(instruction)
    if found is None or rename is None:
        assert found is rename
    else:
        assert (found.old, found.new, found.local) == (rename.old, rename.new, rename.local)
        assert found.alone or not rename.alone


def test_a_rename_that_asks_for_more_is_not_alone() -> None:
    found = rename_in("rename the function load to read and log it")
    assert found is not None
    assert not found.alone


@pytest.mark.parametrize(
    ("instruction", "reach"),
    [
        ("Add type hints everywhere", "file"),
        ("Sort the imports of this file", "file"),
        ("Use f-strings throughout", "file"),
        ("Add docstrings to all functions", "file"),
        ("Document every class", "file"),
        ("Fix all uses of foo", "file"),
        ("Add type hints to all methods", "class"),
        ("log in every public method of the class", "class"),
        ("Use slots in this class", "class"),
        ("Open the file and close it at the end of the file", None),
        ('Say "not found in this file"', None),
        ("Say 'everywhere' instead", None),
        ("Add a check", None),
    ],
)
def test_how_far_an_instruction_goes(instruction: str, reach: str | None) -> None:
    assert reach_of(instruction) == reach


def changed(instruction: str) -> list[str]:
    return [each.name for each in mentions(instruction) if each.sure and not each.tool]


@pytest.mark.parametrize(
    ("instruction", "names"),
    [
        ("Add a docstring to load_config", ["load_config"]),
        ("In `load`, return None", ["load"]),
        ("Fix load() and the class Stack", ["load", "Stack"]),
        ("the load function should log", ["load"]),
        ("load should log", []),
        ("Use load_config instead of read_config", []),
        ("Use load_config or read_config here", []),
        ("It must behave like the function load_config", []),
        ("Delegate to `load`", []),
        ("Call it from main_loop", []),
        ("Remove the print from main_loop", ["main_loop"]),
        ("Make Stack.push return self", ["push"]),
        ('Raise "no load_config"', []),
        ("Don't touch `a`, but `b`", ["a", "b"]),
    ],
)
def test_names_that_are_to_be_changed(instruction: str, names: list[str]) -> None:
    assert changed(instruction) == names


def test_what_a_name_stands_in() -> None:
    (found,) = [each for each in mentions("Make Stack.push fast") if each.name == "push"]
    assert found.holder == "Stack"
