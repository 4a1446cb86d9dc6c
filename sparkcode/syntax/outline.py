"""What a part of a file needs to know of the rest: imports, values, signatures, fields.

The rest is cut into pieces that say what exists without how it works. Those that the region names
come first, then what imports bring, then what calls the region, then the others; as many as fit the
budget are shown, in the order of the file. What only the instruction names comes apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sparkcode.syntax.definitions import core, defines, is_definition, name_of, runs, span
from sparkcode.syntax.grammars import GRAMMARS, Grammar, parse
from sparkcode.syntax.lines import Region
from sparkcode.syntax.names import Names, names_in, names_used

if TYPE_CHECKING:
    from tree_sitter import Node

BUDGET_TOKENS: Final = 1500
"""Most tokens of context around a region."""
SPARE_TOKENS: Final = 300
"""Of these, most for what neither the region nor the instruction names: reading takes time too."""
MAX_PIECE_LINES: Final = 8
"""Longest piece; of a longer one the start is shown."""
_REMARK: Final = re.compile(r"\s*(?:#|//)")
_ELLIPSIS: Final = "..."


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines about one thing outside the region."""

    line: int
    """Where it stands, 1-based."""
    text: str
    names: frozenset[str]
    """What it defines, or brings; none for the start of what encloses the region."""
    kind: str
    """``import``, ``value``, ``definition`` or ``around``: the start of what encloses the region,
    and its members."""
    members: frozenset[str] = frozenset()
    """What stands inside it and has a name."""
    uses: frozenset[str] = frozenset()
    """Names in what was left out."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is shown of a file besides a region, each as lines in the order of the file."""

    region: str
    """What the region needs, whatever it is asked about."""
    instruction: str
    """What the instruction names besides."""


def context(
    text: str,
    language: str,
    region: Region,
    *,
    wanted: str = "",
    budget: int = BUDGET_TOKENS,
    count: Callable[[str], int] = lambda text: len(text) // 3 + 1,
) -> Context:
    """The pieces of ``text`` outside ``region`` that fit ``budget`` tokens.

    ``wanted`` is an instruction: what it names comes apart, so that what the region needs can be
    read before anything is asked. ``count`` gives the tokens of a text.
    """
    pieces = [piece for piece in outline(text, language, region) if not _about_itself(piece)]
    names = names_used(text, language, region)
    inside = text.split("\n")[region.first - 1 : region.last]
    made = frozenset(name for line in inside for name in _defined(line))
    owners = Counter(name for piece in pieces for name in piece.names | piece.members)
    once = frozenset(name for name in names.members if owners[name] == 1)
    ranks = {id(piece): _rank(piece, names, once, made) for piece in pieces}
    ranked = sorted(pieces, key=lambda piece: (ranks[id(piece)], piece.line))
    taken: list[Piece] = []
    left, spare = budget, min(budget, SPARE_TOKENS)
    for piece in ranked:
        needed = ranks[id(piece)] == 0
        room = left if needed else min(left, spare)
        if room <= 0:
            break
        cost = count(piece.text) + 1
        if cost <= room:
            taken.append(piece)
            left -= cost
            spare -= 0 if needed else cost
    said, more = names_in(wanted), list[Piece]()
    for piece in ranked:
        if piece not in taken and (piece.names | piece.members) & said:
            cost = count(piece.text) + 1
            if cost <= left:
                more.append(piece)
                left -= cost
    return Context(_joined(taken), _joined(more))


def _joined(pieces: list[Piece]) -> str:
    return "\n".join(piece.text for piece in sorted(pieces, key=lambda piece: piece.line))


def _about_itself(piece: Piece) -> bool:
    """Whether a piece is a module's word on itself, such as ``__version__``."""
    return piece.kind == "value" and re.match(r"__\w+__\s*=", piece.text) is not None


def _rank(piece: Piece, names: Names, once: frozenset[str], made: frozenset[str]) -> int:
    """How soon a piece is wanted; 0 for what the region needs.

    ``once`` are the members that only one piece has.
    """
    near = names.plain | names.members if piece.kind == "around" else names.plain | once
    if (piece.names | (piece.members & once)) & near or not piece.names:
        return 0
    if piece.kind in ("import", "around"):
        return 1
    return 2 if piece.uses & made else 3


def _defined(line: str) -> list[str]:
    """The name that a line introduces, as far as its first words tell."""
    match = re.match(
        r"\s*(?:(?:async|export|pub|static|public|private)\s+)*"
        r"(?:def|class|function|fn|func|struct|interface|type)\s+(\w+)",
        line,
    )
    return [match[1]] if match else []


def outline(text: str, language: str, region: Region) -> list[Piece]:
    """The file outside ``region`` in pieces, in order; none for a language without a grammar."""
    grammar, tree = GRAMMARS.get(language), parse(text, language)
    if grammar is None or tree is None:
        return []
    return list(_members(tree.root_node, grammar, region, "value"))


