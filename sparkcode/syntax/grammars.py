"""Grammars: where a language's is, and which of its nodes count.

They are imported when first needed, one language at a time.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Parser, Tree


@dataclass(frozen=True, slots=True)
class Grammar:
    """Where a language's grammar is, and which of its nodes count.

    ``wrappers`` belong to the definition inside them; ``decorations`` stand before theirs;
    ``values`` make a definition of the variable or field that holds one. ``bindings`` give a name
    to a value or a type without a body worth leaving out; ``imports`` bring names from elsewhere.
    """

    module: str
    definitions: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    decorations: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    bindings: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
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


def _script(module: str, entry: str) -> Grammar:
    return Grammar(
        module,
        _SCRIPT_DEFINITIONS,
        _SCRIPT_WRAPPERS,
        frozenset({"decorator"}),
        _SCRIPT_HOLDERS,
        _SCRIPT_VALUES,
        frozenset({"lexical_declaration", "variable_declaration", "export_statement"}),
        frozenset({"import_statement"}),
        entry,
    )


_C_DEFINITIONS: Final = frozenset(
    {"function_definition", "struct_specifier", "union_specifier", "enum_specifier"}
)

_C_BINDINGS: Final = frozenset({"declaration", "preproc_def", "preproc_function_def"})
_C_IMPORTS: Final = frozenset({"preproc_include"})

GRAMMARS: Final = {
    "python": Grammar(
        "tree_sitter_python",
        frozenset({"function_definition", "class_definition"}),
        frozenset({"decorated_definition"}),
        bindings=frozenset({"expression_statement", "type_alias_statement"}),
        imports=frozenset({"import_statement", "import_from_statement", "future_import_statement"}),
    ),
    "javascript": _script("tree_sitter_javascript", "language"),
    "typescript": _script("tree_sitter_typescript", "language_typescript"),
    "tsx": _script("tree_sitter_typescript", "language_tsx"),
    "go": Grammar(
        "tree_sitter_go",
        frozenset({"function_declaration", "method_declaration", "type_declaration"}),
        bindings=frozenset({"const_declaration", "var_declaration"}),
        imports=frozenset({"package_clause", "import_declaration"}),
    ),
    "rust": Grammar(
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
        bindings=frozenset({"const_item", "static_item", "type_item"}),
        imports=frozenset({"use_declaration", "extern_crate_declaration"}),
    ),
    "java": Grammar(
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
        imports=frozenset({"package_declaration", "import_declaration"}),
    ),
    "c": Grammar(
        "tree_sitter_c",
        _C_DEFINITIONS,
        frozenset({"type_definition"}),
        bindings=_C_BINDINGS,
        imports=_C_IMPORTS,
    ),
    "cpp": Grammar(
        "tree_sitter_cpp",
        _C_DEFINITIONS | {"class_specifier", "namespace_definition"},
        frozenset({"type_definition", "template_declaration"}),
        bindings=_C_BINDINGS | {"alias_declaration"},
        imports=_C_IMPORTS | {"using_declaration"},
    ),
    "bash": Grammar(
        "tree_sitter_bash",
        frozenset({"function_definition"}),
        bindings=frozenset({"variable_assignment", "declaration_command"}),
    ),
    "css": Grammar("tree_sitter_css"),
    "html": Grammar("tree_sitter_html"),
    "json": Grammar("tree_sitter_json"),
    "markdown": Grammar("tree_sitter_markdown"),
    "sql": Grammar("tree_sitter_sql"),
    "toml": Grammar("tree_sitter_toml"),
    "yaml": Grammar("tree_sitter_yaml"),
}


def parse(text: str, language: str) -> Tree | None:
    """The syntax tree of ``text``, or None for a language without a grammar.

    Offsets are those of the UTF-8 bytes.
    """
    parser = _parser(language)
    return None if parser is None else parser.parse(text.encode())


@cache
def _parser(language: str) -> Parser | None:
    from tree_sitter import Language, Parser

    grammar = GRAMMARS.get(language)
    if grammar is None:
        return None
    module = importlib.import_module(grammar.module)
    return Parser(Language(getattr(module, grammar.entry)()))
