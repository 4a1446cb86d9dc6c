"""What an instruction asks of Python code, and an edit is seen to lack."""

from __future__ import annotations

import ast

import pytest

from sparkcode.checks import asked

LOOP = "def f(xs):\n    out = []\n    for x in xs:\n        out.append(x)\n    return out\n"
NESTED = "def f(a, b):\n    if a:\n        if b:\n            return 1\n    return 0\n"
SORTED = "def f(xs):\n    return sorted(xs)\n"
CLASS = "class A:\n    def m(self, x):\n        return x\n\n    def n(self):\n        return 1\n"
TYPED = CLASS.replace("(self, x)", "(self, x: int) -> int")
DOC = CLASS.replace("x):\n", 'x):\n        """Doc."""\n')
LOG = "import logging\nlog = logging.getLogger()\n\n\ndef f(x):\n    print(x)\n"

LACKING = [
    ("add type hints", "def f(a, b=1): ...\n", "def f(a: int, b=1): ...\n",
     ["give 'b' of f() a type hint", "give f() a type hint for its result"]),
    ("add type hints", "def f(a): ...\n", "def f(a):\n    pass\n", ["add type hints"]),
    ("annotate all methods", CLASS, TYPED, ["give n() a type hint for its result"]),
    ("add a docstring", "def f(): ...\n", "def f():\n    pass\n", ["add a docstring"]),
    ("document the class and its methods", CLASS, DOC,
     ["give the class A a docstring", "give n() a docstring"]),
    ("use an f-string", 'x = "a" + b\n', 'x = "a" + str(b)\n', ["write an f-string"]),
    ("use f-strings", 'x = "T: %.2f%%" % a\n', 'x = f"T: ${a:.2f}%"\n',
     ["keep the text in the strings as it was"]),
    ("use a list comprehension", LOOP, LOOP.replace("out = []", "out = [0]"),
     ["write a comprehension"]),
    ("use a list comprehension", LOOP, LOOP.replace("return out", "return [x for x in xs]"),
     ["remove the loop"]),
    ("use sum() instead", LOOP, LOOP.replace("return out", "return sum(xs)"),
     ["remove the loop"]),
    ("raise a KeyError for unknown names", "def f(d, k):\n    return d.get(k)\n",
     "def f(d, k):\n    return d.get(k, KeyError(k))\n", ["write `raise KeyError`"]),
    ("use early returns", NESTED, NESTED.replace("0", "2"), ["nest f() less: return early"]),
    ("highest score first", SORTED, "def f(xs):\n    return sorted(xs, key=len)\n",
     ["turn the order around"]),
    ("sort in descending order", SORTED, SORTED.replace("sorted(xs)", "sorted(list(xs))"),
     ["turn the order around"]),
    ("log a warning", LOG, LOG.replace("print(x)", "print(x)\n    print('w')"),
     ["use the logger, not print()"]),
    ("log the value", LOG, LOG.replace("print(x)", "return x"), ["call the logger"]),
    ("Replace the magic number 60 with a constant PER_MINUTE",
     "def f(x):\n    return x * 60 + 60\n",
     "PER_MINUTE = 60\n\n\ndef f(x):\n    return x * PER_MINUTE + 60\n",
     ["replace 60 in f() too"]),
    ("make 1.5 a constant FACTOR", "def f(x):\n    return x * 1.5\n",
     "FACTOR = 1.5\n\n\ndef f(x):\n    return 1.5 * x\n", ["replace 1.5 in f() too"]),
    ("add an optional reverse flag", SORTED, SORTED.replace("f(xs)", "f(xs, reverse=False)"),
     ["use the new parameter 'reverse' in f()"]),
    ("add a parameter key", SORTED, SORTED.replace("xs)\n", "xs, key=None)\n"),
     ["add the parameter"]),
    ("Add a peek method", CLASS, CLASS + "\n    def look(self):\n        return 2\n",
     ["define peek"]),
    ("add a property named size", CLASS, CLASS + "\n    width = 1\n", ["define size"]),
    ("use a with statement", "def f(p):\n    return open(p).read()\n",
     "def f(p):\n    h = open(p)\n    return h.read()\n", ["write a with statement"]),
    ("use zip", LOOP, LOOP.replace("in xs", "in list(xs)"), ["use zip"]),
    ("use pathlib instead", "def f(p): ...\n", "def f(p):\n    return p\n",
     ["use pathlib"]),
]  # fmt: skip

