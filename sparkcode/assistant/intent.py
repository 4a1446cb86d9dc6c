"""What kind of turn an instruction asks for: plain rules on its words, no model. Pure.

    /edit ...   /ask ...   /explain ...   /new PATH ...   /test NAME   /task ...     always win
    ends in a question mark, or begins like a question                   ask
    begins with "explain", "describe" or "summarise"                     explain
    "write a new file PATH ...", where there is no such file             new
    "write tests for NAME"                                               tests
    anything else                                                        edit

"Can you ...?" and its like ask for what they name: the words behind them decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from sparkcode.errors import UsageError

Kind = Literal["edit", "ask", "explain", "new", "test", "task"]


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of turn, and what the instruction says of it."""

    kind: Kind
    said: str
    """The instruction without a command in front."""
    path: str = ""
    """Of a new file."""
    name: str = ""
    """What is to be tested; "" for what stands at the cursor."""


COMMANDS: Final = get_args(Kind)

_COMMAND: Final = re.compile(r"/(?P<name>[A-Za-z]+)(?=\s|$)\s*(?P<rest>.*)", re.DOTALL)
_PATH: Final = r"[`\"']?(?P<path>(?:[\w.@-]+/)*[\w@-][\w.@-]*\.\w{1,8})[`\"']?"
_NAME: Final = r"[`\"']?(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?:\(\))?[`\"']?"
_POLITE: Final = re.compile(
    r"(?:please|(?:can|could|would|will) you(?: please)?|i(?:'d| would) like (?:you )?to|let's"
    r"|(?:how|what) about|why (?:not|don't (?:you|we)))\s+",
    re.IGNORECASE,
)
_MAKE: Final = r"(?:create|write|add|generate|make|start)"
_THEN: Final = r"(?=\s*(?:$|[:.,;]|\b(?:that|which|with|for|to|where|and|containing|holding)\b))"
_NEW: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_MAKE} (?:(?:a|an|the|new|empty|small|simple|python|\w+script|shell) )*"
        rf"(?:file|module|script|page)(?: called| named|:)? {_PATH}",
        rf"(?:{_MAKE} )?(?:a )?new {_PATH}",
        rf"{_MAKE} (?:a )?{_PATH}{_THEN}",
        rf"{_MAKE} .{{3,200}}? (?:in(?:to)?|to|as) (?:a )?new file(?: called| named|:)? {_PATH}",
    )
)
_TESTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_MAKE} (?:(?:some|a few|a|an|more|unit|pytest|good|simple|the|missing) )*"
        r"tests?(?: cases?)?(?: file| function| suite)? (?:for|of|covering) "
        rf"(?:(?:the|this|that)\s+)?(?:(?:function|method|class)\s+)?{_NAME}"
        r"(?=\W*$|[,.;:]|\s+(?:function|method|class|that|which|with|using|covering|in|and)\b)",
        rf"(?:unit[- ])?test {_NAME}\W*$",
        rf"{_MAKE} (?:(?:some|a few|unit|pytest|more) )*tests\W*$",
    )
)
_NO_NAMES: Final = frozenset({"it", "this", "that", "function", "method", "class", "the", "code"})
_VALUES: Final = frozenset(
    {"none", "null", "nil", "true", "false", "empty", "zero", "nan", "error"}
)
_EXPLAIN: Final = re.compile(
    r"(?:explain|describe|summari[sz]e|walk me through|tell me (?:what|how|why))\b", re.IGNORECASE
)
_ASK: Final = re.compile(r"(?:what|why|how)\b[^?]*$", re.IGNORECASE)
_QUESTION_MARKS: Final = ("?", "\N{FULLWIDTH QUESTION MARK}")


def intent_of(instruction: str, *, exists: Callable[[str], bool] = lambda path: False) -> Intent:
    """The kind of turn that ``instruction`` asks for; ``exists`` tells whether a file is there.

    UsageError for a command that there is not, and for one that lacks what it needs.
    """
    said = instruction.strip()
    command = _COMMAND.match(said)
    if command is not None:
        return _commanded(command["name"].lower(), command["rest"].strip())
    polite = _POLITE.match(said)
    core = said[polite.end() :] if polite is not None else said
    if _EXPLAIN.match(core):
        return Intent("explain", said)
    for pattern in _TESTS:
        found = pattern.match(core)
        name = (found.groupdict().get("name") or "") if found is not None else ""
        if found is not None and name.lower() not in _VALUES:
            return Intent("test", said, name="" if name.lower() in _NO_NAMES else name)
    for pattern in _NEW:
        found = pattern.match(core)
        if found is not None and not exists(found["path"]):
            return Intent("new", said, path=found["path"])
    asks = said.endswith(_QUESTION_MARKS) or _ASK.match(said) is not None
    return Intent("ask" if asks and polite is None else "edit", said)


def _commanded(name: str, rest: str) -> Intent:
    if name not in COMMANDS:
        known = ", ".join(f"/{each}" for each in COMMANDS)
        raise UsageError(f"there is no command /{name}; there are {known}")
    kind = cast(Kind, name)
    if kind == "new":
        path, _, more = rest.partition(" ")
        if not path or not more.strip():
            raise UsageError("/new needs a path and what the file is to hold: /new PATH ...")
        return Intent(kind, more.strip(), path=path)
    if kind == "test":
        return Intent(kind, f"Write tests for {rest or 'this code'}.", name=rest.split(" ")[0])
    if kind == "explain":
        return Intent(kind, rest or "Explain this code.")
    if not rest:
        raise UsageError(f"/{name} needs words behind it: /{name} ...")
    return Intent(kind, rest)
