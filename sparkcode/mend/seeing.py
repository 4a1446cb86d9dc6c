"""Which rows of a text are comments, docstrings, and inside of long strings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sparkcode.mend.signatures import parsed
from sparkcode.syntax.grammars import parse

if TYPE_CHECKING:
    from tree_sitter import Node

_STRING: Final = re.compile("string|template|heredoc|char")


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands where in a text; rows and columns (in characters) from 0."""

    comments: dict[int, int]
    """Where the comment of a row begins."""
    strings: frozenset[int]
    """Rows of strings that go over several."""
    docstrings: frozenset[int]
    """Rows of Python's docstrings."""


def seen(text: str, language: str) -> Seen:
    """What can be told of ``text``; nothing in a language without a grammar."""
    tree = parse(text, language)
    comments: dict[int, int] = {}
    strings: set[int] = set()
    rows = text.encode().split(b"\n")
    nodes: list[Node] = [] if tree is None else [tree.root_node]
    while nodes:
        node = nodes.pop()
        row, column = node.start_point
        inner = range(row + 1, node.end_point.row + 1)
        if "comment" in node.type:
            comments[row] = len(rows[row][:column].decode(errors="replace"))
            comments |= dict.fromkeys(inner, 0)
        elif _STRING.search(node.type) and inner:
            strings |= {row, *inner}
        else:
            nodes += node.children
    return Seen(comments, frozenset(strings), _docstrings(text, language))


def _docstrings(text: str, language: str) -> frozenset[int]:
    tree = parsed(text) if language == "python" else None
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    rows: set[int] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None:
            said = node.body[0]
            rows |= set(range(said.lineno - 1, said.end_lineno or said.lineno))
    return frozenset(rows)