FINE = [
    ("add type hints", "def f(a, *b): ...\n", "def f(a: int, *b: str) -> None: ...\n"),
    ("add type hints to the class", CLASS, TYPED.replace("n(self)", "n(self) -> int")),
    ("add the return type only", "def f(a): ...\n", "def f(a) -> None: ...\n"),
    ("remove the type hints", "def f(a: int) -> None: ...\n", "def f(a): ...\n"),
    ("annotate the fields", "class A:\n    pass\n", "class A:\n    x: int = 1\n"),
    ("add type hints", "class A:\n    def __init__(self, a): ...\n",
     "class A:\n    def __init__(self, a: int): ...\n"),
    ("add a docstring", "def f(): ...\n", 'def f():\n    """Doc."""\n'),
    ("shorten the docstrings", 'def f():\n    """Doc doc."""\n', 'def f():\n    """Doc."""\n'),
    ("add a docstring to the method m of this class", CLASS, DOC),
    ("use an f-string", 'x = "a%s: " % b["k"] + c\n', "x = f\"a{b['k']}: {c}\"\n"),
    ("use f-strings", 'x = "{{{0:>{w}}}}".format(a)\n', 'x = f"{{{a:>{w}}}}"\n'),
    ("use an f-string", 'x = " ".join([a, b])\n', 'x = f"{a} {b}"\n'),
    ("remove the f-strings", 'x = f"{a}"\n', "x = str(a)\n"),
    ("use a list comprehension", LOOP, "def f(xs):\n    return [x for x in xs]\n"),
    ("with a comprehension", "def f(xs): ...\n", "def f(xs):\n    return {x for x in xs}\n"),
    ("raise ValueError if x is negative", "def f(x): ...\n",
     "def f(x):\n    if x < 0:\n        raise ValueError\n"),
    ("don't raise KeyError", "def f(x):\n    raise KeyError(x)\n", "def f(x):\n    return x\n"),
    ("return None, it may raise ValueError", "def f(x):\n    return int(x)\n",
     "def f(x):\n    return None\n"),
    ("use guard clauses", NESTED,
     "def f(a, b):\n    if not a:\n        return 0\n    if b:\n        return 1\n    return 0\n"),
    ("flatten the nested list", SORTED, SORTED.replace("sorted(xs)", "sum(xs, [])")),
    ("highest first", SORTED, "def f(xs):\n    return sorted(xs, reverse=True)\n"),
    ("largest first", SORTED, SORTED.replace("sorted(xs)", "sorted(xs, key=lambda x: -x)")),
    ("newest first", SORTED, SORTED.replace("sorted(xs)", "list(reversed(sorted(xs)))")),
    ("the newest first name", "def f(x):\n    return x\n", "def f(x):\n    return x + 1\n"),
    ("log the value", LOG, LOG.replace("print(x)", "log.info('%s', x)")),
    ("remove the logging", LOG, LOG.replace("print(x)", "pass")),
    ("Put 30 into a constant MAX_DELAY", "def f(n):\n    return min(30, n)\n",
     "MAX_DELAY = 30\n\n\ndef f(n):\n    return min(MAX_DELAY, n)\n"),
    ("make these constants", "def f():\n    return 5\n", "def f():\n    return 5 + 1\n"),
    ("add a parameter sep", "def f(a):\n    return ','.join(a)\n",
     "def f(a, sep=','):\n    return sep.join(a)\n"),
    ("add a flag to the abstract method", "def f(a): ...\n", "def f(a, flag=False): ...\n"),
    ("add a docstring that describes the parameters", "def f(a): ...\n",
     'def f(a):\n    """Doc of a."""\n'),
    ("add a check for the argument", "def f(a):\n    return a\n", "def f(a):\n    return a or 1\n"),
    ("Add a peek method", CLASS, CLASS + "\n    def peek(self):\n        return 2\n"),
    ("Add a helper method", CLASS, CLASS + "\n    def peek(self):\n        return 2\n"),
    ("Add a repr method", CLASS, CLASS + "\n    def __repr__(self):\n        return ''\n"),
    ("use a with statement", "def f(p):\n    return open(p).read()\n",
     "def f(p):\n    with open(p) as h:\n        return h.read()\n"),
    ("use zip", LOOP, LOOP.replace("in xs", "in zip(xs)")),
    ("use pathlib", "def f(p): ...\n", "def f(p):\n    return Path(p)\n"),
    ("use map files", "def f(p): ...\n", "def f(p):\n    return p\n"),
    ("support zip files", "def f(p): ...\n", "def f(p):\n    return p\n"),
]  # fmt: skip


def said(instruction: str, before: str, after: str) -> list[str]:
    return list(asked.faults(ast.parse(before), ast.parse(after), instruction))


@pytest.mark.parametrize(("instruction", "before", "after", "messages"), LACKING)
def test_what_an_edit_lacks(instruction: str, before: str, after: str, messages: list[str]) -> None:
    assert said(instruction, before, after) == messages


@pytest.mark.parametrize(("instruction", "before", "after"), FINE)
def test_what_does_as_it_was_asked(instruction: str, before: str, after: str) -> None:
    assert said(instruction, before, after) == []
