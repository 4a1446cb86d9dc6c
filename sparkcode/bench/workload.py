"""The edit workload: everyday edits of marked regions, built in or from a file.

The file holds one JSON object a line with at least ``id``, ``instruction``, ``language``,
``before`` (the whole file) and ``region`` ``[first, last]`` (lines, 1-based and inclusive); other
keys are left alone.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from sparkcode.engine.base import GenerateRequest, Message, Tool
from sparkcode.errors import WorkspaceError
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.syntax.languages import suffix_of

_MAX_BYTES: Final = 16 << 20
_PATCH = Tool("apply_patch", "custom")
Kind = TypeVar("Kind", bound=msgspec.Struct)
Line = Annotated[int, msgspec.Meta(ge=0)]


class Edit(msgspec.Struct, frozen=True):
    """One instruction about a region of a file."""

    id: str
    instruction: str
    language: str
    before: str
    region: tuple[Line, Line]

    @property
    def path(self) -> str:
        """The file's name."""
        return self.id + suffix_of(self.language)

    def request(self, instruction: str = "", *, limit: int | None = None) -> GenerateRequest:
        """The turn, with its own instruction or another one; ``limit`` bounds its tokens."""
        block = FileBlock(self.path, self.before, self.language, self.region)
        text = f"{render(block)}\nInstruction: {instruction or self.instruction}"
        return GenerateRequest((Message("user", text),), (_PATCH,), max_output_tokens=limit)


def builtin_edits() -> list[Edit]:
    """The edits that come with the package."""
    return parse_edits(builtin_text(), "edits.jsonl")


def builtin_text() -> str:
    """The file of edits that comes with the package."""
    return files("sparkcode.bench").joinpath("edits.jsonl").read_text("utf-8")


def read_edits(path: Path) -> list[Edit]:
    """The edits of a file; WorkspaceError when it cannot be read or a line is no edit."""
    return parse_edits(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file of edits; WorkspaceError when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise WorkspaceError(f"cannot read the edits {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorkspaceError(f"the edits {str(path)!r} are not UTF-8") from error
    if len(data) > _MAX_BYTES:
        raise WorkspaceError(f"the edits {str(path)!r} are larger than {_MAX_BYTES:,} bytes")
    return text


def parse_edits(text: str, name: str) -> list[Edit]:
    """The edits of JSON lines; ``name`` is the file's, for errors."""
    return parse_lines(text, name, Edit)


def parse_lines(text: str, name: str, kind: type[Kind]) -> list[Kind]:
    """JSON lines as ``kind``; WorkspaceError for a line that is none, and for no lines."""
    edits = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            edits.append(msgspec.json.decode(line, type=kind))
        except msgspec.MsgspecError as error:
            raise WorkspaceError(f"{name}, line {number} is no edit: {error}") from error
    if not edits:
        raise WorkspaceError(f"there are no edits in {name!r}")
    return edits
