"""Mend an edited file: slips of copying, a rename's stray changes, imports, idle names. Pure.

A small model changes lines that nobody asked it to change, and it cannot import what it uses when
the imports stand outside the lines that it rewrites. Both can be put right by rule. Every rule
holds back where the instruction speaks of its matter, and a mended file must be no worse in review.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparkcode.checks.fault import total
from sparkcode.checks.review import MAX_CHARACTERS, review
from sparkcode.mend import (
    awaits,
    blanks,
    copying,
    fields,
    handlers,
    imports,
    logs,
    renaming,
    signatures,
)

_Rule = Callable[[str, str, str, str], tuple[str, str]]
"""From before, after, language and instruction: the mended text, and in a few words what was done;
both as they were where nothing was."""

_RULES: Final[tuple[_Rule, ...]] = (
    renaming.mended,
    copying.mended,
    blanks.mended,
    signatures.mended,
    handlers.mended,
    awaits.mended,
    logs.mended,
    fields.mended,
    imports.mended,
)


@dataclass(frozen=True, slots=True)
class Mended:
    """An edited file, and what was put right in it."""

    text: str
    notes: tuple[str, ...] = ()
    """One line each, for the user."""


def mend(before: str, after: str, language: str, instruction: str) -> Mended:
    """``after``, a file that ``instruction`` made of ``before``, with its slips put right."""
    if before == after or max(len(before), len(after)) > MAX_CHARACTERS:
        return Mended(after)

    def weight(text: str) -> int:
        return total(review(before, text, language, instruction))

    best, least = Mended(after), None
    for rule in _RULES:
        text, note = rule(before, best.text, language, instruction)
        if text == best.text:
            continue
        least = weight(after) if least is None else least
        found = weight(text)
        if found <= least:
            best, least = Mended(text, (*best.notes, note)), found
    return best
