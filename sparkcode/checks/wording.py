"""Names that the instruction introduces: an edit that follows it has them. Pure.

A name is code-like when nobody would write it in prose: in backticks, with an underscore, with
capitals inside, with parentheses or dots, or a keyword that is no everyday word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sparkcode.checks.fault import Fault

_CODE: Final = re.compile(
    r"`(?P<quoted>[^`\s]{1,60})`"
    r"|(?<![\w.])(?P<dashed>--[a-zA-Z][\w-]*)"
    r"|(?<![\w.])(?P<plain>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<call>\(\))?"
)
_INNER_CAPITAL: Final = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]")
_PROSE: Final = frozenset(
    {"JavaScript", "TypeScript", "GitHub", "GitLab", "PyPI", "NumPy", "OpenAI", "e.g", "i.e"}
    | {"macOS", "iOS", "URLs", "IDs", "APIs"}
)
_KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "python": frozenset({"async", "await", "yield", "lambda", "dataclass", "nonlocal"}),
    "javascript": frozenset({"async", "await", "yield", "const"}),
    "typescript": frozenset({"async", "await", "yield", "const", "readonly"}),
    "tsx": frozenset({"async", "await", "yield", "const", "readonly"}),
    "java": frozenset({"synchronized", "volatile", "final"}),
    "rust": frozenset({"async", "await", "mut", "const", "unsafe"}),
    "go": frozenset({"goroutine", "defer"}),
    "c": frozenset({"const", "static", "typedef"}),
    "cpp": frozenset({"const", "constexpr", "noexcept", "nullptr"}),
}


def faults(before: str, after: str, language: str, instruction: str) -> Iterator[Fault]:
    """One fault for each name that ``instruction`` brings and ``after`` lacks."""
    for name in dict.fromkeys(introduced(before, language, instruction)):
        if not _has(after, name) and not _has(after, name.rpartition(".")[2]):
            yield Fault("wording", f"{name!r} of the instruction is not in it")


def introduced(before: str, language: str, instruction: str) -> Iterator[str]:
    """Code-like names of the instruction that the file does not have yet."""
    keywords = _KEYWORDS.get(language, frozenset())
    for found in _CODE.finditer(instruction):
        name = found["quoted"] or found["dashed"] or found["plain"]
        if found["plain"] and not (found["call"] or _code_like(name, keywords)):
            continue
        either = re.search(r"\bor\s*$", instruction[: found.start()]) or re.match(
            r"\s*or\b", instruction[found.end() :]
        )
        if not either and not _has(before, name):
            yield name


def _code_like(name: str, keywords: frozenset[str]) -> bool:
    if name in _PROSE:
        return False
    parted = "_" in name.strip("_") or "." in name or _INNER_CAPITAL.search(name) is not None
    return parted or name in keywords


def _has(text: str, name: str) -> bool:
    name = re.escape(name.removesuffix("()"))
    return re.search(rf"(?<![\w-])(?:{name}|__{name}__)(?![\w-])", text) is not None
