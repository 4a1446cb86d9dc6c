"""Faults of a file of settings: a part of the instruction of which nothing is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from sparkcode.checks.fault import Fault

_PARTS: Final = re.compile(r"\s*(?:,|;|\.(?=\s|$)|\band\b|\bbut\b|\balso\b|\bthen\b)\s*", re.I)
_BRINGS: Final = re.compile(
    r"(?:please |also )*(?:add|set|use|cache|run|enable|require|allow|pin|limit|include|install"
    r"|support|test|build|expose|mount|log|retry|bump|upgrade|name|call)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]{2,}|\d+(?:\.\d+)*")
_COMMON: Final = frozenset(
    {"add", "set", "use", "run", "enable", "require", "allow", "pin", "limit", "include", "install"}
    | {"support", "bump", "upgrade", "name", "call", "please", "also", "the", "for", "with", "from"}
    | {"that", "this", "new", "all", "version", "versions", "least", "most", "its", "not", "only"}
    | {"well", "too", "another", "more", "least", "same", "key", "option", "entry", "file"}
)


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """Parts such as "cache pip" that say what is to come, and of whose words none came."""
    came = Counter(_words(after)) - Counter(_words(before))
    parts = [part for part in _PARTS.split(instruction) if _BRINGS.match(part)]
    for part in parts if len(parts) > 1 else ():
        words = set(_words(part)) - _COMMON
        if words and not any(word in came or f"{word}s" in came for word in words):
            yield Fault("wording", f"also {part}")


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
