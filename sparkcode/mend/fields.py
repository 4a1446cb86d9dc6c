"""Fields of a new dataclass that every instance would share, or that lost their own value."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from sparkcode.checks import pitfalls, trees
from sparkcode.mend.signatures import parsed
from sparkcode.mend.source import Swap, swapped

_IMPORT: Final = re.compile(r"^from dataclasses import (?P<names>[\w, ]+)$", re.MULTILINE)
_MODULE: Final = re.compile(r"^import dataclasses$", re.MULTILINE)


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with ``field(default_factory=...)`` where a field needs it."""
    if language != "python" or before == after or "dataclass" not in after:
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    maker = "dataclasses.field" if _MODULE.search(after) else "field"
    swaps = list(_swaps(old, new, maker))
    if not swaps:
        return after, ""
    text = swapped(after, [swap for swap, _ in swaps])
    if maker == "field":
        text = _IMPORT.sub(_with_field, text, count=1)
    names = dict.fromkeys(name for _, name in swaps)
    return text, f"{', '.join(names)}: a value of its own for each instance"


def _swaps(old: ast.Module, new: ast.Module, maker: str) -> Iterator[tuple[Swap, str]]:
    for _, member, kind in pitfalls.shared(old, new):
        if member.value is not None:
            name = ast.unparse(member.target)
            yield Swap.of(member.value, f"{maker}(default_factory={kind})"), name
    # The decorator has no attribute of that name.
    for node in ast.walk(new) if "dataclass" in set(trees.named(new)) else ():
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "dataclass.field":
            yield Swap.of(node, maker), "field"


def _with_field(match: re.Match[str]) -> str:
    names = [name.strip() for name in match["names"].split(",")]
    return match[0] if "field" in names else f"{match[0]}, field"
