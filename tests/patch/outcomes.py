"""What a patch did to a tree: found by applying it in a folder, compared, and kept in a file.

Codex's own program is the peer. Where we differ from it on purpose, the difference has a name here.
"""

from __future__ import annotations

import gzip
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from sparkcode.errors import PatchError
from sparkcode.patch.apply import apply_patch
from sparkcode.patch.parser import parse
from tests.patch.random_patches import Case, Entry, Kind, Tree

SHOWN_ROOT: Final = "{root}"
"""Stands for the folder in messages."""

OUTSIDE: Final = "a path outside the folder"
CONTROL: Final = "a control character in a path"
ITSELF: Final = "a file moved onto itself"
BACKSLASH: Final = "a backslash line"

_BACKSLASH: Final = re.compile(
    r"'\\ (No newline at end of file|Line ends with (CRLF|LF)|Text ends with [0-9]+ CR)\s*'"
)
_NOT_UTF_8: Final = "Error: Failed to read PATCH from stdin.\nstream did not contain valid UTF-8"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``message`` is what is said on stdout, or after a failure on stderr."""

    applied: bool
    message: str
    tree: Tree


@dataclass(frozen=True, slots=True)
class Record:
    """A case and what the peer made of it."""

    case: Case
    outcome: Outcome


def plant(tree: Tree, folder: Path) -> None:
    """Make the entries of ``tree`` below the empty ``folder``."""
    for path, entry in tree.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        match entry.kind:
            case "file":
                place.write_bytes(entry.data)
            case "link":
                place.symlink_to(os.fsdecode(entry.data))
            case _:
                place.mkdir(exist_ok=True)


def harvest(folder: Path) -> Tree:
    """The entries below ``folder``, every folder among them."""
    tree: Tree = {}
    for place in sorted(folder.rglob("*")):
        path = str(place.relative_to(folder))
        if place.is_symlink():
            tree[path] = Entry("link", os.fsencode(place.readlink()))
        elif place.is_dir():
            tree[path] = Entry("folder")
        else:
            tree[path] = Entry("file", place.read_bytes())
    return tree


def apply_ours(case: Case, folder: Path) -> Outcome:
    """Apply the patch with our own code to the files of the empty ``folder``."""
    plant(case.tree, folder)
    try:
        result = apply_patch(parse(case.patch.decode()), folder)
    except UnicodeDecodeError:
        return Outcome(False, _NOT_UTF_8, harvest(folder))
    except PatchError as error:
        return Outcome(False, str(error), harvest(folder))
    message = result.summary if result.failure is None else str(result.failure)
    return Outcome(
        result.failure is None, message.replace(str(folder), SHOWN_ROOT), harvest(folder)
    )


def disagreement(case: Case, ours: Outcome, theirs: Outcome) -> str | None:
    """What Codex does otherwise: the name of a deliberate difference, ``""`` for any other.

    None when files, success and what it says agree; how a failure is worded does not count. We
    refuse to leave the folder and to name files with control characters, keep a file that is moved
    onto itself (Codex deletes it), and take backslash lines (Codex refuses them).
    """
    worded_alike = not ours.applied or ours.message == theirs.message
    if (ours.applied, ours.tree) == (theirs.applied, theirs.tree) and worded_alike:
        return None
    if not ours.applied and " is outside " in ours.message:
        return OUTSIDE
    if not ours.applied and ours.message.endswith("it holds control characters"):
        return CONTROL
    if not theirs.applied and _BACKSLASH.search(theirs.message):
        return BACKSLASH
    return ITSELF if _moves_onto_itself(case) else ""


def _moves_onto_itself(case: Case) -> bool:
    try:
        sections = parse(case.patch.decode()).files
    except (UnicodeDecodeError, PatchError):
        return False
    return any(
        section.move_to is not None
        and _real(case.tree, section.path) == _real(case.tree, section.move_to)
        for section in sections
    )


def _real(tree: Tree, path: str) -> str:
    """``path`` without detours, and without the links at the top of ``tree``."""
    first, *rest = posixpath.normpath(path).split("/")
    entry = tree.get(first)
    if entry is not None and entry.kind == "link":
        first = os.fsdecode(entry.data)
    return "/".join([first, *rest])


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Keep ``records`` in one compressed file of JSON lines; equal records give equal bytes."""
    lines = "".join(f"{json.dumps(_encoded(record))}\n" for record in records)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def read_records(path: Path) -> Iterator[Record]:
    """The records that :func:`write_records` kept."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        value = json.loads(line)
        case = Case(_tree(value["tree"]), value["patch"].encode(errors="surrogateescape"))
        yield Record(case, Outcome(value["applied"], value["message"], _tree(value["after"])))


def _encoded(record: Record) -> dict[str, object]:
    return {
        "patch": record.case.patch.decode(errors="surrogateescape"),
        "tree": _table(record.case.tree),
        "applied": record.outcome.applied,
        "message": record.outcome.message,
        "after": _table(record.outcome.tree),
    }


def _table(tree: Tree) -> dict[str, list[str]]:
    return {
        path: [entry.kind, entry.data.decode(errors="surrogateescape")]
        for path, entry in tree.items()
    }


def _tree(table: dict[str, list[str]]) -> Tree:
    return {
        path: Entry(cast(Kind, kind), data.encode(errors="surrogateescape"))
        for path, (kind, data) in table.items()
    }
