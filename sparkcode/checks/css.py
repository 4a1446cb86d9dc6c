"""Faults of a style sheet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from sparkcode.checks.fault import Fault

_DECLARATION: Final = re.compile(r"(?P<name>[\w-]+)\s*:(?P<value>[^;{}]*)")
_BARE: Final = re.compile(r"(?<![\w(-])--[a-zA-Z][\w-]*")
_TAKES_NAMES: Final = re.compile(r"transition|will-change|animation|container|^--", re.I)


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """Custom properties that are used without ``var()``, which a browser ignores."""
    for name in _bare(after) - _bare(before):
        yield Fault("lint", f"{name!r} is a custom property; its value is var({name})")


def _bare(text: str) -> Counter[str]:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return Counter(
        bare
        for declaration in _DECLARATION.finditer(text)
        if not _TAKES_NAMES.search(declaration["name"])
        for bare in _BARE.findall(declaration["value"])
    )
