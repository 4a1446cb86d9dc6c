"""Which names a part of a file uses, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sparkcode.syntax.grammars import parse
from sparkcode.syntax.lines import Region

if TYPE_CHECKING:
    from tree_sitter import Node

_NAME: Final = re.compile(r"[^\W\d]\w*")
_PROSE: Final = re.compile("comment|string|template|heredoc|char_literal")
_CODE_IN_PROSE: Final = frozenset({"interpolation", "template_substitution", "expansion"})
_OF: Final = (b".", b"->", b"::", b"?.")
_NO_NAMES: Final = frozenset({"self", "cls", "this", "super"})


def names_in(text: str) -> frozenset[str]:
    """Everything in ``text`` that looks like a name."""
    return frozenset(_NAME.findall(text))


@dataclass(frozen=True, slots=True)
class Names:
    """Names in some lines, their comments and strings aside."""

    plain: frozenset[str]
    """Those that stand for themselves."""
    members: frozenset[str]
    """Those behind a dot or the like: what they belong to is not known."""


def names_used(text: str, language: str, region: Region) -> Names:
    """The names that the region's lines use; all of them are plain without a grammar."""
    tree = parse(text, language)
    lines = text.split("\n")
    if tree is None:
        return Names(names_in("\n".join(lines[region.first - 1 : region.last])), frozenset())
    data = text.encode()
    plain: set[str] = set()
    members: set[str] = set()
    nodes: list[Node] = [tree.root_node]
    while nodes:
        node = nodes.pop()
        if node.end_point.row < region.first - 1 or node.start_point.row > region.last - 1:
            continue
        if _PROSE.search(node.type) and node.child_count and node.parent is not None:
            nodes += [child for child in node.children if child.type in _CODE_IN_PROSE]
        elif node.child_count:
            nodes += node.children
        elif node.is_named and not _PROSE.search(node.type):
            found = names_in((node.text or b"").decode(errors="replace"))
            belongs = data[max(0, node.start_byte - 2) : node.start_byte].endswith(_OF)
            (members if belongs else plain).update(found)
    return Names(frozenset(plain) - _NO_NAMES, frozenset(members))
