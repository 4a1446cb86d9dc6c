"""What an instruction would do while it is being typed, and the user's choice against it.

A selection always wins, then what the user has chosen with a key; else the words of the instruction
decide, around the cursor (:mod:`sparkcode.assistant.composing`). Nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable

from sparkcode.assistant.aim import aim
from sparkcode.assistant.composing import Asked, Desk, composed
from sparkcode.assistant.edits import Target, place
from sparkcode.assistant.intent import intent_of
from sparkcode.syntax.instruction import rename_in
from sparkcode.syntax.lines import Region, whole
from sparkcode.syntax.region import enclosing_region
from sparkcode.syntax.widen import Source
from sparkcode.tui.panes import Pane, Panes

Targets = tuple[Target, ...]


class Aiming:
    """Looks at ``panes``; the shown one is where the user points.

    ``exists`` tells whether there is a file, ``read`` what one that is not open holds.
    """

    def __init__(
        self,
        panes: Panes,
        exists: Callable[[str], bool] = lambda path: False,
        read: Callable[[str], str] = lambda path: "",
    ) -> None:
        self._panes = panes
        self._exists = exists
        self._read = read
        self._sources: dict[str, tuple[int, Source]] = {}
        self._known: tuple[object, Asked] | None = None

    def asked(self, instruction: str) -> Asked:
        """The turn that ``instruction`` asks for; UsageError where it asks for none yet."""
        key = self._key(instruction)
        if self._known is None or self._known[0] != key:
            self._known = key, self._composed(instruction)
        return self._known[1]

    def known(self, instruction: str) -> Asked | None:
        """The same if it is known without work, else None."""
        known = self._known
        return known[1] if known is not None and known[0] == self._key(instruction) else None

    def step(self, instruction: str) -> None:
        """Choose the next: the definition at the cursor, each one around it, the file, and back."""
        pane = self._panes.current
        if pane is None or pane.selection is not None:
            return
        said, now = self._said(pane, instruction), self._pointed(pane, instruction)
        around = [each.region for each in self._source(pane).around(pane.cursor + 1)]
        here = [pane.region(enclosing_region), *reversed(around), whole(pane.text)]
        choices = list(dict.fromkeys([said, *(_only(pane, each) for each in here)]))
        chosen = choices[(choices.index(now) + 1) % len(choices)]
        pane.chosen = None if chosen == said else chosen[0].region

    def _composed(self, instruction: str) -> Asked:
        intent, pane = intent_of(instruction, exists=self._exists), self._panes.current
        if pane is None:
            return composed(intent, Desk(exists=self._exists))
        chosen = pane.selection or pane.chosen
        region = chosen or pane.region(enclosing_region)
        wide = rename_in(intent.said) is not None or intent.kind == "test"
        sources = self._open(wide=wide)
        desk = Desk(sources, pane.path, region, chosen is not None, self._exists, self._read)
        return composed(intent, desk)

    def _pointed(self, pane: Pane, instruction: str) -> Targets:
        chosen = pane.selection or pane.chosen
        return self._said(pane, instruction) if chosen is None else _only(pane, chosen)

    def _said(self, pane: Pane, instruction: str) -> Targets:
        """What the instruction's own words lead to."""
        sources = self._open(wide=rename_in(instruction) is not None)
        return aim(instruction, sources, pane.path, pane.region(enclosing_region))

    def _open(self, *, wide: bool) -> dict[str, Source]:
        """The file that is shown, or every open one."""
        shown = self._panes.current
        panes = [self._panes.get(path) for path in self._panes.paths] if wide else [shown]
        return {each.path: self._source(each) for each in panes if each is not None}

    def _source(self, pane: Pane) -> Source:
        known = self._sources.get(pane.path)
        if known is None or known[0] != pane.version:
            known = pane.version, Source.of(pane.text, pane.language)
            self._sources[pane.path] = known
        return known[1]

    def _key(self, instruction: str) -> object:
        pane = self._panes.current
        here = pane and pane.pointing
        panes = (self._panes.get(path) for path in self._panes.paths)
        return instruction, here, tuple((each.path, each.version) for each in panes if each)


def _only(pane: Pane, region: Region) -> Targets:
    return (Target(pane.path, region),)


def label(targets: Targets) -> str:
    """The first file's regions, and how many files there are beside it."""
    path = targets[0].path
    others = len({target.path for target in targets} - {path})
    more = f" +{others} {'file' if others == 1 else 'files'}" if others else ""
    return place(path, [each.region for each in targets if each.path == path]) + more


def title(asked: Asked, path: str = "") -> str:
    """What the turn is going to be, above the prompt; ``path`` is the file that is shown."""
    if asked.kind == "edit":
        return f"edit {label(asked.targets)}" if asked.targets else "ask"
    if asked.kind == "ask" and asked.about is None and path:
        return f"ask about {path}"
    return asked.title
