"""Which lines of a file an instruction means, when the user pointed at one place of it.

The place is usually meant, and these rules leave it only for plain words, first come first:

1. A rename of what the whole file knows (a definition, or a name that stands outside of all of
   them): every place with that name, each with a little around it.
2. "everywhere", "in this file", "all functions" and the like: the file.
3. The name of a definition elsewhere: that definition. Not when the name also stands in the place,
   when it is something to use ("use X instead"), or when several definitions have it.
4. In a place longer than is rewritten well, the names of definitions: these.
5. "all methods", "in the class": the class around the place, or the file where there is none.

Otherwise the place. An instruction about a name that does not exist yet never leaves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sparkcode.syntax.definitions import Definition, definitions, solids
from sparkcode.syntax.instruction import Mention, Rename, mentions, reach_of, rename_in
from sparkcode.syntax.lines import Region, disjoint, line_count, whole
from sparkcode.syntax.names import names_in
from sparkcode.syntax.pieces import MAX_LINES

UNIT_LINES: Final = 16
"""Longest definition that goes along whole with a name in it."""
AROUND_LINES: Final = 3
"""What goes along of a longer one, before and after the name, up to a blank line."""
NEAR_LINES: Final = 6
"""Two short places with fewer lines between them are one: a pass of its own costs more."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, read once for many instructions."""

    text: str
    lines: tuple[str, ...]
    definitions: tuple[Definition, ...]
    solids: tuple[Region, ...] = ()
    """Lines that stay together."""

    @classmethod
    def of(cls, text: str, language: str) -> Source:
        lines = tuple(text.split("\n")[: line_count(text)])
        return cls(text, lines, definitions(text, language), solids(text, language))

    def around(self, line: int) -> list[Definition]:
        """The definitions that hold ``line``, outer before inner."""
        return [each for each in self.definitions if _holds(each.region, Region(line, line))]


def meant(instruction: str, source: Source, region: Region) -> tuple[Region, ...]:
    """The regions of the file that the instruction means, in order; see the module."""
    rename, reach = rename_in(instruction), reach_of(instruction)
    if rename is not None and not rename.local:
        return _renamed(rename, source, region, everywhere=reach == "file")
    if reach == "file":
        return (whole(source.text),)
    if named := _named(instruction, source, region):
        return named
    return (_enclosing_type(source, region) if reach == "class" else region,)


def renamed_name(instruction: str, source: Source, region: Region) -> str:
    """The name that a rename is about, if all files are to follow it; "" otherwise.

    It is known outside its file: it stands outside of all definitions, or names an outermost one,
    or the instruction says "everywhere".
    """
    rename = rename_in(instruction)
    old = None if rename is None or rename.local else _old_name(rename, source, region)
    if old is None:
        return ""
    top = any(each.name == old and not each.around for each in source.definitions)
    return old if top or _outside(source, old) or reach_of(instruction) == "file" else ""


def uses(source: Source, name: str) -> tuple[Region, ...]:
    """Every place where ``name`` stands, with what belongs to it; near ones as one."""
    lines = [at for at, line in enumerate(source.lines, 1) if name in names_in(line)]
    found: list[Region] = []
    for region in disjoint(_unit(source, line) for line in lines):
        joined = Region(found[-1].first, region.last) if found else region
        near = found and region.first - found[-1].last <= NEAR_LINES
        if near and _size(joined) <= UNIT_LINES:
            found[-1] = joined
        else:
            found.append(region)
    return tuple(found)


def _renamed(
    rename: Rename, source: Source, region: Region, *, everywhere: bool
) -> tuple[Region, ...]:
    old = _old_name(rename, source, region)
    if old is None:
        return (region,)
    known = everywhere or _outside(source, old) or any(d.name == old for d in source.definitions)
    if not known or (not everywhere and _binds(source, region, old)):
        return (region,)
    found = uses(source, old)
    inside = all(_holds(region, each) for each in found)
    return found if found and not (inside and _size(region) <= UNIT_LINES) else (region,)


