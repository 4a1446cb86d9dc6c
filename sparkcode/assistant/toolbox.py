"""What a model may ask for between its answers: to list, search and read the files, and to run.

Reading goes through :mod:`.workspace` and :mod:`.listing`: nothing outside the folder, nothing that
a ``.gitignore`` names. What the turn's own patches have changed is read as it would be. A command
is only described here; whether it may run is the user's to say (:mod:`.helping`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Final

import regex

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.listing import Listing
from sparkcode.assistant.plain import one_line
from sparkcode.assistant.tools import (
    NAMES,
    READ_LINES,
    Found,
    ListFiles,
    ReadFile,
    SearchFiles,
    brief,
    decoded,
    refused,
)
from sparkcode.assistant.workspace import MAX_FILE_BYTES, Workspace
from sparkcode.errors import WorkspaceError

MATCHES: Final = 100
FILES: Final = 1000
LINE_CHARACTERS: Final = 300
"""Of a longer line the start is shown."""
ANSWER_CHARACTERS: Final = 32_000
"""The longest result of one call."""
PATTERN_SECONDS: Final = 0.5
"""The longest that a pattern may take with one file."""


class Toolbox:
    """The tools that only look."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def answer(
        self,
        name: str,
        arguments: str,
        staged: Contents,
        late: Callable[[], bool] = lambda: False,
    ) -> Found:
        """The result of a call; what cannot be done is said in it.

        ``staged`` are files as the turn's patches would leave them. ``late`` tells a search that
        its time is over.
        """
        if name not in NAMES:
            return refused(one_line(name, 60), f"no tool {name!r} here")
        asked = decoded(name, arguments)
        try:
            match asked:
                case Found():
                    found = asked
                case ListFiles():
                    found = self._list(asked, staged)
                case SearchFiles():
                    found = self._search(asked, staged, late)
                case ReadFile():
                    found = self._read(asked, staged)
                case _:
                    found = refused(name, "nothing is run here")
        except WorkspaceError as error:
            found = refused(f"{name} {brief(asked)}".strip(), str(error))
        return found

    def _read(self, asked: ReadFile, staged: Contents) -> Found:
        path = self._workspace.relative(asked.path)
        said = f"read {one_line(path, 120)}"
        why = Listing(self._workspace).hidden(path)
        if why:
            return refused(said, f"{path!r} is not shown to a model: {why}")
        text = self._text(path, staged)
        *lines, rest = text.split("\n")
        lines += [rest] if rest else []
        first = max(1, asked.first_line)
        wanted = len(lines) if asked.last_line is None else asked.last_line
        last = min(len(lines), wanted, first + READ_LINES - 1)
        taken: list[str] = []
        room = ANSWER_CHARACTERS
        for line in lines[first - 1 : last]:
            room -= len(line) + 1
            if room < 0:
                break
            taken.append(line)
        last = first + len(taken) - 1
        if not taken:
            if first <= len(lines):
                return refused(said, f"line {first} of {path!r} is longer than is read")
            return refused(said, f"{path!r} has {len(lines)} lines")
        head = f"{path}, lines {first}-{last} of {len(lines)}:\n"
        part = "" if len(taken) == len(lines) else f":{first}-{last}"
        count = "1 line" if len(taken) == 1 else f"{len(taken)} lines"
        return Found(head + "\n".join(taken), f"{said}{part}: {count}")

    def _list(self, asked: ListFiles, staged: Contents) -> Found:
        found = list(self._paths(asked.folder, asked.glob, staged))
        shown = found[:FILES]
        more = f"\n... and {len(found) - FILES} more" if len(found) > FILES else ""
        said = f"listed {brief(asked) or 'the folder'}: {_count(len(found), 'file')}"
        return Found(("\n".join(shown) or "no files") + more, one_line(said))

    def _search(self, asked: SearchFiles, staged: Contents, late: Callable[[], bool]) -> Found:
        said = f"searched {brief(asked)}"
        try:
            pattern = regex.compile(asked.pattern, regex.MULTILINE)
        except (regex.error, OverflowError, RecursionError) as error:
            return refused(said, f"{asked.pattern!r} is no regular expression: {error}")
        hits: list[str] = []
        room = ANSWER_CHARACTERS
        note = ""
        for path in self._paths(asked.folder, asked.glob, staged):
            try:
                found = list(self._hits(pattern, path, staged, MATCHES - len(hits) + 1))
            except TimeoutError:
                return refused(said, f"{asked.pattern!r} takes too long; a simpler one will do")
            hits += found
            room -= sum(map(len, found))
            if len(hits) > MATCHES or room < 0 or late():
                note = "\n... there may be more; narrow the search"
                break
        hits = hits[:MATCHES]
        text = "\n".join(hits)[:ANSWER_CHARACTERS] or "no matches"
        return Found(text + note, one_line(f"{said}: {_count(len(hits), 'match', 'matches')}"))

    def _hits(
        self, pattern: regex.Pattern[str], path: str, staged: Contents, most: int
    ) -> Iterator[str]:
        """The first lines in which a match begins, at most ``most``."""
        try:
            text = self._text(path, staged).replace("\r\n", "\n")
        except WorkspaceError:
            return  # Binary, or too large.
        number, at, shown = 1, 0, 0
        for match in pattern.finditer(text, timeout=PATTERN_SECONDS):
            number += text.count("\n", at, match.start())
            at = match.start()
            if number == shown:
                continue
            shown = number
            start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            line = text[start : len(text) if end < 0 else end]
            yield f"{path}:{number}: {line[:LINE_CHARACTERS]}"
            most -= 1
            if most <= 0:
                return

    def _paths(self, folder: str, glob: str, staged: Contents) -> Iterator[str]:
        """Files that may be found, those that the turn's patches add included."""
        here = ""
        if folder.strip() not in ("", ".", "./", "/"):
            here = self._workspace.relative(folder)
        listing = Listing(self._workspace)
        if here and (why := listing.hidden(here)):
            raise WorkspaceError(f"{here!r} is not shown to a model: {why}")
        alone = bool(here) and self._workspace.is_file(here)
        there = {here} if alone else set(listing.files(here))
        inside = f"{here}/" if here else ""
        for path, data in staged.items():
            if data is None:
                there.discard(path)
            elif path == here or path.startswith(inside):
                there.add(path)
        for path in sorted(there):
            if not glob or fnmatchcase(path, glob) or fnmatchcase(path, f"*/{glob}"):
                yield path

    def _text(self, path: str, staged: Contents) -> str:
        if path not in staged:
            return self._workspace.read(path).text
        data = staged[path]
        if data is None:
            raise WorkspaceError(f"{path!r} was deleted by this task's patch")
        return data[:MAX_FILE_BYTES].decode(errors="replace")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
