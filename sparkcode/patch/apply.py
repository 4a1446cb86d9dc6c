"""Apply a parsed patch: to a text (pure), or to the files below a folder.

The rules are those of Codex 0.169's own binary (protocol reference, section 8, rules 4 to 8):

- chunks are searched in file order from a cursor, in four passes (:mod:`sparkcode.patch.seek`);
- a chunk without old lines goes to the end of the file, wherever its context is; lines that a later
  chunk adds behind the last line stand behind it;
- kept lines keep their own text and ending; an added line gets the ending of the file's first line
  that has one;
- the result ends with a newline (``final_newline="add"``).

Four things differ on purpose: paths outside the folder and paths with control characters are
refused, a file moved onto itself is kept (Codex deletes it), and backslash lines are understood.

``final_newline="keep"`` is for text in an editor: a last line without newline stays so, and only
``\\n`` ends a line (a ``\\r`` before it belongs to the ending). Codex, and so ``"add"``, also
takes a lone ``\\r`` for an ending.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from sparkcode.errors import PatchApplyError
from sparkcode.patch.files import (
    delete_file,
    read_file,
    resolve_entry,
    resolve_inside,
    write_file,
)
from sparkcode.patch.grammar import Chunk, FilePatch, Line, LineEnding, Patch
from sparkcode.patch.seek import Haystack

FinalNewline = Literal["add", "keep"]

_ENDING: Final = re.compile(r"\r?\n")
_CODEX_ENDING: Final = re.compile(r"\r\n|\n|\r")
_ENDINGS: Final[dict[LineEnding, str]] = {"lf": "\n", "crlf": "\r\n", "none": ""}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a chunk belongs: it replaces ``old`` lines from line ``start`` (0-based).

    ``chunk`` is the chunk as it is applied: a last empty old line that the file does not have is
    gone from it.
    """

    start: int
    old: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class _Edit:
    """``added`` lines stand for ``old`` lines from line ``start`` (0-based)."""

    start: int
    old: int
    added: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What :func:`apply_patch` did. ``failure`` ended it early; what is listed is done."""

    added: tuple[str, ...]
    modified: tuple[str, ...]
    deleted: tuple[str, ...]
    failure: PatchApplyError | None = None

    @property
    def summary(self) -> str:
        """Codex's summary, with a final newline."""
        lines = ["Success. Updated the following files:"]
        lines += [f"A {path}" for path in self.added]
        lines += [f"M {path}" for path in self.modified]
        lines += [f"D {path}" for path in self.deleted]
        return "\n".join(lines) + "\n"


def split_lines(text: str, *, lone_cr: bool = False) -> list[tuple[str, str]]:
    """``(text, ending)`` of each line; the ending is ``""`` only for an unterminated last one."""
    lines: list[tuple[str, str]] = []
    start = 0
    for ending in (_CODEX_ENDING if lone_cr else _ENDING).finditer(text):
        lines.append((text[start : ending.start()], ending[0]))
        start = ending.end()
    if start < len(text):
        lines.append((text[start:], ""))
    return lines


def usual_ending(lines: Iterable[tuple[str, str]]) -> str:
    """The ending an added line gets: that of the first line that has one, else ``\\n``."""
    return next((ending for _, ending in lines if ending), "\n")


def place(text: str, chunks: Sequence[Chunk], path: str = "the file") -> list[Placement]:
    """Where each of ``chunks`` belongs in ``text`` (an editor's: only ``\\n`` ends a line).

    Raises :class:`PatchApplyError` for the first chunk that has no place.
    """
    return _place([line for line, _ in split_lines(text)], chunks, path)


def apply_update(
    text: str,
    chunks: Sequence[Chunk],
    path: str = "the file",
    *,
    final_newline: FinalNewline = "add",
) -> str:
    """``text`` with ``chunks`` applied; ``path`` is for messages.

    Raises :class:`PatchApplyError`, with Codex's wording, when a chunk has no place.
    """
    lines = split_lines(text, lone_cr=final_newline == "add")
    usual = usual_ending(lines)
    if lines and final_newline == "add":
        lines[-1] = (lines[-1][0], lines[-1][1] or usual)
    placements = _place([line for line, _ in lines], chunks, path)
    edits = [edit for placement in placements for edit in _edits(placement)]
    result: list[tuple[str, str]] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        result += lines[done : edit.start]
        result += [(line.text, _ENDINGS.get(line.ending, usual)) for line in edit.added]
        done = edit.start + edit.old
    result += lines[done:]
    inner = "".join(line + (ending or usual) for line, ending in result[:-1])
    return inner + "".join(result[-1] if result else ())


