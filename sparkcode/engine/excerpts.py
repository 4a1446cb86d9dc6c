"""Parts of other files that a prompt shows: what is selected in them, and what exists there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from sparkcode.engine.chatml import fenced
from sparkcode.protocol.blocks import FileBlock
from sparkcode.syntax.lines import Region, line_count
from sparkcode.syntax.names import names_in
from sparkcode.syntax.outline import Context, Piece, context, names_needed, outline

OTHER_TOKENS: Final = 500
"""Most tokens of what other files define."""
SELECTED_TOKENS: Final = 2000
"""Most tokens of one selection."""
AROUND_TOKENS: Final = 600
"""Most tokens of what a selection needs of its file."""

Count = Callable[[str], int]
"""Tokens of a text."""

_NOWHERE: Final = Region(0, 0)
_VALUE: Final = re.compile(r"[=:(]")
"""Where an assignment's, or a signature's, names end."""


def selection(block: FileBlock, count: Count) -> str:
    """The selected lines of ``block`` with what they need of their file; "" without any."""
    if block.selected is None:
        return ""
    text = block.text.replace("\r\n", "\n")
    first, last = block.selected
    lines = text.split("\n")[first - 1 : last]
    region = Region(first, last)
    known = context(text, block.language, region, budget=AROUND_TOKENS, count=count).region
    while lines and count("\n".join(lines)) > SELECTED_TOKENS:
        lines = lines[: len(lines) // 2]
    around = fenced(f"What else is in `{block.path}`:\n", known, block.language) if known else ""
    title = f"Lines {first}-{last} of `{block.path}`:\n"
    return around + fenced(title, "\n".join(lines), block.language)


def defined_elsewhere(
    block: FileBlock, others: Iterable[FileBlock], count: Count, wanted: str = ""
) -> Context:
    """What the region of ``block`` needs and one of ``others`` defines, fenced.

    What only the instruction ``wanted`` names comes apart.
    """
    others = list(others)
    text = block.text.replace("\r\n", "\n")
    region = Region(*(block.region or (1, line_count(text))))
    own = {name for piece in outline(text, block.language, region) for name in _made(piece)}
    used = names_needed(text, block.language, region) - own
    said = names_in(wanted) - own - used
    near = _shown(others, lambda piece: bool(_made(piece) & used), count, OTHER_TOKENS)
    left = max(0, OTHER_TOKENS - count(near))
    more = _shown(
        others, lambda piece: bool(_made(piece) & said) and not _made(piece) & used, count, left
    )
    return Context(near, more)


def outlines(others: Iterable[FileBlock], instruction: str, count: Count) -> str:
    """What exists in ``others``, those first that the ``instruction`` names."""
    said = names_in(instruction)
    named = sorted(others, key=lambda other: -len(names_in(other.path) & said))
    return _shown(named, lambda piece: piece.kind != "import", count, OTHER_TOKENS)


def _made(piece: Piece) -> frozenset[str]:
    """The names that a piece gives a meaning: of an assignment those before its type and value."""
    if piece.kind in ("value", "around"):
        return names_in(_VALUE.split(piece.text, maxsplit=1)[0])
    return piece.names if piece.kind == "definition" else frozenset()


def _shown(
    others: Iterable[FileBlock], wanted: Callable[[Piece], bool], count: Count, budget: int
) -> str:
    shown: list[str] = []
    for other in others:
        taken: list[str] = []
        for piece in outline(other.text.replace("\r\n", "\n"), other.language, _NOWHERE):
            cost = count(piece.text) + 1
            if wanted(piece) and cost <= budget:
                taken.append(piece.text)
                budget -= cost
        if taken:
            shown.append(fenced(f"From `{other.path}`:\n", "\n".join(taken), other.language))
    return "".join(shown)
