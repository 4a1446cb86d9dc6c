"""Type hints that nobody asked for, in Python signatures that are otherwise the same."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Final

from sparkcode.mend.window import lines_of

_TYPES: Final = re.compile(r"\b(?:typ(?:e|ed|es|ing)|annotat|hint|mypy|pyright|signature)", re.I)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with the signatures as they were that differ by type hints only."""
    if language != "python" or before == after or _TYPES.search(instruction):
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    was = dict(_functions(old))
    old_lines, new_lines = lines_of(before), lines_of(after)
    names: list[str] = []
    for path, function in sorted(_functions(new), key=lambda each: -each[1].lineno):
        known = was.get(path)
        if known is None or not _hinted_only(known, function):
            continue
        new_lines[_lines(function)] = old_lines[_lines(known)]
        names.append(function.name)
    return "".join(new_lines), f"type hints of {', '.join(sorted(names))} left as they were"


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of Python; None where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _functions(tree: ast.AST, path: str = "") -> Iterator[tuple[str, Function]]:
    """Functions by their dotted names; of those that share one only the last counts."""
    for node in ast.iter_child_nodes(tree):
        name = f"{path}.{node.name}" if isinstance(node, Function | ast.ClassDef) else path
        if isinstance(node, Function):
            yield name, node
        yield from _functions(node, name)


def _lines(function: Function) -> slice:
    """The lines from ``def`` to before the body, in which nothing else stands."""
    return slice(function.lineno - 1, function.body[0].lineno - 1)


def _hinted_only(old: Function, new: Function) -> bool:
    """Whether ``new`` has another signature, and only by hints where there were none."""
    alone = all(each.body[0].lineno > each.lineno for each in (old, new))
    was, now = _hints(old), _hints(new)
    if not alone or type(old) is not type(new) or was == now or was.keys() != now.keys():
        return False
    if any(hint and hint != now[name] for name, hint in was.items()):
        return False
    return _defaults(old) == _defaults(new)


def _hints(function: Function) -> dict[str, str]:
    """The hint of every parameter, and of the result, as it is written; ``""`` for none."""
    nodes = [each for each in ast.walk(function.args) if isinstance(each, ast.arg)]
    hints = {each.arg: each.annotation for each in nodes} | {"return": function.returns}
    return {name: "" if node is None else ast.unparse(node) for name, node in hints.items()}


def _defaults(function: Function) -> str:
    """The parameters without their hints."""
    copy = ast.parse(f"def f({ast.unparse(function.args)}): pass").body[0]
    assert isinstance(copy, ast.FunctionDef)
    for each in ast.walk(copy.args):
        if isinstance(each, ast.arg):
            each.annotation = None
    return ast.unparse(copy.args)
