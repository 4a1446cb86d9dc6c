"""Files that are not open and whose code an edit needs: those that its lines' imports lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sparkcode.assistant.workspace import Buffer, Workspace
from sparkcode.errors import WorkspaceError
from sparkcode.protocol.blocks import FileBlock
from sparkcode.syntax.imports import imports_used
from sparkcode.syntax.lines import Region

MAX_FILES: Final = 3
"""Most files that are read besides the open ones."""
MAX_CHARS: Final = 30_000
"""Most characters of them all."""
MAX_IMPORTS: Final = 20
"""Most imports that are followed."""


def related(blocks: Iterable[FileBlock], workspace: Workspace, wanted: str = "") -> list[Buffer]:
    """What the marked or selected lines of ``blocks`` import from the workspace, the first first.

    ``wanted`` is the instruction. A file that is one of ``blocks``, cannot be read or is too large
    is left out.
    """
    blocks = list(blocks)
    seen = {block.path for block in blocks}
    found: list[Buffer] = []
    left = MAX_CHARS
    for places in list(_imports(blocks, wanted))[:MAX_IMPORTS]:
        name = next((each for each in places if workspace.is_file(each)), "")
        if not name or name in seen:
            continue
        seen.add(name)
        try:
            buffer = workspace.read(name)
        except WorkspaceError:
            continue
        if buffer.text and len(buffer.text) <= left:
            found.append(buffer)
            left -= len(buffer.text)
        if len(found) == MAX_FILES:
            break
    return found


def _imports(blocks: list[FileBlock], wanted: str) -> Iterator[tuple[str, ...]]:
    for block in blocks:
        picked = [] if block.selected is None else [block.selected]
        for lines in (*block.regions, *picked):
            yield from imports_used(block.text, block.path, Region(*lines), wanted)
