from __future__ import annotations

import ast

import pytest

from sparkcode.checks import pitfalls, python

OLD = (
    "class A:\n    def __init__(self, n, tags=None, seen=None):\n        self.n = n\n"
    "        self.tags = tags if tags is not None else []\n        self.seen = seen or set()\n"
)
HEAD = "@dataclass\nclass A:\n    n: int\n"


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ("tags: list = None", ["give 'tags' of A field(default_factory=list)"]),
        ("tags: list | None = None\n    seen: set = set()", [
            "give 'tags' of A field(default_factory=list)",
            "give 'seen' of A field(default_factory=set)",
        ]),
        ("tags: dict = {}", ["give 'tags' of A field(default_factory=dict)"]),
        ("tags: list = field(default_factory=list)", []),
        ("other: str = None\n    pair: tuple = ()\n    KINDS = []", []),
    ],
)  # fmt: skip
def test_fields_that_instances_would_share(fields: str, messages: list[str]) -> None:
    new = ast.parse(f"{HEAD}    {fields}\n")
    assert list(pitfalls.shared_defaults(ast.parse(OLD), new)) == messages
    plain = ast.parse(f"class A:\n    n: int\n    {fields}\n")
    assert list(pitfalls.shared_defaults(ast.parse(OLD), plain)) == []


def test_a_coroutine_that_sleeps() -> None:
    code = "import time\n{}def f():\n    time.sleep(1)\n"
    assert list(pitfalls.blocking(ast.parse(code.format("")))) == []
    assert list(pitfalls.blocking(ast.parse(code.format("async ")))) == [
        "await asyncio.sleep in f(), not time.sleep"
    ]


BEFORE = (
    "def check(user):\n    if not user.get('name') or not user['name'].strip():\n        return 1\n"
    "    return 0\n"
)
HELPER = "def blank(user, field):\n    return not user.get(field) or not user[field].strip()\n\n\n"


@pytest.mark.parametrize(
    ("condition", "wrong"),
    [
        ("blank(user, 'name')", False),
        ("not blank(user, 'name')", True),
        ("not blank(user, field='name')", True),
        ("not blank(user, 'city')", False),
        ("not blank(user)", False),
    ],
)
def test_a_helper_that_is_asked_for_the_opposite(condition: str, wrong: bool) -> None:
    after = f"{HELPER}def check(user):\n    if {condition}:\n        return 1\n    return 0\n"
    found = list(pitfalls.turned_around(ast.parse(BEFORE), ast.parse(after)))
    assert bool(found) is wrong


def test_code_that_is_meant_to_be_too_deep() -> None:
    chain = "".join(f"    elif x == {n}:\n        return {n}\n" for n in range(3000))
    before = f"def f(x):\n    if x:\n        return 0\n{chain}"
    after = before.replace("return 0", "return not g(x)") + "\n\ndef g(x):\n    return x\n"
    assert list(python.faults(before, after, "use early returns and type hints")) == []
    said = [fault.message for fault in python.faults("def f(): ...\n", after, "add a docstring")]
    assert said in ([], ["add a docstring"])


def test_a_helper_whose_opposite_was_asked_for() -> None:
    before = "def f(a):\n    return not (a.x and a.y)\n\n\ndef g(a):\n    return a.x and a.y\n"
    after = (
        "def both(a):\n    '''Doc.'''\n    return a.x and a.y\n\n\n"
        "def f(a):\n    return not both(a)\n\n\ndef g(a):\n    return both(a)\n"
    )
    assert list(pitfalls.turned_around(ast.parse(before), ast.parse(after))) == []
    longer = after.replace(
        "    return a.x and a.y\n\n\ndef f", "    x = 1\n    return x\n\n\ndef f"
    )
    assert list(pitfalls.turned_around(ast.parse(before), ast.parse(longer))) == []
