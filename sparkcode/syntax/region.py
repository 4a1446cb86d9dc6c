"""Which lines an edit may rewrite, when the user pointed at one line.

The unit people mean is the definition around the cursor, with what decorates it. A syntax tree
knows it exactly, and knows it for a file that does not parse (tree-sitter repairs as it goes).
Where no grammar is installed for a language, a short file is one region, and in a long one the
paragraph around the line is: lines up to the next blank line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sparkcode.syntax.definitions import core, defines, span
from sparkcode.syntax.grammars import GRAMMARS, Grammar, parse
from sparkcode.syntax.lines import Region, line_count, whole

if TYPE_CHECKING:
    from tree_sitter import Node

WHOLE_FILE_LINES: Final = 200
"""Longest file without a grammar that is one region."""


def enclosing_region(text: str, language: str, line: int) -> Region:
    """The innermost definition around ``line`` (1-based), decorators included.

    The whole file when no definition encloses it; without a grammar see the module.
    """
    grammar = GRAMMARS.get(language)
    tree = parse(text, language)
    if grammar is None or tree is None or not grammar.definitions:
        return _paragraph(text, line)
    row = line - 1
    found: Region | None = None
    for node in _around(tree.root_node, row, grammar):
        if defines(node, grammar):
            found = span(node, grammar)
    return found or whole(text)


def _around(root: Node, row: int, grammar: Grammar) -> Iterator[Node]:
    """Nodes that cover ``row``, outer before inner."""
    node: Node | None = root
    while node is not None:
        inside = [child for child in node.named_children if _covers(child, row, grammar)]
        # Of several nodes on one line the one that defines something is meant.
        node = next((n for n in inside if defines(core(n, grammar), grammar)), None) or next(
            iter(inside), None
        )
        if node is not None:
            yield node


def _covers(node: Node, row: int, grammar: Grammar) -> bool:
    if node.type in grammar.decorations:
        return False
    lines = span(node, grammar)
    return lines.first <= row + 1 <= lines.last


def _paragraph(text: str, line: int) -> Region:
    lines = text.split("\n")[: line_count(text)]
    if len(lines) <= WHOLE_FILE_LINES or not 1 <= line <= len(lines) or not lines[line - 1].strip():
        return whole(text)
    first = last = line
    while first > 1 and lines[first - 2].strip():
        first -= 1
    while last < len(lines) and lines[last].strip():
        last += 1
    return Region(first, last)
