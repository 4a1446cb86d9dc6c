"""Mistakes of Python code that parses and means something else than it says. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from sparkcode.checks import trees
from sparkcode.checks.trees import Function

_MUTABLE: Final = {ast.List: "list", ast.Dict: "dict", ast.Set: "set"}
_MAKERS: Final = frozenset({"list", "dict", "set"})


def blocking(tree: ast.Module) -> Iterator[str]:
    """Calls of ``time.sleep`` in a coroutine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "time.sleep":
                    yield f"await asyncio.sleep in {node.name}(), not time.sleep"


def shared_defaults(old: ast.Module, new: ast.Module) -> Iterator[str]:
    """Fields of a new dataclass whose value every instance would share, or that lost its own."""
    for name, member, kind in shared(old, new):
        yield f"give {ast.unparse(member.target)!r} of {name} field(default_factory={kind})"


def shared(old: ast.Module, new: ast.Module) -> Iterator[tuple[str, ast.AnnAssign, str]]:
    """The same as class, statement, and the type of the value."""
    fresh = _made_fresh(old)
    for name, node in trees.classes(new).items():
        if not any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            continue
        for member in node.body:
            if not (isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)):
                continue
            kind = _mutable(member.value)
            if isinstance(member.value, ast.Constant) and member.value.value is None:
                kind = fresh.get((name, member.target.id), "")
            if kind:
                yield name, member, kind


def _mutable(value: ast.expr | None) -> str:
    """The type of a value that must not be shared; "" for every other."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id if value.func.id in _MAKERS and not value.args else ""
    return _MUTABLE.get(type(value), "")


def _made_fresh(tree: ast.Module) -> dict[tuple[str, str], str]:
    """Fields, by class and name, that a constructor makes anew where it is given nothing."""
    found: dict[tuple[str, str], str] = {}
    for name, node in trees.classes(tree).items():
        for part in ast.walk(node):
            match part:
                case ast.Assign(
                    targets=[ast.Attribute(value=ast.Name(id="self"), attr=field)], value=value
                ):
                    either = [value]
                    if isinstance(value, ast.IfExp):
                        either = [value.body, value.orelse]
                    elif isinstance(value, ast.BoolOp):
                        either = value.values
                    kinds = [kind for each in either[:2] if (kind := _mutable(each))]
                    if kinds and len(either) > 1:
                        found[name, field] = kinds[0]
                case _:
                    pass
    return found


def turned_around(old: ast.Module, new: ast.Module) -> Iterator[str]:
    """New functions that stand for a condition, and are asked for its opposite."""
    had = trees.functions(old)
    helpers = {
        name: node
        for name, node in trees.functions(new).items()
        if name not in had and "." not in name and _result(node) is not None
    }
    if not helpers or not had:
        return
    before = [was for was, _ in trees.changed(old, new).values() if was is not None]
    nodes = (node for was in before for node in ast.walk(was))
    known = {ast.unparse(node) for node in nodes if isinstance(node, ast.expr)}
    told: set[str] = set()
    for node in ast.walk(new):
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id=name)) as call):
                text = _inlined(helpers[name], call) if name in helpers else ""
                opposite = {f"not {text}", f"not ({text})"}
                if text in known and not opposite & known and name not in told:
                    told.add(name)
                    yield f"write {name}(), not its opposite `not {name}()`"
            case _:
                pass


def _result(function: Function) -> ast.expr | None:
    """What a function returns that does nothing else."""
    body = [
        node
        for node in function.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    if len(body) == 1 and isinstance(body[0], ast.Return):
        return body[0].value
    return None


class _Filled(ast.NodeTransformer):
    """Puts arguments in the place of parameters."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)


def _inlined(function: Function, call: ast.Call) -> str:
    """What ``call`` of ``function`` stands for, as text; "" where that is not plain."""
    names = [each.arg for each in trees.parameters(function)]
    if len(call.args) + len(call.keywords) != len(names):
        return ""
    values = dict(zip(names, call.args, strict=False))
    values |= {each.arg: each.value for each in call.keywords if each.arg is not None}
    result = _result(function)
    if result is None:
        return ""
    copy = ast.parse(ast.unparse(result), mode="eval").body
    return ast.unparse(_Filled(values).visit(copy))
