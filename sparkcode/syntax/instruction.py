"""What an instruction says about where it applies: plain rules on its words, no model.

Three things are looked for: a new name for something, words that mean the whole file, and names of
definitions. Text in quotation marks is somebody else's and says nothing; backticks mark code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_KINDS: Final = (
    r"(?:function|method|class|struct|enum|interface|trait|type|constructor|definition|constant)"
)
_LOCALS: Final = r"(?:variable|parameter|argument|arg|param|local|loop variable)"
_NAME: Final = r"[`\"']?(?P<{}>[^\W\d][\w.]*\w|[^\W\d])(?:\(\))?[`\"']?"
_OLD, _NEW = _NAME.format("old"), _NAME.format("new")
_THIS: Final = rf"(?:it|this|that|(?:this|that|the) (?:{_KINDS}|name))"
_TO: Final = r"(?:to|into|as|->|=>|\N{RIGHTWARDS ARROW})"
_END: Final = r"(?=$|[\s.,;:!)])"

_RENAMES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\brename {_THIS} {_TO} {_NEW}{_END}",
        rf"\brename (?:the |this |all |every )?(?:(?P<kind>{_LOCALS})s? |{_KINDS} )?(?:name )?"
        rf"{_OLD}(?: {_KINDS})?(?: everywhere)? {_TO} {_NEW}{_END}",
        rf"\bchange the name (?:of )?(?:the )?(?:(?P<kind>{_LOCALS}) |{_KINDS} )?{_OLD} {_TO} "
        rf"{_NEW}{_END}",
        rf"^(?:please )?(?:call|name) {_THIS} {_NEW}(?: instead)?\W*$",
        rf"{_THIS} should be (?:called|named|renamed to) {_NEW}{_END}",
        rf"{_OLD} should be (?:called|named|renamed to) {_NEW}{_END}",
        rf"\b(?:replace|change) (?:all|every|each) (?:of )?(?:the )?(?:uses?|occurrences?|calls?) "
        rf"(?:of|to) {_OLD} (?:with|by|to|into) {_NEW}{_END}",
    )
)
_REPLACES: Final = re.compile(rf"\breplace {_OLD} (?:with|by) {_NEW}{_END}", re.IGNORECASE)
"""A rename only where the instruction goes for the whole file."""
_NO_NAMES: Final = _words(
    "after again always at before by during even exactly first for from if in instead last lazily "
    "never not on once only twice until when whenever while with without"
)
"""What may follow ``should be called`` and is no name."""
_FILLERS: Final = _words(
    "please can you everywhere throughout across in of to its at where the this that whole entire "
    "all every each file files module code project class function method use uses usage usages "
    "calls callers call sites occurrences references including and also update fix them too instead"
)
"""What may stand beside a rename without asking for more."""

_FILE: Final = re.compile(
    r"\b(?:everywhere|throughout|(?:whole|entire|this) (?:file|module)"
    r"|(?:all|every|each)(?: (?:of )?the)? (?:functions?|class(?:es)?|definitions?|structs?|types?)"
    r"|(?:all|every|each)(?: (?:of )?the)? (?:uses?|usages?|occurrences?|references?|calls)"
    r"|across the (?:file|module))\b",
    re.IGNORECASE,
)
_CLASS: Final = re.compile(
    r"\b(?:(?:all|every|each)(?: (?:of )?the)? (?:\w+ )?methods?|(?:whole|entire|this) class"
    r"|(?:in|of|across|throughout) the class)\b",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)")

_WORD: Final = re.compile(
    r"(?P<tick>`)?(?P<name>[^\W\d]\w*(?:(?:\.|::|#)[^\W\d]\w*)*)(?P<call>\(\))?`?"
)
_CODE: Final = re.compile(r"\w*[^\W_]_[^\W_]\w*|_+[^\W_]\w*|\w*[a-z0-9][A-Z]\w*")
"""snake_case, _private, CamelCase and camelCase."""
_TOOLS: Final = _words(
    "use uses using call calls calling invoke invokes like as via with by through than reuse see "
    "delegate imitating unlike instead"
)
"""A name behind one of these is what to work with, not what to work on."""
_TAKEN: Final = _words("remove delete drop strip")
"""With these, ``from NAME`` is what to work on."""
_LINKS: Final = _words("the a an of to function method class struct and or")
_NO_DEFINITIONS: Final = _LINKS | _words(
    "this that these those is are in on for with should must can will may has have so"
)
"""Words beside ``function`` that are no name of one."""
_NEW_THINGS: Final = _words("called named")


@dataclass(frozen=True, slots=True)
class Rename:
    """A new name for something."""

    old: str | None
    """None: for what stands at the cursor."""
    new: str
    local: bool = False
    """Whether it is said to be a variable or a parameter."""
    alone: bool = False
    """Whether the instruction asks for nothing else."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A name that may be a definition's."""

    name: str
    holder: str = ""
    """What it is said to stand in, as in ``Stack.push``."""
    sure: bool = True
    """Whether it looks like code, or is said to be a function, a class or the like."""
    tool: bool = False
    """Whether it is something to use, not something to change."""


def rename_in(instruction: str) -> Rename | None:
    """The rename that is asked for, if one is."""
    text = instruction.strip()
    for pattern in (*_RENAMES, *([_REPLACES] if _FILE.search(instruction) else [])):
        found = pattern.search(text)
        if found is None:
            continue
        said = found.groupdict()
        old, new = said.get("old"), said["new"]
        if old is not None and old.lower() in ("it", "this", "that"):
            old = None
        if old == new or new.lower() in _NO_NAMES:
            continue
        rest = f"{text[: found.start()]} {text[found.end() :]}".lower()
        alone = set(re.findall(r"\w+", rest)) <= _FILLERS
        names = old and old.split(".")[-1], new.split(".")[-1]
        return Rename(*names, local=bool(said.get("kind")), alone=alone)
    return None


def reach_of(instruction: str) -> Literal["file", "class"] | None:
    """How far the instruction says that it goes; None where it does not say."""
    said = _QUOTED.sub("", instruction)
    if _FILE.search(said):
        return "file"
    return "class" if _CLASS.search(said) else None


def mentions(instruction: str) -> tuple[Mention, ...]:
    """Every word that may name a definition, in order."""
    said = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), instruction)
    words = list(_WORD.finditer(said))
    plain = [word["name"].lower() for word in words]
    found: list[Mention] = []
    for at, word in enumerate(words):
        holder, _, name = word["name"].replace("::", ".").replace("#", ".").rpartition(".")
        near = plain[max(0, at - 1) : at] + plain[at + 1 : at + 2]
        named = any(re.fullmatch(_KINDS, each) for each in near)
        named = named and name.lower() not in _NO_DEFINITIONS
        sure = bool(word["tick"] or word["call"] or holder or _CODE.fullmatch(name) or named)
        tool = _is_tool(plain, at)
        found.append(Mention(name, holder.rpartition(".")[2], sure, tool))
    return tuple(found)


def _is_tool(plain: list[str], at: int) -> bool:
    """Whether the word at ``at`` follows one that makes it something to use."""
    before = at - 1
    while before >= 0 and plain[before] in _LINKS:
        before -= 1
    if before < 0:
        return False
    word = plain[before]
    if any(each in ("and", "or") for each in plain[before + 1 : at]):
        return _is_tool(plain, before)
    if word == "from":
        return not any(each in _TAKEN for each in plain[:before])
    return word in _TOOLS or word in _NEW_THINGS
