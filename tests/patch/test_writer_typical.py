"""Edits as people make them: the written patch reads like a normal diff."""

from __future__ import annotations

import difflib

import pytest

from sparkcode.patch.writer import write
from tests.patch.test_writer import patched

BASE = '''\
import json
import sys

from app import config


class Greeter:
    """Says hello."""

    def __init__(self, name, loud=False):
        self.name = name
        self.loud = loud
        self.count = 0

    def greet(self):
        text = "hello " + self.name
        if self.loud:
            text = text.upper()
        self.count += 1
        return text

    def reset(self):
        self.count = 0
        return None


def main(argv):
    if not argv:
        return 1
    greeter = Greeter(argv[0])
    for item in argv:
        print(greeter.greet())
        log(item)
        if item == "x":
            break
    return 0
'''
LOOP = BASE[BASE.index("    for item") : BASE.index("    return 0")]
EDITS = {
    "insert two lines": (
        "        self.count += 1\n",
        "        self.count += 1\n        if self.count > 9:\n            raise ValueError(self)\n",
    ),
    "rename a variable": ("greeter", "speaker"),
    "rename an attribute": ("self.count", "self.calls"),
    "delete a line": ("        self.loud = loud\n", ""),
    "replace a line": ('"hello " + self.name', 'f"hello {self.name}"'),
    "add a docstring": ("greet(self):\n", 'greet(self):\n        """Return the greeting."""\n'),
    "reindent a block": (
        LOOP,
        "    with lock:\n" + "".join(f"    {line}\n" for line in LOOP.splitlines()),
    ),
    "add an import": ("import json\n", "import json\nimport os\n"),
    "add a first import": ("import json\n", "import abc\nimport json\n"),
    "add a method": (
        "    def reset(self):\n",
        "    def shout(self):\n        self.loud = True\n        return self.greet()\n\n"
        "    def reset(self):\n",
    ),
    "delete a method": ("    def reset(self):\n        self.count = 0\n        return None\n", ""),
    "change a signature": ("name, loud=False)", "name: str, loud: bool = False) -> None"),
    "rewrite a body": (
        '        text = "hello " + self.name\n        if self.loud:\n',
        '        parts = ["hello", self.name]\n        text = " ".join(parts)\n',
    ),
    "change a constant": ("return 1", "return 2"),
    "append to the file": ("    return 0\n", "    return 0\n\n\nif __debug__:\n    main([])\n"),
    "wrap in try": (
        "    greeter = Greeter(argv[0])\n",
        "    try:\n        greeter = Greeter(argv[0])\n    except TypeError:\n        return 2\n",
    ),
    "swap two lines": (
        "        self.name = name\n        self.loud = loud\n",
        "        self.loud = loud\n        self.name = name\n",
    ),
    "add a line among like ones": (
        "        self.loud = loud\n",
        "        self.size = size\n        self.loud = loud\n",
    ),
    "add type hints": ("(self):", "(self) -> str:"),
    "add an early return": ("    for item", "    if not greeter:\n        return 0\n    for item"),
}


def changes(lines: list[str]) -> int:
    return sum(line[:1] in ("+", "-") and line[:3] not in ("+++", "---") for line in lines)


@pytest.mark.parametrize("name", EDITS)
def test_typical_edits_read_like_a_normal_diff(name: str) -> None:
    after = BASE.replace(*EDITS[name])
    patch = write("f", BASE, after)
    usual = list(difflib.unified_diff(BASE.splitlines(), after.splitlines()))
    assert patched(BASE, patch) == after
    assert changes(patch.splitlines()) <= changes(usual)


def test_replacements_stand_line_by_line() -> None:
    patch = write("f", BASE, BASE.replace("greeter", "speaker"))
    assert "-    greeter = Greeter(argv[0])\n+    speaker = Greeter(argv[0])\n" in patch
    assert "-        print(greeter.greet())\n+        print(speaker.greet())\n" in patch


def test_a_very_long_file_is_quick() -> None:
    before = "".join(f"row {each % 7}\n" for each in range(30_000))
    after = before.replace("row 3\n", "row three\n", 50)
    assert patched(before, write("f", before, after)) == after
