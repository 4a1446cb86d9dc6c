"""What ``exec`` is asked and answered in its tests."""

from __future__ import annotations

import json
from typing import Any

from sparkcode.cli.exec_ import exec_command
from tests.cli.scripted import invoke

CALC = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
FIXED = CALC.replace("a - b", "a + b", 1)
DIFF = (
    "--- a/calc.py\n+++ b/calc.py\n@@ -1,5 +1,5 @@\n def add(a, b):\n"
    "-    return a - b\n+    return a + b\n \n \n def sub(a, b):\n"
)


def patch(body: str, path: str = "calc.py") -> str:
    return f"*** Begin Patch\n*** Update File: {path}\n@@\n{body}\n*** End Patch\n"


SCRIPT: list[dict[str, Any]] = [
    {
        "match": "Add",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return a + b"),
        "tokens_per_second": 200,
    },
    {
        "match": "Again",
        "patch": patch("-def add(a, b):\n+def add(a, b):\n-    return a - b\n+    return a + b"),
    },
    {
        "match": "(Wrong|Tested)(.|\\n)*(Take care|An earlier answer)",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return a + b"),
    },
    {
        "match": "Wrong",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return undefined"),
    },
    {
        "match": "Tested",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return a * b"),
    },
    {
        "match": "Root",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return math.sqrt(a)"),
    },
    {"match": "Misfit", "patch": patch("-nowhere")},
    {"match": "Escape", "patch": patch("-x\n+y", "../victim.py")},
    {"match": "Windows", "patch": patch("-b\n+B")},
    {"match": "Hush", "reply": ""},
    {
        "match": "File: new/box.py\nEdit region: lines 1-0\nNew file\n(.|\n)*Instruction: a box",
        "patch": "*** Begin Patch\n*** Add File: new/box.py\n+class Box: ...\n*** End Patch\n",
    },
    {
        "match": "(?s)File: test_calc.py\nEdit region: lines 1-0\nNew file\n.*"
        "File: calc.py\nSelected: lines 5-6\n.*Instruction: Write tests for sub. .*pytest",
        "patch": "*** Begin Patch\n*** Add File: test_calc.py\n+import calc\n*** End Patch\n",
    },
    {
        "match": "(?s)File: test_calc.py\nEdit region: lines 2-1\n.*Write tests for sub. ",
        "patch": patch(" import calc\n+def test_sub(): ...", "test_calc.py"),
    },
    {"match": "(?s)File: calc.py\nSelected: lines 1-2\n.*Explain", "reply": "It subtracts."},
    {"match": "Look", "call": {"name": "search", "arguments": {"pattern": "a - b"}}},
    {
        "match": "Look",
        "result": "calc.py:2",
        "patch": patch(" def add(a, b):\n-    return a - b\n+    return a + b"),
    },
    {
        "match": "Look",
        "result": "M calc.py",
        "call": {"name": "run_command", "arguments": {"command": "grep -c . calc.py"}},
    },
    {
        "match": "Look twice",
        "result": "exit status 0",
        "patch": "*** Begin Patch\n*** Add File: new.txt\n+n\n*** End Patch\n",
    },
    {"match": "Look wrong", "result": "not allow", "patch": patch("-nowhere")},
    {"match": "Look", "result": "", "reply": "Done."},
    {"match": "Break", "reply": "I will", "error": "the engine gave up"},
    {"match": "Slow", "reply": "never", "ttft": 60},
    {"match": "(?s)File: calc.py.*File: notes.md.*two files", "reply": "both"},
    {"match": "Edit region(.|\\n)*Why\\?", "reply": "edit"},
    {"match": "File: calc.py(.|\\n)*Why\\?", "reply": "answer"},
    {
        "match": "(?s)File: calc.py\nEdit region: lines 1-6\n.*File: use.py\nEdit region: lines 3-3"
        "\n.*File: other.py\n```.*Instruction: Rename add",
        "patch": patch("-def add(a, b):\n+def plus(a, b):").replace(
            "*** End Patch\n",
            "*** Update File: use.py\n@@\n-print(calc.add(1, 2))\n+print(calc.plus(1, 2))\n"
            "*** End Patch\n",
        ),
    },
    {"match": "Edit region: lines 3-4\n(.|\n)*Name f1", "reply": "narrowed"},
    {"match": "", "reply": "It is a \x1b[31mcalculator."},
]


def run(*args: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    return invoke(exec_command, args, stdin)


def lines(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]
