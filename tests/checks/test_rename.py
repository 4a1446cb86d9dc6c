"""A rename changes the name and nothing else."""

import pytest

from sparkcode.checks import rename

BEFORE = "class Usr:\n    def make(self, name):\n        return Usr(name)  # a Usr, not a Usrs\n"
ASKED = "The class Usr should be called User. Update all uses."


@pytest.mark.parametrize(
    "after",
    [
        BEFORE.replace("class Usr", "class User").replace("Usr(name)", "User(name)"),
        "class User:\n    def make(self, name):\n        return User(name)  # a User, not a Usrs\n",
    ],
)
def test_the_name_alone_is_no_fault(after: str) -> None:
    assert list(rename.faults(BEFORE, after, ASKED)) == []


def test_a_new_file_is_no_wider_rename() -> None:
    assert list(rename.faults("", "Usr is now User.\n", ASKED)) == []


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (BEFORE.replace("Usr", "User").replace("name):", "name: str):"), 2),
        (BEFORE.replace("Usr", "User"), 3),
        (BEFORE.replace("class Usr", "class User") + "\n", 4),
        (BEFORE.replace("class Usr", "class User").rsplit("\n", 2)[0], 3),
    ],
)
def test_more_than_the_name_is_a_fault(after: str, line: int) -> None:
    (fault,) = rename.faults(BEFORE, after, ASKED)
    assert fault.message == f"line {line} differs by more than the new name 'User'"


@pytest.mark.parametrize(
    "asked",
    ["Rename Usr to User and add a docstring", "Add a docstring", "Rename it to User"],
)
def test_an_instruction_that_asks_for_more_allows_more(asked: str) -> None:
    assert list(rename.faults(BEFORE, BEFORE.replace("name):", "name: str):"), asked)) == []
