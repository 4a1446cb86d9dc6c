"""Imports of Python: those that an edit lacks, and those that it has put in the wrong place."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sparkcode.mend.modules import import_of
from sparkcode.mend.signatures import parsed
from sparkcode.mend.window import lines_of

Import = ast.Import | ast.ImportFrom

_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
MAX_COLUMNS: Final = 88
"""Longest line of imports that is made."""

_LOGGER_CALLS: Final = frozenset(
    {"debug", "info", "warning", "error", "critical", "exception", "log"}
)


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with its imports at the head of the file, each once, and with those it lacks."""
    if language != "python" or before == after:
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    notes: list[str] = []
    text, moved = _gathered(old, new, after)
    if text != after:
        notes.append(f"{', '.join(moved)}: at the head of the file" if moved else "imports once")
    wanted = _wanted(old, text)
    for line in wanted.imports:
        text = _with_import(text, line)
    for line in wanted.values:
        text = _with_value(text, line)
    notes += [f"added {line}" for line in (*wanted.imports, *wanted.values)]
    return text, "; ".join(notes)


# --- imports in the wrong place -----------------------------------------------------------------


def _gathered(old: ast.Module, new: ast.Module, text: str) -> tuple[str, list[str]]:
    """The text without new imports below the first definition; those that it needs at its head."""
    known = {ast.unparse(node) for node in old.body if isinstance(node, Import)}
    head, late = _imports(new)
    had_late = {ast.unparse(node) for node in _imports(old)[1]}
    lines, bound, moved = lines_of(text), set(), []
    seen: set[str] = set()
    gone: list[Import] = []
    for node in head:
        said = ast.unparse(node)
        if said in seen and said in known:
            gone.append(node)
        seen.add(said)
        bound |= _bindings(node)
    for node in late:
        said = ast.unparse(node)
        if said in had_late or not _alone(node, lines):
            continue
        gone.append(node)
        if not _bindings(node) <= bound:
            moved.append(said)
            bound |= _bindings(node)
    for node in sorted(gone, key=lambda each: -each.lineno):
        _cut(lines, node)
    text = "".join(lines)
    for line in moved:
        text = _with_import(text, line)
    return text, moved


def _imports(tree: ast.Module) -> tuple[list[Import], list[Import]]:
    """Imports of the module before its first definition, and after it."""
    below = next((at for at, node in enumerate(tree.body) if isinstance(node, _SCOPES)), None)
    head, late = (
        [node for node in nodes if isinstance(node, Import)]
        for nodes in (tree.body[:below], tree.body[len(tree.body) if below is None else below :])
    )
    return head, late


def _bindings(node: Import) -> set[tuple[str, str]]:
    """What an import gives: a name, and what it stands for."""
    source = f"{_source(node)}:" if isinstance(node, ast.ImportFrom) else ""
    return {(one.asname or one.name, source + one.name) for one in node.names}


