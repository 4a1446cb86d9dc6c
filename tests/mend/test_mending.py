"""All rules together, and those that are short."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.checks.fault import total
from sparkcode.checks.review import review
from sparkcode.mend.mending import Mended, mend

RENAME = "Rename Usr to User everywhere"
USERS = "class Usr:\n    def make(self, name):\n        return Usr(name)\n"


@pytest.mark.parametrize(
    ("slip", "expected"),
    [
        (
            ("name):", "name: str):"),
            "class User:\n    def make(self, name):\n        return User(name)\n",
        ),
        (("class", "# The user.\nclass"), USERS.replace("Usr", "User")),
        (("return ", "return  "), USERS.replace("Usr", "User")),
    ],
)
def test_a_rename_changes_the_name_alone(slip: tuple[str, str], expected: str) -> None:
    after = USERS.replace("Usr", "User").replace(*slip)
    assert mend(USERS, after, "python", RENAME).text == expected


@pytest.mark.parametrize(
    ("before", "after", "instruction", "expected"),
    [
        (
            "def f(a, b=1):\n    return a\n",
            "def f(a: int, b: int=1) -> int:\n    return b\n",
            "Return b",
            "def f(a, b=1):\n    return b\n",
        ),
        ("def f(a):\n    return a\n", "def f(a: int):\n    return a\n", "Add type hints", None),
        ("def f(a):\n    return a\n", "def f(a: int, b):\n    return a\n", "Take b", None),
        ("def f(a: int):\n    return a\n", "def f(a: str):\n    return a\n", "Take words", None),
        ("def f(a): return a\n", "def f(a: int): return a + 1\n", "Add 1", None),
        (
            "try:\n    f()\nexcept (A, B):\n    pass\n",
            'try:\n    f()\nexcept (A, B) as e:\n    log.exception("no luck: %s", e)\n',
            "Log it",
            'try:\n    f()\nexcept (A, B):\n    log.exception("no luck")\n',
        ),
        (
            "try:\n    f()\nexcept A:\n    pass\n",
            "try:\n    f()\nexcept A as e:\n    return None\n",
            "Return None",
            "try:\n    f()\nexcept A:\n    return None\n",
        ),
        (
            "try:\n    f()\nexcept A:\n    pass\n",
            "try:\n    f()\nexcept A as e:\n    g(e)\n",
            "Give it to g",
            None,
        ),
        (
            "try:\n    f()\nexcept A:\n    pass\n",
            'try:\n    f()\nexcept A as e:\n    log.exception("%s %s", e)\n',
            "Log it",
            None,
        ),
        (
            "def poll(check):\n    return check()\n",
            "async def poll(check):\n    return await check()\n",
            "Make poll async",
            "async def poll(check):\n    return check()\n",
        ),
        (
            "def poll(check):\n    return check()\n",
            "async def poll(check):\n    return await check()\n",
            "Make poll and check async",
            None,
        ),
        (
            "def get(s):\n    return s.get()\n",
            "async def get(s):\n    return await s.get()\n",
            "Make it async",
            None,
        ),
        (
            'print("read", n, "rows of 100%")\n',
            'logger.info("read", n, "rows of 100%")\n',
            "Log it",
            'logger.info("read %s rows of 100%%", n)\n',
        ),
        (
            'print("read", n, "rows")\n',
            'logger.info("read", n, "rows")\n',
            "Log it",
            'logger.info("read %s rows", n)\n',
        ),
        ('print("n:", n)\n', 'logger.info("n: %d", n)\n', "Log it", None),
        ('print("n:", *n)\n', 'logger.info("n:", *n)\n', "Log it", None),
        ('logger.info("a", b)\n', 'logger.info("a", b)\nx = 1\n', "Add x", None),
    ],
)
def test_python_is_mended_by_rule(
    before: str, after: str, instruction: str, expected: str | None
) -> None:
    head = "import logging\n\nlogger = log = logging.getLogger()\n"
    text = mend(head + before, head + after, "python", instruction).text
    assert text == head + (after if expected is None else expected)


lines = st.lists(
    st.sampled_from(
        [
            "import os\n",
            "from typing import Any\n",
            "\n",
            "def f(a):\n",
            "    return a\n",
            "    return time.time()\n",
            "# why\n",
            "x = 'a'  # b\n",
            'x = "a"\n',
            "async def g(f):\n",
            "    await f()\n",
            "try:\n",
            "    f()\n",
            "except A as e:\n",
            "except A:\n",
            "    pass\n",
            '    log.info("a", x)\n',
            "class C:\n",
            "    def f(self, a: int) -> Any:\n",
            "        return a\n",
            '    """Doc."""\n',
            "\ufeff",
            "\x0c\n",
            "é = 1\r\n",
            "    log",
        ]
    ),
    max_size=12,
).map("".join)


@given(lines, lines, st.sampled_from(["Change it", "Rename f to g", "Format it", "Add types"]))
def test_what_is_mended_is_no_worse_and_stays(before: str, after: str, instruction: str) -> None:
    once = mend(before, after, "python", instruction)
    was, now = (total(review(before, text, "python", instruction)) for text in (after, once.text))
    assert now <= was
    assert (once.text == after) == (not once.notes)
    assert mend(before, before, "python", instruction) == Mended(before)
    if parses(before) and parses(after):
        assert parses(once.text)


def parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def test_a_rule_that_makes_it_worse_is_not_followed() -> None:
    before = "x = 1  # one\n"
    assert mend(before, "x = 1\n", "python", "Do it") == Mended("x = 1\n")
