"""The edit workload: everyday edits of marked regions, built in or from a file.

The file holds one JSON object a line with at least ``id``, ``instruction``, ``language``,
``before`` (the whole file) and ``region`` ``[first, last]`` (lines, 1-based and inclusive); other
keys are left alone.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import msgspec

from sparkcode.engine.base import GenerateRequest, Message, Tool
from sparkcode.errors import WorkspaceError
from sparkcode.protocol.blocks import FileBlock, render

_MAX_BYTES: Final = 16 << 20
_PATCH = Tool("apply_patch", "custom")
_SUFFIXES: Final = {"python": ".py", "javascript": ".js", "typescript": ".ts", "rust": ".rs"}
Line = Annotated[int, msgspec.Meta(ge=0)]


class Edit(msgspec.Struct, frozen=True):
    """One instruction about a region of a file."""

    id: str
    instruction: str
    language: str
    before: str
    region: tuple[Line, Line]

    def request(self, instruction: str = "", *, limit: int | None = None) -> GenerateRequest:
        """The turn, with its own instruction or another one; ``limit`` bounds its tokens."""
        path = self.id + _SUFFIXES.get(self.language, f".{self.language}")
        block = FileBlock(path, self.before, self.language, self.region)
        text = f"{render(block)}\nInstruction: {instruction or self.instruction}"
        return GenerateRequest((Message("user", text),), (_PATCH,), max_output_tokens=limit)


def builtin_edits() -> list[Edit]:
    """The edits that come with the package."""
    text = files("sparkcode.bench").joinpath("edits.jsonl").read_text("utf-8")
    return parse_edits(text, "edits.jsonl")


def read_edits(path: Path) -> list[Edit]:
    """The edits of a file; WorkspaceError when it cannot be read or a line is no edit."""
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
    return parse_edits(text, str(path))


def parse_edits(text: str, name: str) -> list[Edit]:
    """The edits of JSON lines; ``name`` is the file's, for errors."""
    edits = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            edits.append(msgspec.json.decode(line, type=Edit))
        except msgspec.MsgspecError as error:
            raise WorkspaceError(f"{name}, line {number} is no edit: {error}") from error
    if not edits:
        raise WorkspaceError(f"there are no edits in {name!r}")
    return edits
