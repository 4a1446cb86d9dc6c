"""File blocks: how an open file travels inside a plain-text message.

    File: src/calc.py
    Edit region: lines 4-5, 9-12
    ```python
    ...the whole text of the file...
    ```

Any model can read it, and an engine that rewrites regions reads the same lines to know what it may
change, in one place or several. ``Edit region`` is absent when the file is only context. A file
that is to be completed has the line ``Cursor: line 4 column 1`` instead, one that a question is
about may have ``Selected: lines 4-5``, and one that does not exist yet has the line ``New file``.
The fence is longer than any run of backticks in the text, so no content can close it. A path with
characters that could break the line is written as a JSON string. A text without a final newline is
followed by the line ``(no newline at end of file)`` after its closing fence. CRLF endings travel as
they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

Region = tuple[int, int]
"""First and last line, 1-based and inclusive; ``(n + 1, n)`` is the empty region after line n."""

COMPLETE = "Complete the code at the cursor."
COMPLETE_LINE = "Complete the line at the cursor."
"""What a message asks for beside a block with a cursor: a stretch of code, or the line's rest."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two characters of a file."""

    line: int
    """From 1; only LF ends a line."""
    column: int
    """From 1, in characters: the place is before the one with this number."""


_NO_NEWLINE = "(no newline at end of file)"
_HEAD = re.compile(
    r"^File: (?P<path>[^\n]+)\n"
    r"(?:Edit region: lines (?P<regions>\d{1,9}-\d{1,9}(?:, \d{1,9}-\d{1,9})*)\n)?"
    r"(?:Selected: lines (?P<selected>\d{1,9}-\d{1,9})\n)?"
    r"(?P<new>New file\n)?"
    r"(?:Cursor: line (?P<line>\d{1,9}) column (?P<column>\d{1,9})\n)?"
    r"(?P<fence>`{3,})(?P<language>[^`\n]*)\n",
    re.MULTILINE,
)
_PLAIN_PATH = re.compile(
    r"[^\s\"\x00-\x1f\x7f](?:[^\"\x00-\x1f\x7f\x85\u2028\u2029]*[^\s\"\x00-\x1f\x7f])?"
)


@dataclass(frozen=True, slots=True)
class FileBlock:
    """One file inside a message."""

    path: str
    """Relative to the workspace, with forward slashes."""
    text: str
    """The whole text, endings included."""
    language: str = ""
    """The fence's info string, such as ``python``."""
    region: Region | None = None
    """The lines that an edit may rewrite; None when the file is only context."""
    cursor: Cursor | None = None
    """Where a completion goes; None when none is asked for."""
    also: tuple[Region, ...] = ()
    """Further lines that the same edit may rewrite; none without a region."""
    selected: Region | None = None
    """The lines that a question is about; None when it is about no lines of this file."""
    new: bool = False
    """Whether there is no such file yet."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """All lines that an edit may rewrite, as the block names them."""
        return () if self.region is None else (self.region, *self.also)


def render(block: FileBlock) -> str:
    """The block as text, ending in a newline. ``parse(render(b)) == [b]`` for any text and path."""
    longest = max((len(run) for run in re.findall(r"`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    path = block.path if _PLAIN_PATH.fullmatch(block.path) else json.dumps(block.path)
    named = ", ".join(map(_range, block.regions))
    region = f"Edit region: lines {named}\n" if named else ""
    cursor = block.cursor
    place = "" if cursor is None else f"Cursor: line {cursor.line} column {cursor.column}\n"
    ends = block.text.endswith("\n") or not block.text
    tail = "" if ends else f"\n{fence}\n{_NO_NEWLINE}\n"
    selected = "" if block.selected is None else f"Selected: lines {_range(block.selected)}\n"
    new = "New file\n" if block.new else ""
    head = f"File: {path}\n{region}{selected}{new}{place}{fence}{block.language}\n"
    return f"{head}{block.text}" + (tail or f"{fence}\n")


def parse(message: str) -> list[FileBlock]:
    """Every well-formed block of ``message``, in order."""
    return [block for block, _ in _blocks(message)]


def split(message: str) -> tuple[list[FileBlock], str]:
    """The blocks, and what remains of the message without them (stripped)."""
    blocks, rest, end = [], [], 0
    for block, (first, last) in _blocks(message):
        blocks.append(block)
        rest.append(message[end:first])
        end = last
    rest.append(message[end:])
    return blocks, "".join(rest).strip()


def _blocks(message: str) -> Iterator[tuple[FileBlock, tuple[int, int]]]:
    start = 0
    while head := _HEAD.search(message, start):
        fence = head["fence"]
        closing = re.compile(rf"^{fence}$\n?(?P<bare>{re.escape(_NO_NEWLINE)}$\n?)?", re.MULTILINE)
        close = closing.search(message, head.end())
        if close is None:
            start = head.end()
            continue
        text = message[head.end() : close.start()]
        regions = _regions(head["regions"])
        cursor = Cursor(int(head["line"]), int(head["column"])) if head["line"] else None
        path = head["path"]
        if path.startswith('"'):
            path = _unquote(path)
        text = text.removesuffix("\n") if close["bare"] else text
        region, also = (regions[0], tuple(regions[1:])) if regions else (None, ())
        selected = next(iter(_regions(head["selected"])), None)
        new = head["new"] is not None
        block = FileBlock(path, text, head["language"], region, cursor, also, selected, new)
        yield block, (head.start(), close.end())
        start = close.end()


def _range(region: Region) -> str:
    return f"{region[0]}-{region[1]}"


def _regions(named: str | None) -> list[Region]:
    pairs = (each.split("-") for each in named.split(", ")) if named else ()
    return [(int(first), int(last)) for first, last in pairs]


def _unquote(path: str) -> str:
    try:
        value = json.loads(path)
    except ValueError:
        return path
    return value if isinstance(value, str) else path