def _edits(placement: Placement) -> Iterator[_Edit]:
    """The runs of changed lines of one chunk; between them the file's own lines stay."""
    start = placement.start
    for keeps, run in groupby(placement.chunk.lines, key=lambda line: line.kind == " "):
        lines = tuple(run)
        added = tuple(line for line in lines if line.kind == "+")
        old = len(lines) - len(added)
        if not keeps:
            yield _Edit(start, old, added)
        start += old


def _place(lines: Sequence[str], chunks: Sequence[Chunk], path: str) -> list[Placement]:
    haystack = Haystack(lines)
    placements: list[Placement] = []
    cursor = 0
    for chunk in chunks:
        if chunk.context is not None:
            found = haystack.seek([chunk.context], cursor)
            if found is None:
                raise PatchApplyError(f"Failed to find context '{chunk.context}' in {path}")
            cursor = found + 1
        if all(line.kind == "+" for line in chunk.lines):
            placements.append(Placement(len(lines), 0, chunk))
            continue
        placement = _locate(haystack, chunk, cursor, path)
        placements.append(placement)
        cursor = placement.start + placement.old
    return placements


def _locate(haystack: Haystack, chunk: Chunk, cursor: int, path: str) -> Placement:
    old = _old_lines(chunk)
    start = haystack.seek(old, cursor, end_of_file=chunk.end_of_file)
    if start is not None:
        return Placement(start, len(old), chunk)
    if not old[-1]:
        shorter = _without_last_blank(chunk)
        start = haystack.seek(old[:-1], cursor, end_of_file=chunk.end_of_file)
        if start is not None:
            return Placement(start, len(old) - 1, shorter)
    raise PatchApplyError(f"Failed to find expected lines in {path}:\n" + "\n".join(old))


def _old_lines(chunk: Chunk) -> list[str]:
    return [line.text for line in chunk.lines if line.kind != "+"]


def _without_last_blank(chunk: Chunk) -> Chunk:
    """``chunk`` without its last old line, and without its last new line if that is empty too."""
    lines = list(chunk.lines)
    last_old = max(index for index, line in enumerate(lines) if line.kind != "+")
    if lines[last_old].kind == " ":
        lines[last_old] = Line("+", "")
    else:
        del lines[last_old]
    last_new = max((index for index, line in enumerate(lines) if line.kind != "-"), default=None)
    if last_new is not None and not lines[last_new].text and lines[last_new].kind == "+":
        del lines[last_new]
    return Chunk(chunk.context, tuple(lines), chunk.end_of_file)


def apply_patch(patch: Patch, root: Path, *, final_newline: FinalNewline = "add") -> Result:
    """Apply ``patch`` to the files below ``root``, section by section.

    The first section that fails ends it and is reported in the result; earlier ones stay applied.
    A path that leaves ``root``, through symlinks or otherwise, is a failure. Files are replaced
    atomically and keep their mode bits.
    """
    done: dict[str, list[str]] = {"add": [], "update": [], "delete": []}
    failure: PatchApplyError | None = None
    if not patch.files:
        failure = PatchApplyError("No files were modified.")
    for section in patch.files:
        try:
            _apply_section(section, root, final_newline)
        except PatchApplyError as error:
            failure = error
            break
        done[section.op].append(section.move_to or section.path)
    return Result(tuple(done["add"]), tuple(done["update"]), tuple(done["delete"]), failure)


def _apply_section(section: FilePatch, root: Path, final_newline: FinalNewline) -> None:
    source, shown = resolve_inside(root, section.path), root / section.path
    match section.op:
        case "add":
            write_file(source, "".join(line + "\n" for line in section.added), shown=shown)
        case "delete":
            delete_file(resolve_entry(root, section.path), shown=shown)
        case _:
            before = read_file(source, shown=shown)
            after = apply_update(before, section.chunks, str(shown), final_newline=final_newline)
            if section.move_to is None:
                write_file(source, after, shown=shown)
            else:
                _move(section.path, section.move_to, after, root)


def _move(path: str, move_to: str, text: str, root: Path) -> None:
    """Write ``text`` to ``move_to`` and delete ``path``, unless that is where the text went."""
    source, target = resolve_inside(root, path), resolve_inside(root, move_to)
    write_file(target, text, shown=root / move_to, like=source)
    entry = resolve_entry(root, path)
    if entry not in (target, resolve_entry(root, move_to)):
        delete_file(entry, shown=root / path)
