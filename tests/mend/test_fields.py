"""Values of a dataclass that each instance needs for itself."""

from __future__ import annotations

import pytest

from sparkcode.mend.fields import mended

BEFORE = (
    "class A:\n    def __init__(self, n, tags=None):\n        self.n = n\n"
    "        self.tags = tags if tags is not None else []\n"
)


@pytest.mark.parametrize(
    ("head", "value", "better"),
    [
        ("from dataclasses import dataclass", "None", "field(default_factory=list)"),
        ("from dataclasses import dataclass", "[]", "field(default_factory=list)"),
        ("from dataclasses import dataclass, field", "dict()", "field(default_factory=dict)"),
        (
            "from dataclasses import dataclass",
            "dataclass.field(default_factory=list)",
            "field(default_factory=list)",
        ),
    ],
)
def test_a_value_of_its_own(head: str, value: str, better: str) -> None:
    text = f"{head}\n\n\n@dataclass\nclass A:\n    n: int\n    tags: list = {value}  # é\n"
    found, note = mended(BEFORE, text, "python", "make it a dataclass")
    assert found == text.replace(f"{head}\n", "from dataclasses import dataclass, field\n").replace(
        f"= {value} ", f"= {better} "
    )
    assert note.endswith(": a value of its own for each instance")


def test_by_the_module_where_that_is_imported() -> None:
    text = "import dataclasses\n\n\n@dataclasses.dataclass\nclass A:\n    tags: list = []\n"
    found, _ = mended(BEFORE, text, "python", "")
    assert "tags: list = dataclasses.field(default_factory=list)" in found


@pytest.mark.parametrize(
    "after",
    [
        "class A:\n    tags = []\n",
        "@dataclass\nclass A:\n    tags: list = field(default_factory=list)\n",
        "@dataclass\nclass A:\n    n: int = None\n",
        "@dataclass\nclass A:\n    tags: list = [\n",
    ],
)
def test_what_is_right_or_no_dataclass_stays(after: str) -> None:
    assert mended(BEFORE, after, "python", "") == (after, "")
    assert mended(BEFORE, after, "rust", "") == (after, "")
