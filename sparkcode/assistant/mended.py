"""A whole edit with its slips put right, as a patch again."""

from __future__ import annotations

from sparkcode.assistant.edit import Plan
from sparkcode.assistant.staged import as_patch
from sparkcode.mend.mending import mend
from sparkcode.syntax.languages import language_of


def mended(plan: Plan, instruction: str) -> tuple[str, tuple[str, ...]]:
    """The patch that makes the mended files of ``plan``, and what was put right in them.

    Both empty where nothing was, or where the edit does more than change files.
    """
    texts: dict[str, bytes | None] = {}
    notes: list[str] = []
    for path, (before, after) in plan.pairs.items():
        if before is None or after is None:
            return "", ()
        result = mend(before.decode(), after.decode(), language_of(path), instruction)
        texts[path] = result.text.encode()
        several = len(plan.after) > 1
        notes += [f"{path}: {note}" if several else note for note in result.notes]
    return (as_patch(plan.before, texts), tuple(notes)) if notes else ("", ())