def _alone(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Whether a statement has its lines for itself."""
    first, last = lines[node.lineno - 1], lines[(node.end_lineno or node.lineno) - 1]
    return not first[: node.col_offset].strip() and ";" not in last


def _cut(lines: list[str], node: ast.stmt) -> None:
    """Take out a statement's lines; of the blank lines around it the longer stretch stays."""
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    above = first
    while above and not lines[above - 1].strip():
        above -= 1
    below = last
    while below < len(lines) and not lines[below].strip():
        below += 1
    before, after = lines[above:first], lines[last:below]
    lines[above:below] = before if len(before) >= len(after) else after


# --- imports that are not there -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    imports: tuple[str, ...]
    values: tuple[str, ...]


def _wanted(old: ast.Module, text: str) -> _Wanted:
    """Lines that give the names that ``text`` uses and nothing defines."""
    new = parsed(text)
    if new is None:
        return _Wanted((), ())
    missing = dict.fromkeys(_undefined(new))
    for name in _undefined(old):
        missing.pop(name, None)
    imports: dict[str, None] = {}
    values: dict[str, None] = {}
    for name in missing:
        uses = uses_of(new, name)
        line = import_of(name, uses.attributes, called=uses.called_only)
        if line:
            imports[line] = None
        elif _is_logger(name, uses):
            imports["import logging"] = None
            values[f"{name} = logging.getLogger(__name__)"] = None
    present = {ast.unparse(node) for node in new.body if isinstance(node, Import)}
    return _Wanted(tuple(line for line in imports if line not in present), tuple(values))


def _undefined(tree: ast.Module) -> Iterator[str]:
    from pyflakes.checker import Checker

    try:
        found = Checker(tree).messages
    except (RecursionError, MemoryError):
        return
    for message in found:
        if type(message).__name__ in ("UndefinedName", "ImportStarUsage"):
            yield message.message_args[0]


@dataclass(frozen=True, slots=True)
class Uses:
    """How a name is used."""

    attributes: frozenset[str]
    """What is read of it; empty when it is also used otherwise."""
    called_only: bool
    """Whether it is called, or decorates, wherever it stands."""
    log_only: bool


def uses_of(tree: ast.Module, name: str) -> Uses:
    """Every way in which ``name`` is used."""
    attributes: set[str] = set()
    called: set[int] = set()
    names: set[int] = set()
    dotted: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name:
            names.add(id(node))
        if isinstance(node, ast.Attribute) and _names(node.value, name):
            attributes.add(node.attr)
            dotted.add(id(node.value))
        if isinstance(node, ast.Call) and _names(node.func, name):
            called.add(id(node.func))
        if isinstance(node, _SCOPES):
            called |= {id(each) for each in node.decorator_list if _names(each, name)}
    whole = names == dotted
    return Uses(
        frozenset(attributes) if whole else frozenset(),
        names == called,
        whole and attributes <= _LOGGER_CALLS,
    )


def _names(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_logger(name: str, uses: Uses) -> bool:
    return name.strip("_").lower() in ("log", "logger") and uses.log_only


# --- where a line goes --------------------------------------------------------------------------


def _with_import(text: str, line: str) -> str:
    """``text`` with the import ``line`` among those at its head, in their order."""
    tree = parsed(text)
    if tree is None:
        return text
    lines = lines_of(text)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    head = [node for node in _imports(tree)[0] if _alone(node, lines)]
    if not head:
        at = _top(tree, lines)
        first = next(iter(tree.body), None)
        apart = 2 if isinstance(first, _SCOPES) else 1
        below = [ending] * apart if lines[at:] and lines[at].strip() else []
        above = [ending] if at and lines[at - 1].strip() else []
        lines[at:at] = [*above, f"{line}{ending}", *below]
        return "".join(lines)
    (new,) = ast.parse(line).body
    assert isinstance(new, Import)
    if _joined(new, head, lines, ending):
        return "".join(lines)
    place = _order(new)
    earlier = [node for node in head if _order(node) <= place]
    if earlier:
        last = earlier[-1]
        at = last.end_lineno or last.lineno
        apart = _order(last)[0] != place[0]
        lines[at:at] = [ending] * apart + [f"{line}{ending}"]
    else:
        at = head[0].lineno - 1
        apart = _order(head[0])[0] != place[0]
        lines[at:at] = [f"{line}{ending}"] + [ending] * apart
    return "".join(lines)


def _joined(new: Import, head: Sequence[Import], lines: list[str], ending: str) -> bool:
    """Put what ``new`` imports into the line that imports from the same module, if that fits."""
    if not isinstance(new, ast.ImportFrom):
        return False
    for node in head:
        if not isinstance(node, ast.ImportFrom) or _source(node) != _source(new):
            continue
        if lines[node.lineno - 1] != f"{ast.unparse(node)}{ending}":
            continue
        names = [ast.unparse(each) for each in node.names]
        both = names + [ast.unparse(each) for each in new.names]
        both = sorted(both) if names == sorted(names) else both
        joined = f"from {_source(node)} import {', '.join(both)}"
        if len(joined) <= MAX_COLUMNS and names != ["*"]:
            lines[node.lineno - 1] = f"{joined}{ending}"
            return True
    return False


def _source(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def _order(node: Import) -> tuple[int, bool, str]:
    """Sort key: ``__future__``, the standard library, others, the project's own."""
    if isinstance(node, ast.ImportFrom):
        module, level = node.module or "", node.level
    else:
        module, level = node.names[0].name, 0
    root = module.partition(".")[0]
    section = (
        3 if level else 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 2
    )
    return section, isinstance(node, ast.ImportFrom), module.lower()


def _top(tree: ast.Module, lines: Sequence[str]) -> int:
    """The line (from 0) where the first import goes: below the docstring or the first comments."""
    first = tree.body[0] if tree.body else None
    if isinstance(first, ast.Expr) and ast.get_docstring(tree, clean=False) is not None:
        at = first.end_lineno or first.lineno
    else:
        at = 0
        while at < len(lines) and lines[at].startswith("#"):
            at += 1
        if at < len(lines) and lines[at].strip():
            # Comments that belong to what follows them: only a head with a blank line below counts.
            at = 1 if lines[0].startswith("#!") else 0
    return at


def _with_value(text: str, line: str) -> str:
    """``text`` with the assignment ``line`` below its first imports."""
    tree = parsed(text)
    lines = lines_of(text)
    head = [] if tree is None else _imports(tree)[0]
    if not head:
        return text
    ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
    at = head[-1].end_lineno or head[-1].lineno
    lines[at:at] = [ending, f"{line}{ending}"]
    return "".join(lines)
