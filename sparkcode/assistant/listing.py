"""Which files of a workspace a model may find: not what is hidden, ignored or installed.

What a ``.gitignore`` names, caches, installed packages, the folders of git and of the settings, and
what usually holds keys are left out. A link to a folder is not followed, one to a file counts if
it leads to a file of the workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from pathspec import GitIgnoreSpec

from sparkcode.assistant.workspace import Workspace
from sparkcode.errors import WorkspaceError

LEFT_OUT: Final = frozenset(
    {".git", ".hg", ".svn", ".sparkcode", "__pycache__", ".mypy_cache", ".pytest_cache"}
    | {".ruff_cache", ".tox", ".hypothesis", ".cache", "node_modules", ".venv", "venv"}
    | {"site-packages", ".ds_store"}
    | {".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials"}
    | {".pypirc", ".npmrc", ".env", "id_rsa", "id_ecdsa", "id_ed25519"}
)
"""Names of files and folders, in small letters, at any depth: what was made or installed, and where
secrets lie."""
MAX_ENTRIES: Final = 50_000
"""Most files and folders that one walk looks at."""


class Listing:
    """One look at the files; made anew for each, so that it is never out of date."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._specs: dict[str, GitIgnoreSpec | None] = {}

    def hidden(self, path: str) -> str:
        """Why the file or folder ``path`` is left out; "" if it is not.

        ``path`` is relative to the workspace, with forward slashes.
        """
        parts = PurePosixPath(path).parts
        for count in range(1, len(parts) + 1):
            name = parts[count - 1]
            if name.casefold() in LEFT_OUT:
                return f"{name!r} is left out"
            if self._ignored("/".join(parts[:count]), folder=count < len(parts)):
                return "a .gitignore names it"
        return ""

    def files(self, folder: str = "") -> Iterator[str]:
        """Every file below ``folder`` ("" for all), sorted; at most MAX_ENTRIES are looked at."""
        left = MAX_ENTRIES
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            folders: list[str] = []
            for name, is_folder in self._entries(here):
                left -= 1
                if left < 0:
                    return
                path = f"{here}/{name}" if here else name
                if name.casefold() in LEFT_OUT or self._ignored(path, folder=is_folder):
                    continue
                if is_folder:
                    folders.append(path)
                elif self._workspace.is_file(path):
                    yield path
            waiting += reversed(folders)

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        try:
            with os.scandir(self._workspace.root / folder) as found:
                return sorted((each.name, each.is_dir(follow_symlinks=False)) for each in found)
        except OSError:
            return []

    def _ignored(self, path: str, *, folder: bool) -> bool:
        """What the nearest ``.gitignore`` with a word on ``path`` says."""
        parents = [str(each) for each in PurePosixPath(path).parents]
        for parent in ("" if each == "." else each for each in parents):
            spec = self._spec(parent)
            inside = path.removeprefix(f"{parent}/") if parent else path
            if spec is not None:
                included = spec.check_file(f"{inside}/" if folder else inside).include
                if included is not None:
                    return included
        return False

    def _spec(self, folder: str) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            name = f"{folder}/.gitignore" if folder else ".gitignore"
            try:
                raw = self._workspace.read_bytes(name)
                text = (raw or b"").decode(errors="replace")
                self._specs[folder] = GitIgnoreSpec.from_lines(text.splitlines()) if raw else None
            except (WorkspaceError, ValueError):
                # A pattern that is none ignores nothing.
                self._specs[folder] = None
        return self._specs[folder]
