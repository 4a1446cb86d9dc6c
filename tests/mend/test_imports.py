"""Imports go where they belong, once, and those that an edit lacks are added where it is sure."""

import pytest

from sparkcode.mend import imports

HEAD = '"""Docs."""\n\nimport os\nimport sys\nfrom typing import Any\n\nimport numpy as np\n\n\n'
BODY = "def f(x: Any):\n    return np.sum(x), os, sys\n\n\ndef g():\n    return 1\n"
BEFORE = HEAD + BODY


def mended(after: str, before: str = BEFORE) -> str:
    return imports.mended(before, after, "python", "Change it")[0]


@pytest.mark.parametrize(
    ("use", "old", "new"),
    [
        ("time.sleep(1)", "import sys\n", "import sys\nimport time\n"),
        ("json.dumps(1)", "import os\n", "import json\nimport os\n"),
        ("Path('a')", "import sys\n", "import sys\nfrom pathlib import Path\n"),
        ("Iterable", "import Any\n", "import Any, Iterable\n"),
        ("defaultdict(list)", "import sys\n", "import sys\nfrom collections import defaultdict\n"),
        ("datetime.now()", "import sys\n", "import sys\nfrom datetime import datetime\n"),
        ("datetime.datetime.now()", "import os\n", "import datetime\nimport os\n"),
        (
            "log.info('x')",
            "import numpy as np\n",
            "import numpy as np\n\nlog = logging.getLogger(__name__)\n",
        ),
    ],
)
def test_what_is_surely_meant_is_imported(use: str, old: str, new: str) -> None:
    after = BEFORE.replace("return 1", f"return {use}")
    expected = after.replace(old, new, 1)
    if "logging" in new:
        expected = expected.replace("import os\n", "import logging\nimport os\n")
    assert mended(after) == expected
    assert mended(expected) == expected


@pytest.mark.parametrize(
    "use",
    [
        "token.value",
        "count",
        "helper(1)",
        "time",
        "partial",
        "requests.get(1)",
        "this.x",
        "Fraktion",
    ],
)
def test_what_may_be_a_mistake_is_not(use: str) -> None:
    after = BEFORE.replace("return 1", f"return {use}")
    assert mended(after) == after


def test_what_was_undefined_before_is_left() -> None:
    before = BEFORE.replace("return 1", "return time.time()")
    after = before.replace("time.time()", "time.time() + 1")
    assert mended(after, before) == after


def test_imports_in_the_middle_go_to_the_head() -> None:
    after = BEFORE.replace("def g", "import re\nimport os\n\n\ndef g").replace("1\n", "re, 1\n")
    expected = BEFORE.replace("import os\n", "import os\nimport re\n").replace("1\n", "re, 1\n")
    assert mended(after) == expected


def test_imports_that_are_there_twice_are_there_once() -> None:
    after = BEFORE.replace("def f", "import os\n\n\ndef f").replace("1\n", "2\n")
    assert mended(after) == BEFORE.replace("1\n", "2\n")


def test_late_imports_of_before_and_local_ones_stay() -> None:
    before = BEFORE + "\n\nimport re\n"
    after = before.replace("return 1", "import os\n    return 2")
    assert mended(after, before) == after


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("def g():\n    return 1\n", "import time\n\n\ndef g():\n"),
        ("x = 1\n", "import time\n\nx = "),
        ("#!/usr/bin/python\nx = 1\n", "#!/usr/bin/python\n\nimport time\n\nx = "),
        ("# Licence.\n\nx = 1\n", "# Licence.\n\nimport time\n\nx = "),
        ("# About x.\nx = 1\n", "import time\n\n# About x.\nx = "),
        ('"""Docs."""\nx = 1\n', '"""Docs."""\n\nimport time\n\nx = '),
        ("from . import a\n\nx = 1\n", "import time\n\nfrom . import a\n\nx = "),
        (
            "from __future__ import annotations\n\nx = 1\n",
            "from __future__ import annotations\n\nimport time\n\nx = ",
        ),
        ("import os; x = 1\n", "import time\n\nimport os; x = "),
        ("import a\r\n\r\nx = 1\r\n", "import time\r\n\r\nimport a\r\n\r\nx = "),
    ],
)
def test_a_file_without_a_place_for_it_gets_one(before: str, expected: str) -> None:
    after = before.replace("1", "time.time()")
    assert mended(after, before).startswith(expected)


def test_only_python_that_parses_is_looked_at() -> None:
    assert imports.mended("x", "time.sleep(1)", "ruby", "") == ("time.sleep(1)", "")
    assert imports.mended("x", "time.sleep(1", "python", "") == ("time.sleep(1", "")
