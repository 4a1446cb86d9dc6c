"""A check of the user's, run on an edit that is not written yet: in a copy of the workspace.

The copy is made anew for each edit and removed afterwards. It holds what the workspace holds, but
not its history and caches; folders of installed packages are linked, not copied. The command runs
with limits (:mod:`sparkcode.assistant.sandbox`), so what it writes stays in the copy unless it goes
out of its way.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.edit import Plan
from sparkcode.assistant.judges import reviewed
from sparkcode.assistant.plain import plain
from sparkcode.assistant.sandbox import Limits, Outcome, run_limited
from sparkcode.checks.fault import Fault
from sparkcode.errors import WorkspaceError

LIMITS: Final = Limits(seconds=120.0, memory_bytes=16 << 30, file_bytes=1 << 30)
"""Memory is address space, of which some runtimes reserve gigabytes that they never touch."""
COPY_BYTES: Final = 1 << 30
COPY_FILES: Final = 50_000
"""The largest workspace that is copied."""
TOLD_CHARACTERS: Final = 600
"""The most that is told of what a failed check printed."""

_LEFT_OUT: Final = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}
    | {".hypothesis", ".cache"}
)
_LINKED: Final = frozenset({"node_modules", ".venv", "venv", "env", "site-packages"})
_TELLING: Final = re.compile(r"^E\s|\b(?:error|failed|failure|panic|assert\w*)\b|Error\b", re.I)


@dataclass(frozen=True, slots=True)
class Trial:
    """``command``, a line for the shell, run in a copy of the workspace."""

    command: str
    root: Path
    limits: Limits = LIMITS

    def outcome(self, files: Contents) -> Outcome:
        """How it ends with ``files`` written to the copy.

        WorkspaceError when the workspace is too large to copy, or cannot be.
        """
        with tempfile.TemporaryDirectory(prefix="sparkcode-try-") as folder:
            copy = Path(folder) / self.root.name
            copy_workspace(self.root, copy)
            _write(copy, files)
            return run_limited(["/bin/sh", "-c", self.command], copy, self.limits)


@dataclass(frozen=True, slots=True)
class CommandJudge(Trial):
    """An edit has no fault when the command ends with status 0."""

    async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        failure = await asyncio.to_thread(self.failure, plan)
        if failure is None:
            return ()
        # What looking finds often says why.
        looked = await asyncio.to_thread(reviewed, plan, instruction)
        return (Fault("check", f"the check failed: {failure}"), *looked)

    def failure(self, plan: Plan) -> str | None:
        """In one line why the check fails with the edit written; None if it passes.

        WorkspaceError when the workspace is too large to copy, or cannot be.
        """
        outcome = self.outcome(plan.after)
        if outcome.ok:
            return None
        if outcome.status is None:
            return f"it was not done after {self.limits.seconds:g} s"
        return told(outcome.output) or f"exit status {outcome.status}, and it printed nothing"


def told(output: str) -> str:
    """The lines of a failed check's ``output`` that say most, as one line."""
    lines = [line.strip() for line in plain(output).splitlines() if line.strip("=-_ \t")]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    shown = ""
    for line in reversed(telling):
        if shown and len(line) + len(shown) + 3 > TOLD_CHARACTERS:
            break
        shown = f"{line} / {shown}" if shown else line
    return shown[-TOLD_CHARACTERS:]


def copy_workspace(root: Path, copy: Path) -> None:
    """Copy what is below ``root``; WorkspaceError for more than is copied, or for an error."""
    files = size = 0
    try:
        copy.mkdir()
        for entry, place in _entries(root, copy):
            if entry.name in _LINKED and entry.is_dir() and not entry.is_symlink():
                place.symlink_to(entry.path)
                continue
            files += 1
            size += entry.stat(follow_symlinks=False).st_size
            if files > COPY_FILES or size > COPY_BYTES:
                raise WorkspaceError(
                    f"{str(root)!r} is too large to be copied for a check: more than "
                    f"{COPY_FILES} files or {COPY_BYTES >> 30} GiB"
                )
            if entry.is_dir(follow_symlinks=False):
                place.mkdir()
            else:
                shutil.copy2(entry.path, place, follow_symlinks=False)
    except OSError as error:
        raise WorkspaceError(f"{str(root)!r} cannot be copied for a check: {error}") from error


def _entries(root: Path, copy: Path) -> Iterator[tuple[os.DirEntry[str], Path]]:
    """Files, links and folders to copy, each folder before what is in it; with their places."""
    with os.scandir(root) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        mode = entry.stat(follow_symlinks=False).st_mode
        special = not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
        if entry.name in _LEFT_OUT or special:
            continue
        yield entry, copy / entry.name
        if stat.S_ISDIR(mode) and entry.name not in _LINKED:
            yield from _entries(Path(entry.path), copy / entry.name)


def _write(copy: Path, files: Contents) -> None:
    for path, data in files.items():
        place = copy / path
        if data is None:
            place.unlink(missing_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            # A link in the copy still leads to the original.
            if place.is_symlink():
                place.unlink()
            place.write_bytes(data)
