"""An edit that should only give something another name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sparkcode.checks.fault import Fault
from sparkcode.syntax.instruction import rename_in


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """A fault when more than the name is different.

    Which of its occurrences change is not judged: the same word may name something else. Nor is a
    new file.
    """
    rename = rename_in(instruction)
    if rename is None or rename.old is None or not rename.alone or not before:
        return
    word = re.compile(rf"(?<!\w){re.escape(rename.old)}(?!\w)")
    expected, found = (word.sub(rename.new, text).splitlines() for text in (before, after))
    if expected == found:
        return
    same = (old == new for old, new in zip(expected, found, strict=False))
    line = next((at for at, equal in enumerate(same, 1) if not equal), None)
    line = line or min(len(expected), len(found)) + 1
    yield Fault("wider", f"line {line} differs by more than the new name {rename.new!r}")
