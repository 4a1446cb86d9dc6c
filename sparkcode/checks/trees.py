"""What stands in a Python file, by its syntax tree. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef | ast.Module

_LOOPS: Final = (ast.For, ast.AsyncFor, ast.While)
_LOG_CALLS: Final = frozenset(
    {"debug", "info", "warning", "warn", "error", "critical", "exception"}
)
_LOGGER: Final = re.compile(r"(?:^|[._])log(?:ger|ging)?$", re.IGNORECASE)
COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def functions(tree: ast.AST, around: str = "") -> dict[str, Function]:
    """Every function by its dotted name, such as ``Stack.push``; of several the last."""
    found: dict[str, Function] = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function | ast.ClassDef):
            name = f"{around}{node.name}"
            if isinstance(node, Function):
                found[name] = node
            found |= functions(node, f"{name}.")
        else:
            found |= functions(node, around)
    return found


def classes(tree: ast.AST) -> dict[str, ast.ClassDef]:
    """Every class by its name."""
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def changed(old: ast.Module, new: ast.Module) -> dict[str, tuple[Function | None, Function]]:
    """The functions of ``new`` that are not as they were: each with what it was, if it was."""
    had = functions(old)
    return {
        name: (had.get(name), node)
        for name, node in functions(new).items()
        if name not in had or ast.dump(had[name]) != ast.dump(node)
    }


def parameters(function: Function) -> list[ast.arg]:
    """All parameters in order, the variadic ones included."""
    args = function.args
    extra = [one for one in (args.vararg, args.kwarg) if one is not None]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def count(tree: ast.AST, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> int:
    """How many nodes of ``kind`` there are."""
    return sum(isinstance(node, kind) for node in ast.walk(tree))


def loops(tree: ast.AST) -> int:
    """How many loops that are statements there are."""
    return count(tree, _LOOPS)


def calls(tree: ast.AST, name: str) -> int:
    """How often the plain name ``name`` is called."""
    return sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(tree)
    )


def named(tree: ast.AST) -> Iterator[str]:
    """Every name, attribute and imported name."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.alias(name=name):
                yield from name.split(".")
            case ast.ImportFrom(module=str(name)):
                yield from name.split(".")
            case _:
                pass


def raised(tree: ast.AST, name: str) -> int:
    """How often an exception called ``name`` is raised."""
    found = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            exception = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found += ast.unparse(exception).rpartition(".")[2] == name
    return found


def depth(tree: ast.AST, kind: type[ast.AST] = ast.If) -> int:
    """How deep nodes of ``kind`` are nested; an ``elif`` is no deeper than its ``if``."""
    deepest = 0
    for node in ast.iter_child_nodes(tree):
        inner = depth(node, kind)
        chained = (
            isinstance(tree, ast.If)
            and isinstance(node, ast.If)
            and tree.orelse == [node]
            and node.col_offset == tree.col_offset
        )
        deepest = max(deepest, inner + (isinstance(node, kind) and not chained))
    return deepest


def docstrings(tree: ast.AST) -> int:
    """How many classes and functions have a docstring."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, Function | ast.ClassDef))
    return sum(ast.get_docstring(node, clean=False) is not None for node in nodes)


def is_stub(function: Function) -> bool:
    """Whether a function is only declared: a docstring, ``pass``, ``...`` or an error."""
    for node in function.body:
        plain = isinstance(node, ast.Pass | ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        if not plain:
            return False
    return True


def logs(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls of what is called like a logger."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in _LOG_CALLS and _LOGGER.search(ast.unparse(node.func.value)):
            yield node
