"""A rename changes the name and nothing else."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from sparkcode.mend.window import differing
from sparkcode.syntax.instruction import rename_in


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with every line as it was, but for the new name."""
    rename = rename_in(instruction)
    if rename is None or rename.old is None or not rename.alone:
        return after, ""
    word = re.compile(rf"(?<!\w){re.escape(rename.old)}(?!\w)")
    window = differing(before, after)
    if window is None:
        return after, ""

    def renamed(line: str) -> str:
        return word.sub(rename.new, line)

    old, new = [renamed(line) for line in window.old], [renamed(line) for line in window.new]
    lines: list[str] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        # Which occurrences have the new name is the model's to say, line by line.
        lines += window.new[c:d] if kind == "equal" else old[a:b]
    return window.with_new(lines), f"changed only the name {rename.old!r}"
