"""What the words of an instruction plainly ask of Python code, and the code can be seen to lack.

Each rule is a pattern for the instruction and a look at the tree before and after. It speaks up
only where the edit cannot be right: a docstring was asked for and none came, a loop should have
become a comprehension and is still there. The message says what to do: it goes into the next
question. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Final

from sparkcode.checks import trees
from sparkcode.checks.trees import Function

_Look = Callable[[ast.Module, ast.Module, re.Match[str], str], Iterator[str]]
"""From the trees before and after, the words that were found and the whole instruction."""

_ALL: Final = re.compile(r"\b(?:all|each|every|both|methods|functions|class)\b", re.IGNORECASE)
_PERCENT: Final = re.compile(r"%(?:\(\w+\))?[-+ #0]*[\d*]*(?:\.[\d*]+)?[a-zA-Z]")
_BRACES: Final = re.compile(r"\{\{|\}\}|\{(?:[^{}]|\{[^{}]*\})*\}")
_AWAY: Final = re.compile(
    r"\b(?:remov|delet|drop|strip|get rid|without|undo|no longer|simplif|shorten|fix|correct|updat"
    r"|renam|mov|translat|reword)\w*\b",
    re.IGNORECASE,
)
_PART: Final = re.compile(
    r"\b(?:only|return (?:type|value)|result|to the (?:param|arg)\w+)\b", re.IGNORECASE
)
_A_CLASS: Final = re.compile(
    r"(?<!of this )(?<!of the )(?<!in this )(?<!in the )\bclass\b", re.IGNORECASE
)
_EACH: Final = re.compile(r"\b(?:methods|all|each|every)\b", re.IGNORECASE)


def faults(old: ast.Module, new: ast.Module, instruction: str) -> Iterator[str]:
    """What ``new``, which ``instruction`` made of ``old``, lacks; a message for each."""
    for pattern, look in _RULES:
        match = pattern.search(instruction)
        if match is not None:
            yield from look(old, new, match, instruction)


def _hints(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if _AWAY.search(said):
        return
    typed = {
        name: node
        for name, (was, node) in trees.changed(old, new).items()
        if was is not None and _annotations(was) != _annotations(node)
    }
    bare = [node for node in trees.functions(new).values() if not any(_annotations(node))]
    if not typed and bare and _annotated(old) == _annotated(new):
        yield "add type hints"
    if _PART.search(said):
        return
    holders = {name.rpartition(".")[0] for name in typed} - {""} if _ALL.search(said) else set()
    for name, node in trees.functions(new).items():
        holder = name.rpartition(".")[0]
        if name not in typed and holder not in holders:
            continue
        own = trees.parameters(node)
        if holder in trees.classes(new) and own and own[0].arg in ("self", "cls", "mcs"):
            own = own[1:]
        for parameter in own:
            if parameter.annotation is None:
                yield f"give {parameter.arg!r} of {node.name}() a type hint"
        if node.returns is None and node.name != "__init__":
            yield f"give {node.name}() a type hint for its result"


def _annotations(function: Function) -> list[str]:
    nodes = [*(each.annotation for each in trees.parameters(function)), function.returns]
    return ["" if node is None else ast.unparse(node) for node in nodes]


def _annotated(tree: ast.Module) -> int:
    return trees.count(tree, ast.AnnAssign)


def _docs(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if _AWAY.search(said):
        return
    if trees.docstrings(new) <= trees.docstrings(old):
        yield "add a docstring"
        return
    had = trees.classes(old)
    for name, node in trees.classes(new).items():
        was = had.get(name)
        if was is None or trees.docstrings(was) == trees.docstrings(node):
            continue
        if _A_CLASS.search(said) and ast.get_docstring(node) is None:
            yield f"give the class {name} a docstring"
        if _EACH.search(said):
            yield from _undocumented(node)


def _undocumented(node: ast.ClassDef) -> Iterator[str]:
    for member in node.body:
        public = isinstance(member, Function) and not member.name.startswith("_")
        if public and isinstance(member, Function) and ast.get_docstring(member) is None:
            yield f"give {member.name}() a docstring"


def _formats(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if _AWAY.search(said):
        return
    if trees.count(new, ast.JoinedStr) <= trees.count(old, ast.JoinedStr):
        yield "write an f-string"
    elif "join" not in trees.named(old) and sorted(_literals(old)) != sorted(_literals(new)):
        yield "keep the text in the strings as it was"


def _literals(tree: ast.Module) -> str:
    """The characters that stand in strings as they are, without places for values."""
    plain: dict[int, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(left=ast.Constant(value=str(text)) as left, op=ast.Mod()):
                plain[id(left)] = _PERCENT.sub("", text).replace("%%", "%")
            case ast.Call(
                func=ast.Attribute(value=ast.Constant(value=str(text)) as left, attr="format")
            ):
                plain[id(left)] = _BRACES.sub(_brace, text)
            case ast.FormattedValue(format_spec=ast.JoinedStr() as spec):
                # How a value is shown is no text.
                plain |= {id(inner): "" for inner in ast.walk(spec)}
            case _:
                pass
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "".join(
        plain.get(id(node), node.value) for node in constants if isinstance(node.value, str)
    )


def _brace(match: re.Match[str]) -> str:
    return match[0][0] if match[0] in ("{{", "}}") else ""


def _comprehends(
    old: ast.Module, new: ast.Module, match: re.Match[str], said: str
) -> Iterator[str]:
    grown = trees.count(new, trees.COMPREHENSIONS) > trees.count(old, trees.COMPREHENSIONS)
    if "comprehension" in match[0].lower() and not grown:
        yield "write a comprehension"
    elif trees.loops(old) and trees.loops(new) >= trees.loops(old):
        yield "remove the loop"


def _raises(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    name = match["name"]
    if trees.raised(new, name) <= trees.raised(old, name):
        yield f"write `raise {name}`"


def _flattens(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    for was, node in trees.changed(old, new).values():
        if was is not None and trees.depth(was) > 1 and trees.depth(node) >= trees.depth(was):
            yield f"nest {node.name}() less: return early"


def _reverses(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if _sorts(new) and not _reversed(new):
        yield "turn the order around"


def _sorts(tree: ast.Module) -> bool:
    return any(name in ("sorted", "sort") for name in trees.named(tree))


def _reversed(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="reverse") | ast.UnaryOp(op=ast.USub()):
                return True
            case (
                ast.Name(id="reversed" | "cmp_to_key")
                | ast.Attribute(attr="reverse" | "cmp_to_key")
            ):
                return True
            case _:
                pass
    return False


def _logs(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if _AWAY.search(said):
        return
    if trees.calls(new, "print") > trees.calls(old, "print"):
        yield "use the logger, not print()"
    elif sum(1 for _ in trees.logs(new)) <= sum(1 for _ in trees.logs(old)):
        yield "call the logger"


def _constants(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    if re.search(r"\b[A-Z][A-Z0-9]*_?[A-Z0-9_]+\b", said) is None:
        return
    for text in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)", said):
        value = ast.literal_eval(text.lstrip("0") or "0") if "." not in text else float(text)
        for was, node in trees.changed(old, new).values():
            if was is not None and _has(was, value) and _has(node, value):
                yield f"replace {text} in {node.name}() too"


def _has(function: Function, value: float) -> bool:
    return any(
        isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == value
        for node in ast.walk(function)
    )


def _accepts(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    grown = False
    for was, node in trees.changed(old, new).values():
        before = set() if was is None else {each.arg for each in trees.parameters(was)}
        come = [each.arg for each in trees.parameters(node) if each.arg not in before]
        grown = grown or bool(come)
        read = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        for name in come if was is not None and not trees.is_stub(node) else ():
            if name not in read:
                yield f"use the new parameter {name!r} in {node.name}()"
    if not grown:
        yield "add the parameter"


_NO_NAMES: Final = frozenset(
    {"new", "helper", "static", "class", "private", "public", "second", "simple", "another"}
    | {"this", "that", "following", "instance", "abstract", "async", "main", "utility", "separate"}
    | {"single", "extra", "pure", "local", "inner", "test", "more", "missing", "shared", "common"}
    | {"special", "string", "factory", "recursive", "generator", "magic", "dunder", "small", "such"}
    | {"comparison", "conversion", "equality", "validation", "cleanup", "setter", "getter"}
)
"""What stands before the word "method" and is no name."""


def _defines(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    name = match["before"] or match["behind"]
    if name.lower() in _NO_NAMES or not name.isidentifier() or not name.islower():
        return
    made = {each.rpartition(".")[2].strip("_") for each in trees.functions(new)}
    if name.strip("_") not in made:
        yield f"define {name}"


def _with(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    kinds = (ast.With, ast.AsyncWith)
    if trees.count(new, kinds) <= trees.count(old, kinds):
        yield "write a with statement"


_ALSO: Final = {"pathlib": {"Path", "PurePath"}}
"""What a module is known by as well."""


def _uses(old: ast.Module, new: ast.Module, match: re.Match[str], said: str) -> Iterator[str]:
    name = match["name"]
    if not ({name} | _ALSO.get(name, set())) & set(trees.named(new)):
        yield f"use {name}"


def _rule(pattern: str, look: _Look, flags: int = re.IGNORECASE) -> tuple[re.Pattern[str], _Look]:
    return re.compile(pattern, flags), look


_RULES: Final = (
    _rule(r"\btype[- ]?(?:hints?|annotations?)\b|\bannotate\b", _hints),
    _rule(r"\b(?:add|write|give|create|insert|put|missing|need)\w*\b.*\bdocstrings?\b", _docs),
    _rule(r"^(?:please )?document\b", _docs),
    _rule(r"\bf-?strings?\b", _formats),
    _rule(r"\bcomprehensions?\b", _comprehends),
    _rule(r"\b(?:use|using|with)\s+`?(?:sum|any|all|max|min)\(", _comprehends),
    _rule(
        r"(?<!not )(?<!n't )(?<!never )(?<!may )(?<!can )(?<!might )(?<!could )"
        r"\b(?:raise|(?:that|which|and) raises)\s+(?:an? )?"
        r"`?(?P<name>[A-Z]\w*(?:Error|Exception))\b",
        _raises,
        0,
    ),
    _rule(
        r"\bearly returns?\b|\bguard clauses?\b|\bnest(?:ed|ing)\b.*\bifs?\b|\bif\w*\b.*\bnest",
        _flattens,
    ),
    _rule(
        r"\bdescending\b|\b(?:highest|largest|biggest|newest|latest|longest|most recent)"
        r"(?: \w+)? first\b",
        _reverses,
    ),
    _rule(r"\blogg(?:er|ing)\b|^log\b|\blog (?:an?|the|it|each|every|this|that|all)\b", _logs),
    _rule(r"\bconstants?\b|\bmagic (?:number|value)s?\b", _constants),
    _rule(
        r"\b(?:add|accept|take|introduce)s? (?:(?!for |of |to |that |in |on |from |with )[\w-]+,? )"
        r"{1,4}(?:parameter|argument|flag|option|kwarg)\b",
        _accepts,
    ),
    _rule(
        r"\b(?:add|implement|define|write|create) (?:(?:an?|the) )?"
        r"(?!an?\b|the\b)`?(?P<before>\w+)`?"
        r"(?:\(\))? (?:method|property|classmethod|staticmethod)\b"
        r"|\b(?:method|function|property) (?:called|named) `?(?P<behind>\w+)",
        _defines,
    ),
    _rule(r"\bwith[- ](?:statement|block)s?\b", _with),
    _rule(
        r"\b(?:use|using|via)\s+`?(?P<name>zip|enumerate|isinstance|defaultdict|Counter|setdefault"
        r"|pathlib|itertools|functools|reversed|sorted|map|filter|deque|namedtuple)`?(?:\(\))?"
        r"(?=\s*(?:[,.;:]|$|(?:instead|rather|to|for|and|over|here|in)\b))",
        _uses,
        0,
    ),
)
"""All that apply are looked at, in this order."""
