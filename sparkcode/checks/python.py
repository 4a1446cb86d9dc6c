"""Faults of Python: what pyflakes finds, and a few things that a small model gets wrong.

All of it reads the syntax tree of the Python that runs; nothing is imported or executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Literal

from sparkcode.checks import asked, pitfalls, trees
from sparkcode.checks.fault import Fault, Kind

_TOO_MUCH: Final = (RecursionError, MemoryError, OverflowError, SystemError)
"""What the compiler says of a text that is meant to break it; SystemError is a fault of its own."""

_STYLE: Final = frozenset({"UnusedImport", "UnusedVariable", "UnusedAnnotation"})
"""Findings of pyflakes that are no faults of an edit: the rest of the file may make them so."""
_UNDEFINED: Final = frozenset({"UndefinedName", "UndefinedLocal", "UndefinedExport"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def broken(text: str) -> str | None:
    """Why ``text`` does not compile, in one line; None if it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "edited", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, *_TOO_MUCH) as error:
        return str(error) or type(error).__name__
    return None


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """What ``after`` brings; nothing where either does not parse."""
    old, new = _tree(before), _tree(after)
    if old is None or new is None:
        return
    yield from _flakes(old, new)
    for find in (_missing_fields, _logged, _empty_handed, pitfalls.blocking):
        yield from _new(find, old, new)
    for compare in (pitfalls.shared_defaults, pitfalls.turned_around):
        yield from _each("lint", compare(old, new))
    yield from _awaited(old, new, instruction)
    yield from _each("wording", asked.faults(old, new, instruction))


def _each(kind: Kind, messages: Iterator[str]) -> Iterator[Fault]:
    try:
        found = list(dict.fromkeys(messages))
    except RecursionError:
        found = []  # A text that is meant to be too deep.
    for message in found:
        yield Fault(kind, message)


def _tree(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, *_TOO_MUCH):
        return None


def _new(
    find: Callable[[ast.Module], Iterator[str]], old: ast.Module, new: ast.Module
) -> Iterator[Fault]:
    for message in Counter(find(new)) - Counter(find(old)):
        yield Fault("lint", message)


def _flakes(old: ast.Module, new: ast.Module) -> Iterator[Fault]:
    known = set(_findings(old))
    for kind, message in dict.fromkeys(_findings(new)):
        if (kind, message) not in known:
            yield Fault(kind, message)


def _findings(tree: ast.Module) -> Iterator[tuple[Literal["undefined", "lint"], str]]:
    from pyflakes.checker import Checker

    try:
        found = Checker(tree).messages
    except _TOO_MUCH:
        return
    imported = _imported(tree)
    for message in found:
        name = type(message).__name__
        twice = name == "RedefinedWhileUnused" and message.message_args[0] in imported
        if name not in _STYLE and not twice:
            text = message.message % message.message_args
            yield ("undefined" if name in _UNDEFINED else "lint"), _explained(name, text)


def _imported(tree: ast.Module) -> set[str]:
    """Names that an import gives: one that is there twice is clumsy, no fault."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {(one.asname or one.name).partition(".")[0] for node in imports for one in node.names}


def _explained(name: str, text: str) -> str:
    """A finding in words that also say what would be right, where that is short."""
    if name == "UndefinedName":
        return text.replace("undefined name", "the name", 1) + " is not defined"
    return text


# --- what pyflakes does not look for ------------------------------------------------------------


def _missing_fields(tree: ast.Module) -> Iterator[str]:
    """Attributes of ``self`` that a class reads and never makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _closed(node):
            made, read = _fields(node)
            for name in sorted(read - made):
                yield f"{node.name!r} has no attribute {name!r}"


def _closed(node: ast.ClassDef) -> bool:
    """Whether all that a class has stands in it."""
    bases = [
        base for base in node.bases if not (isinstance(base, ast.Name) and base.id == "object")
    ]
    dynamic = {"__getattr__", "__getattribute__", "__dict__", "setattr", "update"}
    names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    names |= {n.name for n in node.body if isinstance(n, Function)}
    decorated = any(not _names_dataclass(each) for each in node.decorator_list)
    return not (bases or node.keywords or decorated or dynamic & names)