def _old_name(rename: Rename, source: Source, region: Region) -> str | None:
    if rename.old is not None:
        return rename.old
    here = [each for each in source.definitions if each.region == region]
    return here[-1].name if here else None


def _outside(source: Source, name: str) -> bool:
    """Whether ``name`` stands on a line outside all definitions."""
    inside: set[int] = set()
    for each in source.definitions:
        inside.update(range(each.region.first, each.region.last + 1))
    outside = (line for at, line in enumerate(source.lines, 1) if at not in inside)
    return any(name in names_in(line) for line in outside)


def _binds(source: Source, region: Region, name: str) -> bool:
    """Whether a function at ``region`` has a variable or a parameter of that name."""
    here = [each for each in source.definitions if each.region == region and each.runs]
    if not here or here[-1].name == name:
        return False
    text = "\n".join(_inside(source, region))
    word = re.escape(name)
    parameter = rf"\A[^()]*\((?:[^()]*[\s,*])?{word}\s*[,:=)]"
    variable = rf"^\s*(?:(?:let|const|var)\s+)?{word}\s*(?::[^=\n]+)?:?=(?!=)|\bfor\s+{word}\b"
    return bool(re.search(parameter, text) or re.search(variable, text, re.MULTILINE))


def _named(instruction: str, source: Source, region: Region) -> tuple[Region, ...]:
    """Definitions that the instruction names, none inside another; empty: it means the place."""
    said = [each for each in mentions(instruction) if each.sure and not each.tool]
    here = names_in("\n".join(_inside(source, region)))
    long = _size(region) > MAX_LINES
    found: list[Region] = []
    for each in said:
        one = _only(each, {other.name for other in said}, source, region)
        if one is None:
            continue
        if _holds(region, one.region) and not long:
            return ()
        if not _holds(region, one.region) and each.name in here:
            return ()
        found.append(one.region)
    return disjoint(_innermost(found))


def _only(mention: Mention, said: set[str], source: Source, region: Region) -> Definition | None:
    """The one definition of that name; of several that in a class which is named too, else the one
    beside the place.
    """
    found = [
        each
        for each in source.definitions
        if each.name == mention.name and mention.holder in ("", *each.around)
    ]
    if len(found) > 1 and any(said & {*each.around} for each in found):
        found = [each for each in found if said & {*each.around}]
    if len(found) > 1:
        around = tuple(each.name for each in source.around(region.first) if not each.runs)
        found = [each for each in found if around and each.around[: len(around)] == around]
    return found[0] if len(found) == 1 else None


def _enclosing_type(source: Source, region: Region) -> Region:
    types = [each.region for each in source.definitions if not each.runs]
    return next((each for each in reversed(types) if _holds(each, region)), whole(source.text))


def _unit(source: Source, line: int) -> Region:
    """What goes along with a name on ``line``."""
    around = source.around(line)
    if around and _size(around[-1].region) <= UNIT_LINES:
        return around[-1].region
    first = last = line
    stop = around[-1].region if around else whole(source.text)
    while first > max(stop.first, line - AROUND_LINES) and source.lines[first - 2].strip():
        first -= 1
    while last < min(stop.last, line + AROUND_LINES) and source.lines[last].strip():
        last += 1
    for solid in source.solids:
        if _holds(stop, solid) and solid.first <= last and first <= solid.last:
            first, last = min(first, solid.first), max(last, solid.last)
    return Region(first, last)


def _innermost(regions: Iterable[Region]) -> list[Region]:
    found = list(dict.fromkeys(regions))
    return [each for each in found if not any(o != each and _holds(each, o) for o in found)]


def _inside(source: Source, region: Region) -> tuple[str, ...]:
    return source.lines[region.first - 1 : region.last]


def _holds(outer: Region, inner: Region) -> bool:
    return outer.first <= inner.first and inner.last <= outer.last


def _size(region: Region) -> int:
    return region.last - region.first + 1
