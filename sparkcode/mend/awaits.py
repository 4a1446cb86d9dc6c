"""Calls that are awaited since a function became ``async``, though what is called is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sparkcode.mend.signatures import Function, parsed
from sparkcode.mend.source import Cut, without


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` without the ``await`` before plain functions of the file and before parameters.

    What is called by a bare name and was not awaited before is what its callers pass, or what the
    file defines; anything else may have become a coroutine.
    """
    if language != "python" or before == after:
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    waited = {_called(node.value) for node in ast.walk(old) if isinstance(node, ast.Await)}
    plain = {_called(node) for node in ast.walk(old)} - waited - {""}
    cuts: list[Cut] = []
    names: dict[str, None] = {}
    for node, known in _awaited(new):
        name = _called(node.value)
        if name in plain & known and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", instruction):
            cuts.append(Cut(node.lineno, node.col_offset, node.value.lineno, node.value.col_offset))
            names[name] = None
    return without(after, cuts), f"{', '.join(names)} not awaited"


def _called(node: ast.AST) -> str:
    """The bare name that ``node`` calls; ``""`` when it does something else."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
        case _:
            return ""


def _awaited(tree: ast.Module) -> Iterator[tuple[ast.Await, set[str]]]:
    """Every ``await``, with the names that are known to be plain there."""
    local = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    local -= {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
    for function in ast.walk(tree):
        if isinstance(function, Function):
            arguments = function.args
            parameters = {
                each.arg
                for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                if each.annotation is None
            }
            for node in ast.walk(function):
                if isinstance(node, ast.Await):
                    yield node, local | parameters
