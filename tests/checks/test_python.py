from __future__ import annotations

import pytest

from sparkcode.checks.python import broken, faults

F = "    def f(self):\n        return self.y\n"


def found(before: str, after: str, instruction: str = "x") -> str:
    return "; ".join(fault.message for fault in faults(before, after, instruction))


def test_why_a_text_does_not_compile() -> None:
    assert broken("x = 1\n") is None
    assert broken("x = (\n") == "'(' was never closed (line 1)"


def test_a_new_undefined_name() -> None:
    before = "def f(days):\n    return days * 86400\n"
    after = before.replace("86400", "SECONDS_PER_DAY")
    assert found(before, after) == "the name 'SECONDS_PER_DAY' is not defined"
    assert found(after, after.replace("days", "hours")) == ""
    assert found(before, "SECONDS_PER_DAY = 86400\n\n\n" + after) == ""


def test_an_import_that_is_still_needed() -> None:
    before = "import os\n\n\ndef f():\n    return os.sep\n"
    assert found(before, before.replace("import os\n", "")) == "the name 'os' is not defined"


@pytest.mark.parametrize(
    "after",
    [
        "import os\nimport os\n\nprint(os.sep)\n",  # clumsy, not wrong
        "import sys\n",
        "def f():\n    unused = 1\n",
    ],
)
def test_what_is_only_untidy_is_no_fault(after: str) -> None:
    assert found("import os\n\nprint(os.sep)\n", after) == ""


def test_a_function_that_stands_there_twice() -> None:
    before = "def f():\n    return 1\n"
    assert "redefinition of unused 'f'" in found(before, before + "\n\n" + before)


def test_attributes_that_nothing_makes() -> None:
    before = "class A:\n    def __init__(self):\n        self.x = 1\n\n" + F.replace("y", "x")
    assert found(before, before.replace("return self.x", "return self.y")) == (
        "'A' has no attribute 'y'"
    )


@pytest.mark.parametrize(
    "after",
    [
        "class A(Base):\n    def f(self):\n        return self.y\n",
        "class A:\n    y = 1\n\n    def f(self):\n        return self.y\n",
        "class A:\n    y: int\n\n    def f(self):\n        return self.y\n",
        "class A:\n    __slots__ = ('y',)\n\n    def f(self):\n        return self.y\n",
        "class A:\n    def __getattr__(self, name):\n        return 1\n\n" + F,
        "class A:\n    def y(self):\n        return self.f\n\n" + F,
        "@register\nclass A:\n    def f(self):\n        return self.y\n",
        "class A:\n    def f(self):\n        self.y = 1\n        return self.__class__, self.y\n",
    ],
)
def test_attributes_that_may_well_be_there(after: str) -> None:
    assert "no attribute" not in found("class Base:\n    pass\n", after)


def test_arguments_of_a_logger() -> None:
    before = "import logging\n\nlog = logging.getLogger()\nprint('a', 1)\n"
    wrong = before.replace("print(", "log.info(")
    assert "has 1 arguments for 0 placeholders" in found(before, wrong)
    assert found(before, before.replace("print('a', 1)", "log.info('a %s', 1)")) == ""
    assert found(before, before.replace("print('a', 1)", "log.info('%d %% of %s', 1, 2)")) == ""
    assert found(before, before.replace("print('a', 1)", "log.info('%(a)s', {'a': 1})")) == ""
    assert found(before, before.replace("print('a', 1)", "log.info('a', *[1])")) == ""
    assert found(wrong, wrong.replace("import logging", "import logging, os")) == ""


def test_a_value_of_a_function_that_gives_none() -> None:
    helper = "def ok(x):\n    if not x:\n        raise ValueError(x)\n\n\n"
    before = "def f(x):\n    if not x:\n        raise ValueError(x)\n"
    wrong = helper + "def f(x):\n    if not ok(x):\n        raise ValueError(x)\n"
    assert found(before, wrong) == "ok() is used as a value but returns none"
    assert found(before, wrong.replace("if not ok(x):\n        raise ValueError(x)", "ok(x)")) == ""
    gives = helper.replace("        raise", "        return 1\n    raise")
    assert found(before, wrong.replace(helper, gives)) == ""
    fails = "def ok(x):\n    raise NotImplementedError\n\n\n"
    assert found(before, wrong.replace(helper, fails)) == ""


def test_a_call_that_cannot_be_awaited() -> None:
    before = "import time\n\n\ndef poll(check):\n    return check()\n"
    wrong = before.replace("def poll", "async def poll").replace("check()", "await check()")
    assert "check() is awaited" in found(before, wrong, "make poll async")
    assert found(before, wrong, "make poll and check async") == ""
    known = wrong.replace("import time", "import time\n\n\nasync def check():\n    pass\n")
    assert "awaited" not in found(before, known, "make poll async")


def test_what_does_not_parse_is_left_to_others() -> None:
    assert found("x = (\n", "y\n") == ""
    assert found("x = 1\n", "y = (\n") == ""
