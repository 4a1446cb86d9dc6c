from __future__ import annotations

import pytest

from sparkcode.replay.judge import Observation, judge
from sparkcode.replay.script import Expect, parse

SEEN = Observation(
    screen="HUD wall\n+ raise ValueError",
    files={"a.py": b"x = 1\n", "want.py": b"x = 2\n", "same.py": b"x = 1\n"},
    figures={("ttft", "sim"): 0.1, ("toks", "wall"): None},
)


@pytest.mark.parametrize(
    ("line", "passed", "actual"),
    [
        ("Expect screen /raise \\w+/", True, "shown: 'raise ValueError'"),
        ("Expect screen /^\\+ raise/", True, "shown: '+ raise'"),
        ("Expect screen /gone/", False, "not on the screen"),
        ("ExpectNot screen /gone/", True, "not on the screen"),
        ("ExpectNot screen /HUD/", False, "shown: 'HUD'"),
        ("Expect file a.py /x = \\d/", True, "holds: 'x = 1'"),
        ("Expect file a.py /y/", False, "no match in the file"),
        ("Expect file b.py /y/", False, "no file 'b.py'"),
        ("ExpectNot file b.py /y/", True, "no file 'b.py'"),
        ("Expect file a.py == same.py", True, "equal"),
        ("Expect file a.py == want.py", False, "differs at byte 4"),
        ("ExpectNot file a.py == want.py", True, "differs at byte 4"),
        ("Expect file a.py == lost.py", False, "no file 'lost.py' to compare with"),
        ("Expect ttft <= 100ms sim", True, "100.000ms sim"),
        ("Expect ttft < 100ms sim", False, "100.000ms sim"),
        ("Expect ttft <= 1s", False, "no wall ttft yet"),
        ("Expect toks >= 1", False, "no wall toks yet"),
    ],
)
def test_verdicts(line: str, passed: bool, actual: str) -> None:
    (statement,) = parse(line, "demo").statements
    expect = statement.action
    assert isinstance(expect, Expect)
    verdict = judge(statement, expect, SEEN)
    assert (verdict.passed, verdict.actual) == (passed, actual)
    assert verdict.source == line


def test_a_rate_is_shown_with_its_unit() -> None:
    (statement,) = parse("Expect toks > 900 sim", "demo").statements
    expect = statement.action
    assert isinstance(expect, Expect)
    seen = Observation(figures={("toks", "sim"): 1234.5})
    assert judge(statement, expect, seen).actual == "1234.50 tok/s sim"
