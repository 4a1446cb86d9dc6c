"""Expectations against observations: a pure verdict with its reason."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sparkcode.replay.script import (
    Comparison,
    Expect,
    ExpectFigure,
    ExpectFile,
    ExpectScreen,
    Statement,
)

_COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there when an expectation is judged."""

    screen: str = ""
    """The painted rows, joined by newlines."""
    files: Mapping[str, bytes] | None = None
    """Bytes by path, of the workspace and of what ``==`` names (under its own name)."""
    figures: Mapping[tuple[str, str], float | None] | None = None
    """(figure, axis) to value; None when the turn has none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one expectation held, and what was there instead."""

    line: int
    source: str
    passed: bool
    actual: str


def judge(statement: Statement, expect: Expect, seen: Observation) -> Verdict:
    """The verdict on one expectation."""
    match expect:
        case ExpectScreen():
            passed, actual = _screen(expect, seen.screen)
        case ExpectFile():
            passed, actual = _file(expect, seen.files or {})
        case ExpectFigure():
            passed, actual = _figure(expect, seen.figures or {})
    return Verdict(statement.line, statement.source, passed, actual)


def _screen(expect: ExpectScreen, screen: str) -> tuple[bool, str]:
    found = re.search(expect.pattern, screen, re.MULTILINE)
    if found is not None:
        return not expect.negated, f"shown: {found[0][:120]!r}"
    return expect.negated, "not on the screen"


def _file(expect: ExpectFile, files: Mapping[str, bytes]) -> tuple[bool, str]:
    data = files.get(expect.path)
    if data is None:
        return expect.negated, f"no file {expect.path!r}"
    if expect.equals:
        return _equal(expect, data, files.get(expect.equals))
    found = re.search(expect.pattern, data.decode(errors="replace"), re.MULTILINE)
    if found is not None:
        return not expect.negated, f"holds: {found[0][:120]!r}"
    return expect.negated, "no match in the file"


def _equal(expect: ExpectFile, data: bytes, wanted: bytes | None) -> tuple[bool, str]:
    if wanted is None:
        return False, f"no file {expect.equals!r} to compare with"
    if data == wanted:
        return not expect.negated, "equal"
    return expect.negated, f"differs at byte {_first_difference(data, wanted)}"


def _first_difference(left: bytes, right: bytes) -> int:
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _figure(
    expect: ExpectFigure, figures: Mapping[tuple[str, str], float | None]
) -> tuple[bool, str]:
    value = figures.get((expect.figure, expect.axis))
    if value is None:
        return False, f"no {expect.axis} {expect.figure} yet"
    shown = f"{value * 1000:.3f}ms" if expect.figure == "ttft" else f"{value:.2f} tok/s"
    return _COMPARE[expect.comparison](value, expect.bound), f"{shown} {expect.axis}"
