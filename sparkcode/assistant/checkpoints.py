"""Undo: the bytes that were there before each accepted edit.

Kept in memory, apart from the user's version control. A file that did not exist is None. Undo
refuses when a file was changed after the edit, rather than throw that change away.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from sparkcode.assistant.workspace import Workspace
from sparkcode.errors import UsageError, WorkspaceError

Contents = Mapping[str, bytes | None]
"""Path to bytes; None where there is no file."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Contents before an edit and, where known, after it."""

    before: Contents
    after: Contents | None


class Checkpoints:
    """A stack of checkpoints over one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stack: list[Checkpoint] = []

    def __len__(self) -> int:
        return len(self._stack)

    def save(self, before: Contents, after: Contents | None = None) -> None:
        """Remember ``before``; with ``after`` an undo checks that nothing changed since."""
        self._stack.append(
            Checkpoint(dict(before), None if after is None else dict(after)),
        )

    def undo(self) -> tuple[str, ...]:
        """Restore the newest checkpoint byte for byte; the paths it held.

        UsageError if there is none; WorkspaceError, and no file changed, if one may not be written.
        """
        if not self._stack:
            raise UsageError("there is no edit to undo")
        point = self._stack[-1]
        for path, data in (point.after or {}).items():
            self._workspace.check_unchanged(path, data)
        replace_all(self._workspace, point.before)
        self._stack.pop()
        return tuple(point.before)


def replace_all(workspace: Workspace, contents: Contents) -> None:
    """Write (or delete) every path, or none: a failure puts back what was already replaced."""
    for path in contents:
        workspace.check_writable(path)
    old = {path: workspace.read_bytes(path) for path in contents}
    done: list[str] = []
    try:
        for path, data in contents.items():
            _put(workspace, path, data)
            done.append(path)
    except WorkspaceError:
        for path in done:
            with suppress(WorkspaceError):
                _put(workspace, path, old[path])
        raise


def _put(workspace: Workspace, path: str, data: bytes | None) -> None:
    if data is None:
        workspace.delete(path)
    else:
        workspace.write_atomic(path, data)
