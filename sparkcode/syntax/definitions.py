"""Definitions in a syntax tree: functions, classes, and what belongs to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sparkcode.syntax.grammars import Grammar
from sparkcode.syntax.lines import Region

if TYPE_CHECKING:
    from tree_sitter import Node

_NAME: Final = re.compile(r"[^\W\d]\w*")


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
    """The name that a definition gives, "" for one without."""
    named = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    if named is None:
        for part in node.named_children:
            named = part.child_by_field_name("name")
            if named is not None:
                break
    found = _NAME.search((named.text or b"").decode(errors="replace")) if named else None
    return found[0] if found else ""