def names_needed(text: str, language: str, region: Region) -> frozenset[str]:
    """The names that stand for themselves in ``region``, and those in what encloses it."""
    used = names_used(text, language, region).plain
    around = (piece for piece in outline(text, language, region) if piece.kind == "around")
    return used.union(*(names_in(piece.text) for piece in around))


def _members(parent: Node, grammar: Grammar, region: Region, kind: str) -> Iterator[Piece]:
    for node in parent.named_children:
        lines = span(core(node, grammar), grammar)
        if region.first <= lines.first and lines.last <= region.last:
            continue
        inner = core(node, grammar)
        if lines.first < region.first and region.last <= lines.last:
            yield from _around(inner, grammar, region)
        elif lines.last < region.first or region.last < lines.first:
            yield from _piece(node, grammar, kind)


def _around(node: Node, grammar: Grammar, region: Region) -> Iterator[Piece]:
    """The header of the definition that encloses the region, and the members beside it."""
    body = _body(node, grammar)
    if body is None or not defines(node, grammar):
        return
    yield Piece(span(node, grammar).first, _header(node, body, grammar), frozenset(), "around")
    yield from _members(body, grammar, region, "around")
    for member in body.named_children:
        inner = core(member, grammar)
        if defines(inner, grammar) and name_of(inner) == "__init__":
            lines = span(inner, grammar)
            if not region.first <= lines.first <= region.last:
                yield from _fields(inner, lines)


def _fields(init: Node, lines: Region) -> Iterator[Piece]:
    """What a Python constructor sets, line by line."""
    text = _text(init).split("\n")
    for offset, line in enumerate(text):
        if re.match(r"\s+self\.\w+\s*(?::[^=]+)?=[^=]", line):
            yield Piece(lines.first + offset, line, names_in(line), "around")


def _piece(node: Node, grammar: Grammar, kind: str) -> Iterator[Piece]:
    inner = core(node, grammar)
    line = span(inner, grammar).first
    if node.type in grammar.imports:
        yield Piece(line, _cut(_text(node)), names_in(_text(node)), "import")
    elif is_definition(node, grammar) and defines(inner, grammar):
        yield from _definition(inner, grammar, line, kind)
    elif _shown(node, grammar, kind):
        yield Piece(line, _indented(node, _cut(_text(node))), names_in(_text(node)), kind)


def _definition(node: Node, grammar: Grammar, line: int, kind: str) -> Iterator[Piece]:
    body, name = _body(node, grammar), name_of(node)
    shown_as = kind if kind == "around" else "definition"
    members = [] if body is None else [core(child, grammar) for child in body.named_children]
    nested = [member for member in members if defines(member, grammar)]
    if body is None or not (nested or runs(node, grammar)):
        # A type without methods is what its fields are.
        yield Piece(line, _indented(node, _cut(_text(node))), frozenset({name}), shown_as)
        return
    shown = [_header(node, body, grammar)]
    if nested and kind != "around":
        shown += [_header(m, b, grammar) for m in nested if (b := _body(m, grammar)) is not None]
    inside = frozenset(name_of(member) for member in nested)
    text = _cut("\n".join(shown), 2 * MAX_PIECE_LINES)
    yield Piece(line, text, frozenset({name}), shown_as, inside, names_in(_text(body)))


def _header(node: Node, body: Node, grammar: Grammar) -> str:
    """A definition up to its body, which is left out."""
    while node.parent is not None and node.parent.type in grammar.wrappers:
        node = node.parent
    start = node if node.type != "decorated_definition" else node.named_children[-1]
    text = (
        (start.text or b"")[: body.start_byte - start.start_byte].decode(errors="replace").rstrip()
    )
    # Between a header and its body there may be comments.
    text = "\n".join(line for line in text.split("\n") if not _REMARK.match(line))
    text += f" {{ {_ELLIPSIS} }}" if _text(body).startswith("{") else f" {_ELLIPSIS}"
    return _indented(start, text)


def _body(node: Node, grammar: Grammar) -> Node | None:
    body = node.child_by_field_name("body")
    if body is None and node.type in grammar.holders:
        for part in (node, *node.named_children):
            value = part.child_by_field_name("value")
            if value is not None:
                return value.child_by_field_name("body")
    return body


def _shown(node: Node, grammar: Grammar, kind: str) -> bool:
    """Whether a node that is no definition gives a name to something."""
    if node.type == "expression_statement":
        # In Python a mere call is a statement of the same type.
        return any(child.type == "assignment" for child in node.named_children)
    return node.type in grammar.bindings or (kind == "around" and "comment" not in node.type)


def _indented(node: Node, text: str) -> str:
    return " " * node.start_point.column + text


def _cut(text: str, most: int = MAX_PIECE_LINES) -> str:
    lines = text.split("\n")
    return text if len(lines) <= most else "\n".join([*lines[:most], _ELLIPSIS])


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace").rstrip("\n")
