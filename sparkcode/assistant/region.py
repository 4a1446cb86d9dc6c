"""Which lines an edit may rewrite, when the user pointed at one line.

The unit people mean is the definition around the cursor, with what decorates it. A syntax tree
knows it exactly, and knows it for a file that does not parse (tree-sitter repairs as it goes).
Where no grammar is installed for a language, a short file is one region, and in a long one the
paragraph around the line is: lines up to the next blank line.

Grammars are imported when first needed, one language at a time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

WHOLE_FILE_LINES: Final = 200
"""Longest file without a grammar that is one region."""


@dataclass(frozen=True, slots=True)
class Region:
    """Lines ``first`` to ``last``, 1-based and inclusive; ``(1, 0)`` is an empty file's."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Where a language's grammar is, and which of its nodes count.

    ``wrappers`` belong to the definition inside them; ``decorations`` stand before theirs;
    ``values`` make a definition of the variable or field that holds one.
    """

    module: str
    definitions: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    decorations: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    entry: str = "language"


_SCRIPT_DEFINITIONS: Final = frozenset(
    {
        "function_declaration",
        "generator_function_declaration",
        "class_declaration",
        "method_definition",
        "abstract_class_declaration",
        "interface_declaration",
        "type_alias_declaration",
        "enum_declaration",
    }
)
_SCRIPT_WRAPPERS: Final = frozenset({"export_statement"})
_SCRIPT_HOLDERS: Final = frozenset(
    {"lexical_declaration", "variable_declaration", "public_field_definition", "field_definition"}
)
_SCRIPT_VALUES: Final = frozenset(
    {"arrow_function", "function_expression", "generator_function", "class"}
)


def _script(module: str, entry: str) -> _Grammar:
    return _Grammar(
        module,
        _SCRIPT_DEFINITIONS,
        _SCRIPT_WRAPPERS,
        frozenset({"decorator"}),
        _SCRIPT_HOLDERS,
        _SCRIPT_VALUES,
        entry,
    )


_C_DEFINITIONS: Final = frozenset(
    {"function_definition", "struct_specifier", "union_specifier", "enum_specifier"}
)

_GRAMMARS: Final = {
    "python": _Grammar(
        "tree_sitter_python",
        frozenset({"function_definition", "class_definition"}),
        frozenset({"decorated_definition"}),
    ),
    "javascript": _script("tree_sitter_javascript", "language"),
    "typescript": _script("tree_sitter_typescript", "language_typescript"),
    "tsx": _script("tree_sitter_typescript", "language_tsx"),
    "go": _Grammar(
        "tree_sitter_go",
        frozenset({"function_declaration", "method_declaration", "type_declaration"}),
    ),
    "rust": _Grammar(
        "tree_sitter_rust",
        frozenset(
            {
                "function_item",
                "function_signature_item",
                "struct_item",
                "enum_item",
                "union_item",
                "impl_item",
                "trait_item",
                "mod_item",
                "macro_definition",
            }
        ),
        decorations=frozenset({"attribute_item"}),
    ),
    "java": _Grammar(
        "tree_sitter_java",
        frozenset(
            {
                "method_declaration",
                "constructor_declaration",
                "class_declaration",
                "interface_declaration",
                "enum_declaration",
                "record_declaration",
                "annotation_type_declaration",
            }
        ),
    ),
    "c": _Grammar("tree_sitter_c", _C_DEFINITIONS, frozenset({"type_definition"})),
    "cpp": _Grammar(
        "tree_sitter_cpp",
        _C_DEFINITIONS | {"class_specifier", "namespace_definition"},
        frozenset({"type_definition", "template_declaration"}),
    ),
}

_LANGUAGES: Final = {
    "py": "python",
    "pyi": "python",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "cjs": "javascript",
    "ts": "typescript",
    "mts": "typescript",
    "cts": "typescript",
    "tsx": "tsx",
    "go": "go",
    "rs": "rust",
    "java": "java",
    "c": "c",
    "h": "c",
    "cc": "cpp",
    "cpp": "cpp",
    "cxx": "cpp",
    "hh": "cpp",
    "hpp": "cpp",
    "hxx": "cpp",
    "sh": "bash",
    "bash": "bash",
    "css": "css",
    "html": "html",
    "json": "json",
    "md": "markdown",
    "rb": "ruby",
    "sql": "sql",
    "toml": "toml",
    "yaml": "yaml",
    "yml": "yaml",
}


def language_of(path: str) -> str:
    """The language that a path's ending tells, as a fence names it; "" if it tells none."""
    return _LANGUAGES.get(PurePosixPath(path).suffix.lower().removeprefix("."), "")


def suffix_of(language: str) -> str:
    """The usual ending of a file in ``language``, with its dot."""
    wanted = "bash" if language == "shell" else language
    known = (f".{suffix}" for suffix, name in _LANGUAGES.items() if name == wanted)
    return next(known, f".{language}")


def line_count(text: str) -> int:
    """Lines of ``text``; only LF ends one, and the last may lack it."""
    return text.count("\n") + int(bool(text) and not text.endswith("\n"))


def whole(text: str) -> Region:
    """The region of all lines."""
    return Region(1, line_count(text))


def enclosing_region(text: str, language: str, line: int) -> Region:
    """The innermost definition around ``line`` (1-based), decorators included.

    The whole file when no definition encloses it; without a grammar see the module.
    """
    grammar = _GRAMMARS.get(language)
    if grammar is None:
        return _paragraph(text, line)
    row = line - 1
    found: Region | None = None
    for node in _around(_parser(grammar).parse(text.encode()).root_node, row, grammar):
        if _defines(node, grammar):
            found = _span(node, grammar)
    return found or whole(text)


def _around(root: Node, row: int, grammar: _Grammar) -> Iterator[Node]:
    """Nodes that cover ``row``, outer before inner."""
    node: Node | None = root
    while node is not None:
        inside = [child for child in node.named_children if _covers(child, row, grammar)]
        # Of several nodes on one line the one that defines something is meant.
        node = next((n for n in inside if _defines(_core(n, grammar), grammar)), None) or next(
            iter(inside), None
        )
        if node is not None:
            yield node


def _covers(node: Node, row: int, grammar: _Grammar) -> bool:
    if node.type in grammar.decorations:
        return False
    span = _span(node, grammar)
    return span.first <= row + 1 <= span.last


def _core(node: Node, grammar: _Grammar) -> Node:
    """The definition inside wrappers."""
    while node.type in grammar.wrappers:
        inner = next((n for n in node.named_children if _is_definition(n, grammar)), None)
        if inner is None:
            break
        node = inner
    return node


def _is_definition(node: Node, grammar: _Grammar) -> bool:
    return node.type in grammar.wrappers or _defines(node, grammar)


def _defines(node: Node, grammar: _Grammar) -> bool:
    if node.type in grammar.definitions:
        # In C `struct point` is also a mere mention of the type.
        return not node.type.endswith("_specifier") or node.child_by_field_name("body") is not None
    if node.type in grammar.holders:
        held = [node, *node.named_children]
        values = (part.child_by_field_name("value") for part in held)
        return any(value is not None and value.type in grammar.values for value in values)
    return False


def _span(node: Node, grammar: _Grammar) -> Region:
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


@cache
def _parser(grammar: _Grammar) -> Parser:
    from tree_sitter import Language, Parser

    module = importlib.import_module(grammar.module)
    return Parser(Language(getattr(module, grammar.entry)()))


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
