"""Faults of JavaScript and TypeScript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sparkcode.checks.fault import Fault
from sparkcode.syntax.grammars import parse

if TYPE_CHECKING:
    from tree_sitter import Node


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """Constants that are assigned to, which throws when it runs."""
    for name in _assigned_constants(after) - _assigned_constants(before):
        yield Fault("lint", f"{name!r} is a const and is assigned to; declare it with let")


def _assigned_constants(text: str) -> Counter[str]:
    # JSX and types are a superset that reads both languages well enough for this.
    tree = parse(text, "tsx")
    found: Counter[str] = Counter()
    for node in _nodes(tree.root_node) if tree is not None else ():
        if node.type == "lexical_declaration" and _text(node.children[0]) == "const":
            found.update(name for name in _names(node) if _assigned(node, name))
    return found


def _nodes(root: Node) -> Iterator[Node]:
    nodes = [root]
    while nodes:
        node = nodes.pop()
        yield node
        nodes += node.named_children


def _names(declaration: Node) -> Iterator[str]:
    for part in declaration.named_children:
        name = part.child_by_field_name("name")
        if name is not None and name.type == "identifier":
            yield _text(name)


def _assigned(declaration: Node, name: str) -> bool:
    """Whether ``name`` is assigned to where the declaration holds and nothing else declares it."""
    scope = declaration.parent
    if scope is None:
        return False
    targets = 0
    for node in _nodes(scope):
        match node.type:
            case "assignment_expression" | "augmented_assignment_expression":
                target = node.child_by_field_name("left")
            case "update_expression":
                target = node.child_by_field_name("argument")
            case "variable_declarator" if node.parent != declaration:
                shadow = node.child_by_field_name("name")
                if shadow is not None and _text(shadow) == name:
                    return False
                continue
            case "required_parameter" | "optional_parameter":
                if _text(node.child_by_field_name("pattern")) == name:
                    return False
                continue
            case _:
                continue
        targets += target is not None and target.type == "identifier" and _text(target) == name
    return targets > 0


def _text(node: Node | None) -> str:
    return "" if node is None else (node.text or b"").decode(errors="replace")
