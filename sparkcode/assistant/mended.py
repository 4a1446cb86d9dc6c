"""A whole edit with its slips put right, as a patch again."""

from __future__ import annotations

from sparkcode.assistant.edit import Plan
from sparkcode.mend.mending import mend
from sparkcode.patch.apply import split_lines
from sparkcode.patch.writer import PatchWriter
from sparkcode.syntax.languages import language_of


def mended(plan: Plan, instruction: str) -> tuple[str, tuple[str, ...]]:
    """The patch that makes the mended files of ``plan``, and what was put right in them.

    Both empty where nothing was, or where the edit does more than change files.
    """
    texts: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    for path, (before, after) in plan.pairs.items():
        if before is None or after is None:
            return "", ()
        old, new = before.decode(), after.decode()
        result = mend(old, new, language_of(path), instruction)
        texts[path] = old, result.text
        several = len(plan.after) > 1
        notes += [f"{path}: {note}" if several else note for note in result.notes]
    return (_patch(texts), tuple(notes)) if notes else ("", ())


def _patch(texts: dict[str, tuple[str, str]]) -> str:
    writer: PatchWriter | None = None
    patch = ""
    for path, (before, after) in texts.items():
        whole = (1, len(split_lines(before)))
        writer = PatchWriter(path, before, whole, endings="exact", after=writer)
        patch += writer.feed(after) + writer.end()
    return patch if writer is None else patch + writer.close()
