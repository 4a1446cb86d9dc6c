"""The edit of one turn: a patch that streams into previews, then a plan of what to write.

Nothing here touches the disk. Files are asked for by path, through a function that contains paths
and refuses what cannot be edited; the plan says which bytes each file must still hold and which it
would get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.context import updated_files
from sparkcode.assistant.preview import EditPreview
from sparkcode.assistant.workspace import MAX_FILE_BYTES, Buffer
from sparkcode.errors import PatchApplyError, PatchError, SparkError
from sparkcode.patch.apply import apply_update
from sparkcode.patch.grammar import FileBegin, FilePatch, PatchEvent
from sparkcode.patch.parser import PatchParser, parse
from sparkcode.syntax.lines import Region

Opener = Callable[[str], tuple[str, Buffer | None]]
"""A path's proper name and the file, or None if there is none; WorkspaceError if it may not be."""

Letter = Literal["A", "M", "D"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an edit would do to the files."""

    before: Contents
    after: Contents

    @property
    def pairs(self) -> Mapping[str, tuple[bytes | None, bytes | None]]:
        """Bytes before and after, for each path."""
        return {path: (self.before[path], data) for path, data in self.after.items()}

    @property
    def letters(self) -> tuple[tuple[Letter, str], ...]:
        """Added, modified or deleted, for each path."""
        return tuple((_letter(*pair), path) for path, pair in self.pairs.items())

    @property
    def summary(self) -> str:
        """What the model is told once the edit is written."""
        return updated_files(self.letters)


class EditStream:
    """Routes the patch of one turn into one preview per file."""

    def __init__(self, opener: Opener) -> None:
        self.error = ""
        """Why the edit cannot be applied; nothing more is shown after it."""
        self._texts: list[str] = []
        self._opener = opener
        self._parser = PatchParser()
        self._previews: dict[str, EditPreview] = {}
        self._bases: dict[str, tuple[str, Buffer | None]] = {}
        self._open: EditPreview | None = None

    @property
    def previews(self) -> Mapping[str, EditPreview]:
        """Path as the buffers have it to preview, in the order of the patch."""
        return self._previews

    @property
    def text(self) -> str:
        """The patch so far."""
        return "".join(self._texts)

    def feed(self, delta: str) -> None:
        """More of the patch's text."""
        self._texts.append(delta)
        if self.error:
            return
        try:
            for event in self._parser.feed(delta):
                self._route(event)
        except SparkError as error:
            self.error = str(error)
            return
        if self._open is not None:
            self._open.partial(self._parser.pending)

    def close(self) -> None:
        """The patch is complete; ``error`` says if it is none, or does not fit."""
        if self.error:
            return
        try:
            for event in self._parser.close():
                self._route(event)
            self.plan()
        except SparkError as error:
            self.error = str(error)

    def plan(self) -> Plan:
        """The files before and after; PatchError or WorkspaceError if the patch does not fit."""
        before: dict[str, bytes | None] = {}
        after: dict[str, bytes | None] = {}
        for section in parse(self.text).files:
            for path, data in self._apply(section).items():
                base = self._base(path)[1]
                before[path] = None if base is None else base.raw
                after[path] = data
        if not after:
            raise PatchApplyError("the patch changes no file")
        return Plan(before, after)

    def _apply(self, section: FilePatch) -> dict[str, bytes | None]:
        name, base = self._base(section.path)
        if section.op == "add":
            return {name: _bounded("".join(line + "\n" for line in section.added), name)}
        if base is None:
            raise PatchApplyError(f"there is no file {name!r} to {section.op}")
        if section.op == "delete":
            return {name: None}
        text = apply_update(base.text, section.chunks, name, final_newline="keep")
        target = name if section.move_to is None else self._base(section.move_to)[0]
        return {name: None, target: _bounded(text, target)}

    def _base(self, path: str) -> tuple[str, Buffer | None]:
        if path not in self._bases:
            self._bases[path] = self._opener(path)
        return self._bases[path]

    def _route(self, event: PatchEvent) -> None:
        if isinstance(event, FileBegin):
            self._open = self._preview(event)
        if self._open is not None:
            self._open.feed(event)

    def _preview(self, event: FileBegin) -> EditPreview:
        name, base = self._base(event.path)
        if event.move_to is not None:
            self._base(event.move_to)
        if name in self._previews:
            raise PatchError(f"the patch names {name!r} twice")
        preview = EditPreview(name, "" if base is None else base.text)
        self._previews[name] = preview
        return preview


def strays(preview: EditPreview, regions: Sequence[Region]) -> bool:
    """Whether the edit touches a line outside ``regions`` of its file."""
    above = 0
    for hunk in preview.hunks:
        for row in preview.rows[max(0, hunk.start - 1) : hunk.stop]:
            above = row.old if row.old is not None else above
            # A new line may also stand right before a region.
            before = int(row.kind == "+")
            inside = any(each.first - before <= above <= each.last for each in regions)
            if row.kind != " " and not inside:
                return True
    return False


def _bounded(text: str, path: str) -> bytes:
    data = text.encode()
    if len(data) > MAX_FILE_BYTES:
        raise PatchApplyError(f"the patch makes {path!r} larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def _letter(before: bytes | None, after: bytes | None) -> Letter:
    if after is None:
        return "D"
    return "A" if before is None else "M"
