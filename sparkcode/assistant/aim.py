"""What an instruction is to edit, in all open files: the place, and where its words lead. Pure.

The rules within one file are :mod:`sparkcode.syntax.widen`'s. A rename of what other files may know
too goes on in those where the name stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkcode.assistant.edits import Target
from sparkcode.syntax.lines import Region
from sparkcode.syntax.names import names_in
from sparkcode.syntax.widen import Source, meant, renamed_name, uses


def aim(
    instruction: str, sources: Mapping[str, Source], path: str, region: Region
) -> tuple[Target, ...]:
    """The targets of ``instruction`` when the user points at ``region`` of ``path``.

    Those in ``path`` come first. It has none when all that is to be renamed is elsewhere.
    """
    source = sources[path]
    regions: Sequence[Region] = meant(instruction, source, region)
    name = renamed_name(instruction, source, region)
    others = _elsewhere(name, sources, path) if name else ()
    if others and name not in names_in(source.text):
        return others
    return (*(Target(path, each) for each in regions), *others)


def _elsewhere(name: str, sources: Mapping[str, Source], path: str) -> tuple[Target, ...]:
    return tuple(
        Target(other, each)
        for other, source in sources.items()
        if other != path
        for each in uses(source, name)
    )
