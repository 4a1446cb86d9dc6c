"""What is sent for an instruction: which lines an edit may change, and which it is about. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sparkcode.assistant.aim import aim
from sparkcode.assistant.edits import NEW, Target
from sparkcode.assistant.intent import Intent, Kind
from sparkcode.assistant.testing import place_of_tests
from sparkcode.errors import UsageError
from sparkcode.syntax.definitions import Definition
from sparkcode.syntax.lines import Region, line_count, whole
from sparkcode.syntax.widen import Source

ASKED_WHOLE: Final = 6000
"""Characters of the longest file that a question without a selection is about as a whole."""


FEW: Final = "Write four short tests, each of another case, with at most three asserts each."
"""Without a number small models go on and on."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What is open, and where the user points."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    """Every open file by its path."""
    path: str = ""
    """The file that is looked at; "" when none is open."""
    region: Region | None = None
    """Where the user points in it; None for the whole file."""
    selected: bool = False
    """Whether these lines were chosen, not found around a cursor."""
    exists: Callable[[str], bool] = lambda path: False
    """Whether there is a file or a folder of that name."""
    read: Callable[[str], str] = lambda path: ""
    """The text of a file that is there and not open."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn, ready to be sent."""

    kind: Kind
    instruction: str
    targets: tuple[Target, ...] = ()
    """What an edit may change; none for an answer in words."""
    about: Target | None = None
    """What is read closely and stays as it is."""

    @property
    def title(self) -> str:
        """What the turn is going to be, in a few words."""
        match self.kind:
            case "new":
                said = f"new file {self.targets[0].path}"
            case "test":
                said = f"tests for {self.about} in {self.targets[0].path}"
            case "explain":
                said = f"explain {self.about}" if self.about else "explain"
            case "task":
                said = "task in the whole folder"
            case "ask":
                said = f"ask about {self.about}" if self.about else "ask"
            case _:
                said = "edit"
        return said


def composed(intent: Intent, desk: Desk) -> Asked:
    """The turn that ``intent`` asks for.

    UsageError when it cannot be: a new file that is there, tests of what nobody knows.
    """
    pointed = None
    if desk.path:
        region = desk.region or whole(desk.sources[desk.path].text)
        pointed = Target(desk.path, region)
    asked = Asked(intent.kind, intent.said)
    match intent.kind:
        case "new":
            if desk.exists(intent.path):
                raise UsageError(f"{intent.path!r} is there already; /edit changes what is open")
            asked = replace(asked, targets=(Target(intent.path, NEW),))
        case "test":
            asked = _tests(intent, desk, pointed)
        case "explain":
            asked = replace(asked, about=pointed)
        case "ask" if pointed is not None and (desk.selected or _long(desk)):
            asked = replace(asked, about=pointed)
        case "edit" if pointed is not None:
            aimed = aim(intent.said, desk.sources, pointed.path, pointed.region)
            asked = replace(asked, targets=(pointed,) if desk.selected else aimed)
        case _:
            pass
    return asked


def _long(desk: Desk) -> bool:
    """Whether a question is about the lines that are pointed to, not about all of the file."""
    text = desk.sources[desk.path].text
    return len(text) > ASKED_WHOLE and desk.region not in (None, whole(text))


def _tests(intent: Intent, desk: Desk, pointed: Target | None) -> Asked:
    if pointed is None:
        raise UsageError("open the file that is to be tested; nothing is open")
    about = _named(intent.name, desk) if intent.name else pointed
    if about is None:
        raise UsageError(f"nothing that is open defines {intent.name!r}; open its file to test it")
    around = _around(desk.sources[about.path].definitions, about.region)
    place = place_of_tests(about.path, around, desk.exists)
    source = desk.sources.get(place.path)
    if source is not None:
        last = line_count(source.text)
    else:
        last = line_count(desk.read(place.path)) if desk.exists(place.path) else 0
    said = intent.said.rstrip(". \n")
    target = Target(place.path, Region(last + 1, last))
    return Asked("test", f"{said}. {FEW} {place.hint}", (target,), about)


def _named(name: str, desk: Desk) -> Target | None:
    """The definition called ``name``, in the file that is looked at or else in another."""
    *holders, last = name.split(".")
    paths = sorted(desk.sources, key=lambda path: path != desk.path)
    for path in paths:
        for each in desk.sources[path].definitions:
            if each.name == last and (not holders or each.around[-1:] == (holders[-1],)):
                return Target(path, each.region)
    return None


def _around(definitions: Sequence[Definition], region: Region) -> str:
    """The outermost definition that holds ``region``, which is what can be imported."""
    for each in definitions:
        if each.region.first <= region.first and region.last <= each.region.last:
            return each.around[0] if each.around else each.name
    return ""