def _names_dataclass(node: ast.expr) -> bool:
    return "dataclass" in ast.unparse(node)


def _fields(node: ast.ClassDef) -> tuple[set[str], set[str]]:
    """Attribute names that a class makes, and those that it reads of ``self``."""
    made = set(dir(object)) | {"__dict__", "__annotations__", "__name__", "__qualname__"}
    read: set[str] = set()
    for member in node.body:
        if isinstance(member, Function | ast.ClassDef):
            made.add(member.name)
        else:
            made |= {n.id for n in ast.walk(member) if isinstance(n, ast.Name)}
            made |= set(_texts(member))
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            if part.value.id == "self" and isinstance(part.ctx, ast.Load):
                read.add(part.attr)
            elif part.value.id in ("self", "cls", node.name):
                made.add(part.attr)
    return made, read


def _texts(tree: ast.AST) -> Iterator[str]:
    """What a class says of itself in strings, as in ``__slots__``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


_PLACEHOLDER: Final = re.compile(r"%(?!%)")


def _logged(tree: ast.Module) -> Iterator[str]:
    """Calls of a logger whose message has no place for its arguments."""
    for node in trees.logs(tree):
        if len(node.args) < 2 or any(isinstance(one, ast.Starred) for one in node.args):
            continue
        message, *rest = node.args
        text = message.value if isinstance(message, ast.Constant) else None
        if isinstance(text, str):
            places = len(_PLACEHOLDER.findall(text.replace("%%", "")))
            if places != len(rest) and not (len(rest) == 1 and "%(" in text):
                yield (
                    f"{ast.unparse(node)} has {len(rest)} arguments for {places} placeholders; "
                    'write it as "... %s ..." with one %s for each argument'
                )


def _empty_handed(tree: ast.Module) -> Iterator[str]:
    """Functions that return nothing, where a value of theirs is asked for."""
    silent = _silent_functions(tree)
    for node in ast.walk(tree):
        for value in _valued(node):
            call = value.value if isinstance(value, ast.Await) else value
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                name = call.func.id
                if name in silent:
                    yield f"{name}() is used as a value but returns none"


def _silent_functions(tree: ast.Module) -> set[str]:
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    counts = Counter(node.name for node in functions)
    return {
        node.name
        for node in functions
        if counts[node.name] == 1 and not node.decorator_list and not _gives(node)
    }


def _gives(function: Function) -> bool:
    """Whether a function has a result, or ends in an error whatever happens."""
    for node in _own(function):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if isinstance(node, ast.Return) and node.value is not None:
            return True
    return isinstance(function.body[-1], ast.Raise)


def _own(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    nodes: list[ast.AST] = list(function.body)
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)


def _valued(node: ast.AST) -> list[ast.expr]:
    """Expressions right inside ``node`` whose value decides or is kept."""
    found: list[ast.expr] = []
    match node:
        case ast.If(test=value) | ast.While(test=value) | ast.IfExp(test=value):
            found = [value]
        case ast.UnaryOp(op=ast.Not(), operand=value):
            found = [value]
        case ast.BoolOp(values=values):
            found = list(values)
        case ast.Assign(value=value) | ast.AugAssign(value=value):
            found = [value]
        case ast.Compare(left=value, comparators=values):
            found = [value, *values]
        case _:
            pass
    return found


def _awaited(old: ast.Module, new: ast.Module, instruction: str) -> Iterator[Fault]:
    """Calls that were plain and are awaited now, though nothing says that they can be."""
    plain = {ast.unparse(node) for node in ast.walk(old) if isinstance(node, ast.Call)}
    waited = {ast.unparse(node.value) for node in ast.walk(old) if isinstance(node, ast.Await)}
    coroutines = {node.name for node in ast.walk(new) if isinstance(node, ast.AsyncFunctionDef)}
    for node in ast.walk(new):
        if not (isinstance(node, ast.Await) and isinstance(node.value, ast.Call)):
            continue
        text, function = ast.unparse(node.value), ast.unparse(node.value.func)
        name = function.rpartition(".")[2]
        told = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", instruction)
        if text in plain - waited and name not in coroutines and not told:
            yield Fault("lint", f"{text} is awaited, but nothing says that {name} is async")
