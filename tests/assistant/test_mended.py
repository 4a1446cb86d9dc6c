"""A mended edit is a patch again, whole and exact."""

import pytest

from sparkcode.assistant.edit import EditStream, Plan
from sparkcode.assistant.mended import mended
from sparkcode.assistant.workspace import Buffer

RENAME = "Rename Usr to User everywhere"
OLD = {
    "a.py": "class Usr:\n    def make(self, name):\n        return Usr(name)\n",
    "b.py": "\ufefffrom a import Usr\r\n\r\nx = Usr()",
}
NEW = {path: text.replace("Usr", "User") for path, text in OLD.items()}


def plan(after: dict[str, str | None], before: dict[str, str | None] | None = None) -> Plan:
    before = before if before is not None else {path: OLD[path] for path in after}
    return Plan(
        {path: None if text is None else text.encode() for path, text in before.items()},
        {path: None if text is None else text.encode() for path, text in after.items()},
    )


def applied(patch: str) -> dict[str, str]:
    def opener(path: str) -> tuple[str, Buffer | None]:
        return path, Buffer(path, OLD[path], "python", 1, OLD[path].encode())

    stream = EditStream(opener)
    stream.feed(patch)
    stream.close()
    assert not stream.error
    return {path: (data or b"").decode() for path, data in stream.plan().after.items()}


def test_one_file_is_mended() -> None:
    patch, notes = mended(plan({"a.py": NEW["a.py"].replace("name)", "name: str)", 1)}), RENAME)
    assert notes == ("changed only the name 'Usr'",)
    assert applied(patch) == {"a.py": NEW["a.py"]}


def test_of_several_files_each_stays_in_the_patch() -> None:
    patch, notes = mended(plan({**NEW, "b.py": NEW["b.py"].replace("x =", "x  =")}), RENAME)
    assert notes == ("b.py: changed only the name 'Usr'",)
    assert applied(patch) == NEW
    assert patch.count("*** Begin Patch") == patch.count("*** End Patch") == 1


@pytest.mark.parametrize(
    "untouched",
    [
        plan({"a.py": NEW["a.py"]}),
        plan(
            {"a.py": NEW["a.py"].replace("name)", "name: str)", 1), "new.py": "x\n"},
            {"a.py": OLD["a.py"], "new.py": None},
        ),
        plan({"a.py": None}),
    ],
)
def test_what_is_right_or_more_than_a_change_stays(untouched: Plan) -> None:
    assert mended(untouched, RENAME) == ("", ())
