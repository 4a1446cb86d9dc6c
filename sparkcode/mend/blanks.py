"""Blank lines between two lines that both stay, and still follow each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from sparkcode.mend.window import differing

_MEANT: Final = re.compile(
    r"\b(?:spac|whitespac|blank|empty lines?|newline|separat|format|reformat|style|pep ?-?8|lint"
    r"|black|tid(?:y|ies)|clean|group|paragraph)",
    re.IGNORECASE,
)
_EDGE: Final = ("",)


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with as many blank lines as there were wherever nothing new stands between."""
    window = differing(before, after)
    if window is None or _MEANT.search(instruction):
        return after, ""
    old, new = _parted(window.old), _parted(window.new)
    lines: list[str] = []
    gaps = [gap for gap, _ in new]
    keys = [[(line,) if line else _EDGE for _, line in each] for each in (old, new)]
    # Where the window begins, both texts go on from the same line.
    matcher = SequenceMatcher(None, [_EDGE, *keys[0]], [_EDGE, *keys[1]], autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        for at in range(1, size):
            gaps[b + at - 1] = old[a + at - 1][0]
    for gap, (_, line) in zip(gaps, new, strict=True):
        lines += [*gap, line] if line else gap
    return window.with_new(lines), "blank lines as they were"


def _parted(lines: Sequence[str]) -> list[tuple[list[str], str]]:
    """Every line that is not blank with the blank ones before it; the end is ``""``."""
    found: list[tuple[list[str], str]] = []
    gap: list[str] = []
    for line in lines:
        if line.strip():
            found.append((gap, line))
            gap = []
        else:
            gap.append(line)
    return [*found, (gap, "")]
