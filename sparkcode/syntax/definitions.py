"""Definitions in a syntax tree: functions, classes, and what belongs to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sparkcode.syntax.grammars import GRAMMARS, Grammar, parse
from sparkcode.syntax.lines import Region

if TYPE_CHECKING:
    from tree_sitter import Node

_NAME: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, class or the like: its lines, and the names of what it stands in."""

    name: str
    region: Region
    around: tuple[str, ...] = ()
    """Outermost first."""
    runs: bool = True
    """Whether it is a function; else it is a type."""


def definitions(text: str, language: str) -> tuple[Definition, ...]:
    """Every definition of a file in order, outer before inner; none without a grammar."""
    grammar, tree = GRAMMARS.get(language), parse(text, language)
    if grammar is None or tree is None:
        return ()
    return tuple(_below(tree.root_node, grammar))


def _below(root: Node, grammar: Grammar) -> Iterator[Definition]:
    # No recursion: a long sum is nested as deep as it is long.
    waiting: list[tuple[Node, tuple[str, ...]]] = [(root, ())]
    while waiting:
        node, around = waiting.pop()
        if defines(node, grammar):
            name = name_of(node)
            yield Definition(name, span(node, grammar), around, runs(node, grammar))
            around = (*around, name)
        waiting += [(child, around) for child in reversed(node.named_children)]


LONGEST_SOLID: Final = 60
LONGEST_BRACKETS: Final = 16


def solids(text: str, language: str) -> tuple[Region, ...]:
    """Lines that are better not parted, because each part would look broken: strings and comments
    over several lines, and what short pairs of brackets hold.
    """
    tree = parse(text, language)
    waiting = [] if tree is None else [tree.root_node]
    found: list[Region] = []
    while waiting:
        node = waiting.pop()
        first, last = node.start_point.row + 1, node.end_point.row + 1
        if first == last:
            continue
        written = any(kind in node.type for kind in ("string", "comment", "template", "heredoc"))
        most = LONGEST_SOLID if written else LONGEST_BRACKETS
        opens = (node.text or b"")[:1] in (b"(", b"[", b"{")
        if (written or opens) and last - first < most:
            found.append(Region(first, last))
        else:
            waiting += node.named_children
    return tuple(sorted(found, key=lambda each: each.first))


def core(node: Node, grammar: Grammar) -> Node:
    """The definition inside wrappers."""
    while node.type in grammar.wrappers:
        inner = next((n for n in node.named_children if is_definition(n, grammar)), None)
        if inner is None:
            break
        node = inner
    return node


def is_definition(node: Node, grammar: Grammar) -> bool:
    return node.type in grammar.wrappers or defines(node, grammar)


def defines(node: Node, grammar: Grammar) -> bool:
    if node.type in grammar.definitions:
        # In C `struct point` is also a mere mention of the type.
        return not node.type.endswith("_specifier") or node.child_by_field_name("body") is not None
    if node.type in grammar.holders:
        held = [node, *node.named_children]
        values = (part.child_by_field_name("value") for part in held)
        return any(value is not None and value.type in grammar.values for value in values)
    return False


def span(node: Node, grammar: Grammar) -> Region:
    """Lines of a node with its wrappers and decorations."""
    while node.parent is not None and node.parent.type in grammar.wrappers:
        node = node.parent
    first = node.start_point.row
    before = node.prev_named_sibling
    while before is not None and before.type in grammar.decorations:
        first = before.start_point.row
        before = before.prev_named_sibling
    last = node.end_point.row - int(node.end_point.column == 0 and node.end_point.row > first)
    return Region(first + 1, last + 1)


def name_of(node: Node) -> str:
    """The name of what a node defines; "" if it has none."""
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    if named is None:
        for part in node.named_children:
            named = part.child_by_field_name("name")
            if named is not None:
                break
    found = _NAME.search((named.text or b"").decode(errors="replace")) if named else None
    return found[0] if found else ""


def runs(node: Node, grammar: Grammar) -> bool:
    """Whether a definition is a function."""
    kinds = ("function", "method", "constructor")
    return node.type in grammar.holders or any(kind in node.type for kind in kinds)
