"""What a region needs of the rest of its file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.syntax.lines import Region, line_count
from sparkcode.syntax.names import names_used
from sparkcode.syntax.outline import SPARE_TOKENS, Context, context, outline

PYTHON = '''\
import logging
from shop import (
    Item,
)

LIMIT = 5
log = logging.getLogger(__name__)
print("started")


@cached
def price(item: Item) -> int:
    """What it costs."""
    return total(item)


def total(item):
    return item.price


class Box(Base):
    size = 1

    def __init__(self, width):
        self.width = width
        self.height: int = 3
        local = 1

    @property
    def area(self):
        return self.width

    def grow(self, by=1):
        self.width += by


def last():
    return 1
'''


def line_of(text: str) -> int:
    return PYTHON[: PYTHON.index(text)].count("\n") + 1


def test_a_functions_context_is_imports_values_and_signatures() -> None:
    first = line_of("def total")
    shown = context(PYTHON, "python", Region(first, first + 1)).region
    assert shown.startswith("import logging\nfrom shop import (\n    Item,\n)\nLIMIT = 5\nlog = ")
    assert "def price(item: Item) -> int: ..." in shown
    assert "return" not in shown
    assert "started" not in shown
    assert "def total" not in shown


def test_a_methods_context_is_its_class() -> None:
    first = line_of("    @property")
    shown = context(PYTHON, "python", Region(first, first + 2)).region.split("\n")
    assert shown[shown.index("class Box(Base): ...") :] == [
        "class Box(Base): ...",
        "    size = 1",
        "    def __init__(self, width): ...",
        "        self.width = width",
        "        self.height: int = 3",
        "    def grow(self, by=1): ...",
        "def last(): ...",
    ]


def test_the_whole_file_has_no_rest() -> None:
    assert context(PYTHON, "python", Region(1, line_count(PYTHON))) == Context("", "")


def first_piece(holder: str) -> str:
    first = line_of(holder)
    region = Region(first, first + 2)
    return context(PYTHON, "python", region, budget=1, count=lambda piece: 0).region


def test_what_the_region_names_comes_first() -> None:
    assert first_piece("def price") == "from shop import (\n    Item,\n)"
    assert first_piece("def last") == "import logging"


def test_what_only_the_instruction_names_comes_apart() -> None:
    text = "".join(f"def other_{n}(value): pass\n" for n in range(1000)) + "def f():\n    pass\n"
    for wanted in ("", "Call other_900, as in other_1, in f"):
        found = context(text, "python", Region(1001, 1002), wanted=wanted)
        assert found.region.startswith("def other_0(value): ...\ndef other_1(value): ...\n")
        assert "other_900" not in found.region
        assert found.instruction == ("def other_900(value): ..." if wanted else "")


MEMBERS = """\
class A:
    def read(self): pass
    def close(self): pass


class B:
    def read(self): pass
    def flush(self): pass


def use(x, name):
    \"\"\"Not Other's.\"\"\"
    return x.read(), x.flush(), f"{Needed}", name.Other


class Other:
    pass


class Needed:
    pass
"""


def test_a_member_that_several_have_tells_nothing_and_prose_neither() -> None:
    first = MEMBERS[: MEMBERS.index("def use")].count("\n") + 1
    region = Region(first, first + 2)
    names = names_used(MEMBERS, "python", region)
    assert names.plain == {"use", "x", "name", "Needed"}
    assert names.members == {"read", "flush", "Other"}
    found = context(MEMBERS, "python", region, budget=2, count=lambda piece: 0).region
    assert found.split("\n")[0] == "class B: ..."
    assert "class A" not in found


def test_what_nobody_names_takes_no_more_than_its_share() -> None:
    strangers = "".join(f"def other_{n}(value): pass\n" for n in range(1000))
    text = f"{strangers}def used(): pass\ndef f():\n    return used()\n"
    shown = context(text, "python", Region(1002, 1003), count=lambda piece: 10).region
    assert shown.endswith("\ndef used(): ...")
    assert shown.count("\n") == SPARE_TOKENS // 11


def test_callers_come_before_strangers() -> None:
    text = "def one():\n    pass\ndef two():\n    pass\ndef three():\n    return one()\n"
    kept = context(text, "python", Region(1, 2), budget=1, count=lambda text: 0).region
    assert kept == "def three(): ..."


@pytest.mark.parametrize(
    ("language", "text", "region", "shown"),
    [
        (
            "javascript",
            'import x from "x";\nexport const two = (a) => {\n  return a;\n};\nfunction f() {}\n',
            Region(5, 5),
            'import x from "x";\nexport const two = (a) => { ... }',
        ),
        (
            "typescript",
            "interface User {\n  name: string;\n}\nfunction f() {}\n",
            Region(4, 4),
            "interface User {\n  name: string;\n}",
        ),
        (
            "go",
            "package a\nconst Max = 3\ntype T struct {\n\tN int\n}\n"
            "func (t T) F() int {\n\treturn 1\n}\nfunc g() {\n}\n",
            Region(9, 10),
            "package a\nconst Max = 3\ntype T struct {\n\tN int\n}\nfunc (t T) F() int { ... }",
        ),
        (
            "rust",
            "use std::fmt;\nstruct P { x: i32 }\nimpl P {\n    fn a(&self) {\n    }\n"
            "    fn b(&self) {\n    }\n}\n",
            Region(6, 7),
            "use std::fmt;\nstruct P { x: i32 }\nimpl P { ... }\n    fn a(&self) { ... }",
        ),
        (
            "java",
            "import java.util.List;\nclass A {\n  int n = 3;\n  int get() {\n    return n;\n  }\n"
            "  void put() {\n  }\n}\n",
            Region(7, 8),
            "import java.util.List;\nclass A { ... }\n  int n = 3;\n  int get() { ... }",
        ),
        (
            "c",
            "#include <a.h>\n#define N 3\nint add(int a) {\n  return a;\n}\nint main(void) {\n}\n",
            Region(6, 7),
            "#include <a.h>\n#define N 3\nint add(int a) { ... }",
        ),
        (
            "bash",
            "NAME=1\nf() {\n  echo $NAME\n}\ng() {\n  f\n}\n",
            Region(5, 7),
            "NAME=1\nf() { ... }",
        ),
        (
            "python",
            "def f(a):\n    # Why.\n    return a\n__all__ = []\ndef g():\n    pass\n",
            Region(5, 6),
            "def f(a): ...",
        ),
        ("json", '{"a": 1}\n', Region(1, 1), ""),
        ("brainfuck", "+++\n", Region(1, 1), ""),
    ],
)
def test_each_language_says_what_exists(
    language: str, text: str, region: Region, shown: str
) -> None:
    assert context(text, language, region).region == shown


def test_a_long_value_is_cut() -> None:
    text = "TABLE = {\n" + "    1: 2,\n" * 100 + "}\n\n\ndef f():\n    pass\n"
    last = line_count(text)
    shown = context(text, "python", Region(last - 1, last)).region
    assert shown.count("\n") == 8
    assert shown.endswith("\n...")


@given(
    st.text(alphabet="def x():\n\t{}=;class é'\"#"),
    st.sampled_from(["python", "javascript", "c", "rust"]),
    st.integers(1, 8),
    st.integers(0, 60),
)
def test_any_text_has_a_context_within_its_budget(
    text: str, language: str, first: int, budget: int
) -> None:
    region = Region(first, first + 2)
    found = context(text, language, region, wanted="def x", budget=budget, count=len)
    assert len(found.region) + len(found.instruction) <= budget
    for piece in outline(text, language, region):
        assert piece.line >= 1
