"""The open files of a session, and the life of the newest edit to them.

    none ──patch streams──> streaming ──complete, fits──> pending ──> accepted ──> undone
                               │                            └──> rejected
                               ├──interrupted──> none       (what landed stays visible)
                               └──no patch, does not fit, turn failed──> failed

A turn of several responses may bring several patches. Each is made on top of the ones before it
(``settle``); what they come to together is the one edit that is pending, at any time between them.

Only ``accept`` and ``undo`` write. Both check first that the disk still holds what was read, and
replace all files or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sparkcode.assistant.checkpoints import Checkpoints, Contents, replace_all
from sparkcode.assistant.edit import EditStream, Plan, strays
from sparkcode.assistant.plain import one_line
from sparkcode.assistant.preview import EditPreview
from sparkcode.assistant.related import related
from sparkcode.assistant.staged import as_patch, together
from sparkcode.assistant.workspace import Buffer, Workspace
from sparkcode.errors import SparkError, UsageError
from sparkcode.protocol.blocks import FileBlock
from sparkcode.syntax.languages import language_of
from sparkcode.syntax.lines import Region, disjoint, line_count

EditState = Literal["none", "streaming", "pending", "accepted", "rejected", "undone", "failed"]


@dataclass(frozen=True, slots=True)
class Target:
    """The lines of a file that an edit may rewrite."""

    path: str
    region: Region

    def __str__(self) -> str:
        return f"{self.path}:{self.region}"


NEW: Final = Region(1, 0)
"""All of a file without lines: one that is empty, or is not there yet."""

PLACES_SHOWN: Final = 3
"""Regions of a file that are named; of more, only how many there are."""


def place(path: str, regions: Sequence[Region]) -> str:
    """Regions of a file in a few words: ``a.py:1-9, 40-52``; its name alone where all is new."""
    if all(each.last < each.first for each in regions):
        return path
    if len(regions) > PLACES_SHOWN:
        return f"{path}: {len(regions)} places"
    return f"{path}:{', '.join(map(str, regions))}"


def places(targets: Sequence[Target]) -> str:
    """What an edit may rewrite, file by file."""
    files = dict.fromkeys(target.path for target in targets)
    return "; ".join(place(file, [t.region for t in targets if t.path == file]) for file in files)


class Edits:
    """Buffers, the edit of the newest turn, and what can be undone."""

    def __init__(self, workspace: Workspace) -> None:
        self.state: EditState = "none"
        self.error = ""
        self.note = ""
        """One line about a pending edit that the user should know: it leaves its target."""
        self.unfit = ""
        """Why the turn's last patch is not part of the pending edit, in one line."""
        self._workspace = workspace
        self._checkpoints = Checkpoints(workspace)
        self._buffers: dict[str, Buffer] = {}
        self._targets: tuple[Target, ...] = ()
        self._stream = EditStream(self._opener)
        self._staged: EditStream | None = None
        """What the turn's earlier patches come to."""
        self._settled = ""
        """The last of them."""

    @property
    def buffers(self) -> Mapping[str, Buffer]:
        return self._buffers

    @property
    def previews(self) -> Mapping[str, EditPreview]:
        if self._staged is None:
            return self._stream.previews
        # While a patch streams it is shown as it comes, on top of the earlier ones.
        return {**self._staged.previews, **self._stream.previews}

    @property
    def staged(self) -> Contents:
        """Files as the turn's earlier patches leave them."""
        return {} if self._staged is None else self._staged.plan().after

    @property
    def patch(self) -> str:
        """The whole edit of a turn with several patches; "" for one with a single patch."""
        return "" if self._staged is None else self._staged.text

    def exists(self, path: str) -> bool:
        """Whether the workspace has a file or folder of that name."""
        return self._workspace.exists(path)

    def text_of(self, path: str) -> str:
        """The text of a file as it is on disk; WorkspaceError if it cannot be edited."""
        return self._workspace.read(path).text

    def open(self, path: str) -> Buffer:
        """Read a file (again); WorkspaceError if it cannot be edited."""
        buffer = self._workspace.read(path)
        self._buffers[buffer.path] = buffer
        return buffer

    def blocks(
        self, targets: Sequence[Target], about: Target | None = None, wanted: str = ""
    ) -> list[tuple[FileBlock, int]]:
        """Every open file as a block with its version, the targets first and with their regions.

        Behind them come files that are not open and whose code the targets or the instruction
        ``wanted`` use. All are read again first. A target that is not open is opened, or is new if
        there is no such file; UsageError if its region lies outside the file.
        """
        for path in list(self._buffers):
            self._reread(path)
        found: dict[str, tuple[FileBlock, int]] = {}
        for name, regions in self._by_file(targets).items():
            if regions == [NEW] and self._workspace.read_bytes(name) is None:
                self._workspace.check_writable(name)
                block = FileBlock(name, "", language_of(name), (NEW.first, NEW.last), new=True)
                found[name] = (block, 0)
                continue
            buffer = self._buffers.get(name) or self.open(name)
            for region in regions:
                check_region(buffer, region)
            first, *also = [(each.first, each.last) for each in disjoint(regions)]
            block = FileBlock(name, buffer.text, buffer.language, first, also=tuple(also))
            found[name] = (block, buffer.version)
        for name, buffer in self._buffers.items():
            found.setdefault(name, (self._context(name), buffer.version))
        if about is not None:
            name = self._workspace.relative(about.path)
            check_region(self._buffers.get(name) or self.open(name), about.region)
            block, version = found.get(name) or (self._context(name), self._buffers[name].version)
            lines = about.region.first, about.region.last
            found[name] = replace(block, selected=lines), version
        for buffer in related([block for block, _ in found.values()], self._workspace, wanted):
            block = FileBlock(buffer.path, buffer.text, buffer.language)
            found[buffer.path] = block, buffer.version
        return list(found.values())

    def _context(self, name: str) -> FileBlock:
        buffer = self._buffers[name]
        return FileBlock(name, buffer.text, buffer.language)

    def _by_file(self, targets: Sequence[Target]) -> dict[str, list[Region]]:
        """The regions of each file that has one."""
        found: dict[str, list[Region]] = {}
        for target in targets:
            found.setdefault(self._workspace.relative(target.path), []).append(target.region)
        return found

    def start(self, targets: Sequence[Target]) -> None:
        """A new turn: forget the last one's edit."""
        self._stream, self._staged, self._settled = EditStream(self._opener), None, ""
        self._targets = tuple(targets)
        self.state, self.error, self.note, self.unfit = "none", "", "", ""

    def feed(self, delta: str) -> None:
        """More of the patch."""
        self._stream.feed(delta)
        self.state = "streaming"

    def finish(self) -> None:
        """The turn is complete, and with it the patch, if there is one."""
        if self.state != "streaming":
            return
        if self._staged is not None:
            self.settle()
            return
        self._stream.close()
        self._offer(self._stream)

    def settle(self) -> str:
        """The patch is complete and the turn goes on; what the model is told of it.

        One that does not fit is dropped: the edit stays what it was.
        """
        patch, self._stream = self._stream, EditStream(self._over)
        patch.close()
        self._settled = patch.text
        if not patch.error:
            plan = patch.plan()
            both = together(None if self._staged is None else self._staged.plan(), plan)
            text = as_patch(both.before, both.after)
            self._staged = self.read(text) if text else None
        error = one_line(patch.error)
        if self._staged is None:
            self.state, self.error = "failed" if error else "none", error
        else:
            self._offer(self._staged)
            self.unfit = f"a later patch does not fit: {error}" if error else ""
        return f"error: {error}" if error else plan.summary

    def repeats(self, patch: str) -> bool:
        """Whether ``patch`` is what the turn brought last."""
        return patch != "" and patch == self._settled

    def read(self, patch: str) -> EditStream:
        """A whole patch as an edit beside the one that is shown."""
        stream = EditStream(self._opener)
        stream.feed(patch)
        stream.close()
        return stream

    def offer(self, stream: EditStream, said: EditStream) -> None:
        """Show a whole edit in place of the turn's own; ``said`` is it before it was mended."""
        self._stream, self._staged = stream, None
        self._offer(said)

    @property
    def _shown(self) -> EditStream:
        return self._stream if self._staged is None else self._staged

    def _offer(self, said: EditStream) -> None:
        self.error = one_line(self._shown.error)
        self.state = "failed" if self.error else "pending"
        # What was mended may stand elsewhere, such as an import: only the answer can stray.
        self.note = self._outside(said)

    def _outside(self, said: EditStream) -> str:
        """The first place that an edit changes though nobody pointed there."""
        targets = self._by_file(self._targets)
        for path, preview in said.previews.items() if targets else ():
            regions = targets.get(path)
            if regions is None:
                return f"the edit changes {path!r}, which is not its target"
            if strays(preview, regions):
                return f"the edit changes lines outside {place(path, regions)}"
        return ""

    def again(self) -> None:
        """The newest patch will come again from its start."""
        if self._staged is None:
            self._stream, self.state = EditStream(self._opener), "none"
        else:
            self.stop()

    def stop(self, error: str = "") -> None:
        """The turn ended early: interrupted, or failed with ``error``."""
        if self.state != "streaming":
            return
        if self._staged is not None:
            # The patches that are whole can still be taken.
            self._stream = EditStream(self._over)
            self._offer(self._staged)
            return
        self.state = "failed" if error else "none"
        self.error = error

    def plan(self) -> Plan:
        """What the edit would write; PatchError or WorkspaceError if it does not fit."""
        return self._shown.plan()

    def accept(self) -> Plan:
        """Write the pending edit; on an error nothing has changed and it stays pending."""
        if self.state != "pending":
            raise UsageError(f"there is no edit to accept (the edit is {self.state!r})")
        try:
            plan = self.plan()
            for path, data in plan.before.items():
                self._workspace.check_unchanged(path, data)
            replace_all(self._workspace, plan.after)
        except SparkError as error:
            self.error = one_line(str(error))
            raise
        self._checkpoints.save(plan.before, plan.after)
        self.state, self.error = "accepted", ""
        for path in plan.after:
            self._reread(path)
        return plan

    def reject(self) -> None:
        """Refuse the pending edit."""
        if self.state != "pending":
            raise UsageError(f"there is no edit to reject (the edit is {self.state!r})")
        self.state = "rejected"

    def undo(self) -> tuple[str, ...]:
        """Restore the files of the newest accepted edit that is not undone yet."""
        paths = self._checkpoints.undo()
        if self.state == "accepted":
            self.state = "undone"
        for path in paths:
            self._reread(path)
        return paths

    def _reread(self, path: str) -> None:
        try:
            self.open(path)
        except SparkError:
            self._buffers.pop(path, None)

    def _opener(self, path: str) -> tuple[str, Buffer | None]:
        """What a patch may change: what was read for it, else what is on disk."""
        self._workspace.check_writable(path)
        name = self._workspace.relative(path)
        if name in self._buffers:
            return name, self._buffers[name]
        if self._workspace.read_bytes(name) is None:
            return name, None
        return name, self._workspace.read(name)

    def _over(self, path: str) -> tuple[str, Buffer | None]:
        """The same for a later patch of the turn: what the earlier ones leave."""
        self._workspace.check_writable(path)
        name, staged = self._workspace.relative(path), self.staged
        if name not in staged:
            return self._opener(path)
        data = staged[name]
        if data is None:
            return name, None
        return name, Buffer(name, data.decode(), language_of(name), 0, data)


def check_region(buffer: Buffer, region: Region) -> None:
    """UsageError if ``region`` names lines that ``buffer`` does not have."""
    lines = line_count(buffer.text)
    if not 1 <= region.first <= lines + 1 or not region.first - 1 <= region.last <= lines:
        raise UsageError(f"lines {region} lie outside {buffer.path!r}, which has {lines} lines")
