"""Everything that is checked of one edited file. Pure.

Only what the edit brought counts: a file that did not parse before need not parse afterwards, and a
name that was undefined stays so. A language without a grammar is checked for little.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from sparkcode.checks import css, python, rename, script, settings, shell, wording
from sparkcode.checks.fault import Fault
from sparkcode.syntax.definitions import defines, name_of
from sparkcode.syntax.grammars import GRAMMARS, Grammar, parse

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

MAX_CHARACTERS: Final = 1 << 20
"""Longest file that is looked into."""

_STRICT: Final[dict[str, Callable[[str], object]]] = {"json": json.loads, "toml": tomllib.loads}
_LINTS: Final[dict[str, Callable[[str, str, str], Iterator[Fault]]]] = {
    "python": python.faults,
    "javascript": script.faults,
    "typescript": script.faults,
    "tsx": script.faults,
    "css": css.faults,
    "bash": shell.faults,
    "shell": shell.faults,
    "yaml": settings.faults,
    "toml": settings.faults,
    "json": settings.faults,
}
_REMOVES: Final = re.compile(
    r"\b(?:remov|delet|drop|inline|merg|combin|unus|dead|get rid|strip|split|mov(?:e|ing)\b)", re.I
)
_RENAMES: Final = re.compile(r"\b(?:renam|call(?:ed)?\b|name[ds]?\b)", re.I)
_VALUE_CLASS: Final = re.compile(r"@(?:\w+\.)?(?:dataclass|define|frozen|attrs?)\b|NamedTuple")
_VALUE_METHODS: Final = frozenset({"__init__", "__repr__", "__eq__", "__hash__"})


def review(before: str, after: str, language: str, instruction: str) -> tuple[Fault, ...]:
    """What is wrong with ``after``, a file that ``instruction`` made of ``before``."""
    if after == before:
        return (Fault("unchanged", "the answer changes nothing"),)
    if max(len(before), len(after)) > MAX_CHARACTERS:
        return ()
    return tuple(_review(before, after, language, instruction))


def _review(before: str, after: str, language: str, instruction: str) -> Iterator[Fault]:
    old, new = parse(before, language), parse(after, language)
    broken = list(_syntax(before, after, language, old, new))
    yield from broken
    grammar = GRAMMARS.get(language)
    if old is not None and new is not None and grammar is not None:
        yield from _dropped(old, new, grammar, instruction, after)
    if language != "markdown":
        yield from _fences(before, after)
    yield from _indentation(before, after)
    if not broken and language in _LINTS:
        yield from _LINTS[language](before, after, instruction)
    yield from rename.faults(before, after, instruction)
    yield from wording.faults(before, after, language, instruction)


def _syntax(
    before: str, after: str, language: str, old: Tree | None, new: Tree | None
) -> Iterator[Fault]:
    strict = _STRICT.get(language)
    if strict is not None and _error(strict, before) is None:
        error = _error(strict, after)
        if error is not None:
            yield Fault("syntax", f"it does not parse: {error}")
        return
    if language == "python" and python.broken(before) is None:
        why = python.broken(after)
        if why is not None:
            yield Fault("syntax", f"it does not parse: {why}")
        return
    if old is None or new is None or old.root_node.has_error or not new.root_node.has_error:
        return
    yield Fault("syntax", f"it does not parse at line {_first_error(new.root_node)}")


def _error(strict: Callable[[str], object], text: str) -> str | None:
    try:
        strict(text)
    except (ValueError, RecursionError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def _first_error(node: Node) -> int:
    """The line of the innermost first node with an error, 1-based."""
    while True:
        inner = next((child for child in node.children if child.has_error), None)
        if inner is None or node.is_missing:
            return node.start_point.row + 1
        node = inner


def _dropped(
    old: Tree, new: Tree, grammar: Grammar, instruction: str, after: str
) -> Iterator[Fault]:
    """Definitions that are gone though nobody asked for it."""
    had, has = _defined(old.root_node, grammar), _defined(new.root_node, grammar)
    gone, came = had - has, has - had
    if _REMOVES.search(instruction):
        return
    if _RENAMES.search(instruction) and gone.total() <= came.total():
        return
    for name in gone:
        mentioned = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", instruction)
        made = name in _VALUE_METHODS and _VALUE_CLASS.search(after)
        if not mentioned and not made:
            yield Fault("dropped", f"{name!r} is gone; keep everything that need not change")


def _defined(root: Node, grammar: Grammar) -> Counter[str]:
    """How often each name is given to a function, a class or the like."""
    names: Counter[str] = Counter()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if defines(node, grammar):
            names[name_of(node)] += 1
        nodes += node.named_children
    del names[""]
    return names


def _fences(before: str, after: str) -> Iterator[Fault]:
    def fences(text: str) -> int:
        return sum(line.lstrip().startswith("```") for line in text.split("\n"))

    if fences(after) > fences(before):
        yield Fault("form", "there is a stray ``` line in it")


def _indentation(before: str, after: str) -> Iterator[Fault]:
    """Tabs where the file has spaces only, or the other way round."""
    for char, other, said in (("\t", " ", "spaces, not tabs"), (" ", "\t", "tabs, not spaces")):
        indented = re.compile(rf"^{char}+(?=\S)", re.MULTILINE)
        others = re.compile(rf"^{other}+(?=\S)", re.MULTILINE)
        if others.search(before) and not indented.search(before) and indented.search(after):
            yield Fault("form", f"the file is indented with {said}")
