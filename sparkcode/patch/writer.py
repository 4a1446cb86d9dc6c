"""Write the apply_patch text for a region that is being rewritten, while the rewrite streams in.

A small model rewrites a marked region well and writes patches badly. So it only emits the region's
new text, and :class:`PatchWriter`, which knows the original, turns that stream into patch lines as
they become certain (:mod:`sparkcode.patch.align`). The beginning of a new line is passed on before
its end has come, so a screen that renders the patch sees it being typed.

**Placing hunks.** The applier takes the first exact match of a hunk's old lines at or after its
cursor. A hunk is begun before its last lines are known, so its leading context alone has to name
the place: three lines, or as many more as it takes for the first match of the context to be the
right one. At worst the context reaches up to the cursor, where it cannot but match.

**Several regions.** They make one patch when each writer goes on ``after`` the one before it: the
regions of a file in its order, one file behind the other. What lies between two regions stays.

**Line endings.** ``endings="follow"`` is for a model: it emits ``\\n``, which means the file's own
ending, and the region's final newline stays as it was. ``endings="exact"`` reproduces any text.
What apply_patch cannot carry (an ending unlike the file's, a last line without newline, carriage
returns at the end of a text) is said in backslash lines, see :mod:`sparkcode.patch.grammar`. Codex
refuses a patch with such a line rather than damage the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.align import Aligner, Delete, Keep, Step
from sparkcode.patch.apply import split_lines, usual_ending
from sparkcode.patch.grammar import (
    BEGIN_PATCH,
    CONTEXT,
    END_PATCH,
    ENDS_WITH_CRLF,
    ENDS_WITH_LF,
    NO_NEWLINE,
    TEXT_ENDS_WITH,
    UPDATE_FILE,
    WHITESPACE,
)

AROUND: Final = 3
"""Lines of context before (at least) and after (at most) a change."""

JUDGED: Final = 4096
"""Longest beginning of a line, in characters, that is compared with the original before its end."""

_ENDING_LINES: Final = {"": NO_NEWLINE, "\r\n": ENDS_WITH_CRLF, "\n": ENDS_WITH_LF}

Endings = Literal["follow", "exact"]


class PatchWriter:
    """Turns the streamed new text of a region of ``original`` into apply_patch text.

    ``region`` is the 1-based inclusive range of the lines that are rewritten: ``(1, 0)`` for an
    empty file, ``(n + 1, n)`` to insert before line ``n + 1``. Lines end with ``\\n`` only.
    ``after`` is the writer of the region before this one, which has ended.
    The concatenated output does not depend on how the text was cut; it is empty when nothing
    changed. Raises :class:`PatchSyntaxError` for a path that no patch can name, and for a region
    that lies before the end of the last.
    """

    def __init__(
        self,
        path: str,
        original: str,
        region: tuple[int, int],
        *,
        endings: Endings = "follow",
        after: PatchWriter | None = None,
    ) -> None:
        if not path or "\n" in path or path != path.rstrip(WHITESPACE):
            raise PatchSyntaxError(
                f"path {path!r} cannot stand in a patch: it is empty, has a line break or ends "
                "with white space"
            )
        lines = split_lines(original)
        first, last = region[0] - 1, region[1]
        if not 0 <= first <= last <= len(lines):
            raise PatchSyntaxError(
                f"region {region!r} of {path!r} is not within its {len(lines)} lines"
            )
        self._follow = endings == "follow"
        self._usual = usual_ending(lines)
        self._at_end = last == len(lines)
        self._bare = self._at_end and bool(lines) and not lines[-1][1] and self._follow
        self._first = first
        before: _HunkWriter | None = None if after is None else after._hunks
        if before is not None and before.path == path:
            before.keep_to(first)
            self._hunks: _HunkWriter = before
        else:
            self._hunks = _HunkWriter(path, [text for text, _ in lines], first, before)
        self._aligner = Aligner([self._original_key(*line) for line in lines[first:last]])
        self._partial: list[str] = []
        self._partial_size = 0
        self._complete: str | None = None
        self._streamed: int | None = None
        self._returns = 0
        """Carriage returns at the end of the unfinished line, which may belong to its ending."""

    @property
    def changed(self) -> bool:
        """Whether the patch so far holds any change."""
        return self._hunks.changed

    def feed(self, text: str) -> str:
        """The patch text that ``text``, the next piece of the rewritten region, makes certain."""
        pieces = text.split("\n")
        for piece in pieces[:-1]:
            self._settle_complete()
            self._partial.append(piece)
            self._complete = "".join(self._partial)
            self._partial, self._partial_size = [], 0
            if not self._bare:
                self._settle_complete()
        if pieces[-1]:
            self._settle_complete()
            self._partial.append(pieces[-1])
            self._partial_size += len(pieces[-1])
            self._grow(pieces[-1])
        return self._hunks.take()

    def end(self) -> str:
        """The rest of this region's patch text: its rewrite is complete."""
        if self._partial:
            self._end_line("".join(self._partial), self._last_ending())
            self._partial, self._partial_size = [], 0
        elif self._complete is not None:
            complete, self._complete = self._complete, None
            self._end_line(self._without_cr(complete), "")
        self._run(self._aligner.close())
        return self._hunks.take()

    def close(self) -> str:
        """End this region and the patch; empty when nothing changed."""
        text = self.end()
        self._hunks.close()
        return text + self._hunks.take()

    def _original_key(self, text: str, ending: str) -> tuple[str, str]:
        return (text, "\n" if self._follow and ending else ending)

    def _last_ending(self) -> str:
        """What a last line without ``\\n`` in the stream ends with."""
        bare = self._bare if self._follow else self._at_end
        return "" if bare else self._default_ending()

    def _default_ending(self) -> str:
        return "\n" if self._follow else self._usual

    def _without_cr(self, text: str) -> str:
        return text.removesuffix("\r")

    def _settle_complete(self) -> None:
        """Pass on the line whose ``\\n`` has come, now that it is known what kind of line it is."""
        if self._complete is None:
            return
        raw, self._complete = self._complete, None
        text = self._without_cr(raw)
        ending = "\r\n" if text != raw and not self._follow else "\n"
        self._end_line(text, ending)

    def _grow(self, piece: str) -> None:
        """More of an unfinished line: what is shown once is only added to."""
        if self._streamed is None:
            if self._partial_size <= JUDGED:
                self._stream("".join(self._partial))
            return
        certain = piece.rstrip("\r")
        if certain:
            self._hunks.write("\r" * self._returns + certain)
            self._streamed += self._returns + len(certain)
            self._returns = 0
        self._returns += len(piece) - len(certain)

    def _stream(self, partial: str) -> None:
        """Show the beginning of a line if it is certain to be new."""
        certain = partial.rstrip("\r")
        deletions = self._aligner.judge(certain)
        if deletions is None:
            return
        self._run(deletions)
        self._hunks.begin_insertion()
        self._hunks.write(certain)
        self._streamed = len(certain)
        self._returns = len(partial) - len(certain)

    def _end_line(self, text: str, ending: str) -> None:
        if self._streamed is None:
            self._run(self._aligner.add((text, ending)))
            return
        shown = text.rstrip("\r")
        self._hunks.write(shown[self._streamed :])
        self._end_insertion(text, ending)
        self._streamed = None

    def _run(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Keep():
                    self._hunks.keep(self._first + step.index)
                case Delete():
                    self._hunks.delete(self._first + step.index)
                case _:
                    self._hunks.begin_insertion()
                    self._hunks.write(step.key[0].rstrip("\r"))
                    self._end_insertion(*step.key)

    def _end_insertion(self, text: str, ending: str) -> None:
        if self._follow and ending:
            ending = self._usual
        self._hunks.end_line(text)
        if ending != self._usual:
            self._hunks.write(f"{_ENDING_LINES[ending]}\n")


class _HunkWriter:
    """Writes the hunks of one file, for changes that come in its order.

    ``before`` wrote the file before it in the same patch.
    """

    def __init__(
        self, path: str, lines: Sequence[str], first: int, before: _HunkWriter | None = None
    ) -> None:
        self.path = path
        self._lines = lines
        self._next = first
        self._shown = 0
        self._changed = 0
        self._open = False
        self._started = False
        self._begun = False
        self._out: list[str] = []
        if before is not None:
            before.end_file()
            self._begun = before.changed
            self._out.append(before.take())

    @property
    def changed(self) -> bool:
        """Whether the patch has begun."""
        return self._begun or self._started

    def take(self) -> str:
        text = "".join(self._out)
        self._out = []
        return text

    def write(self, text: str) -> None:
        self._out.append(text)

    def end_line(self, text: str) -> None:
        """End the line whose text, without carriage returns at its end, has been written."""
        self._out.append("\n")
        if returns := len(text) - len(text.rstrip("\r")):
            self._out.append(f"{TEXT_ENDS_WITH}{returns} CR\n")

    def keep(self, index: int) -> None:
        """The original line ``index`` (0-based in the file) stays."""
        self._next = index + 1
        if self._open and self._next - self._changed <= AROUND:
            self._show_to(self._next)

    def keep_to(self, index: int) -> None:
        """All original lines before ``index`` that are still to come stay."""
        if index < self._next:
            raise PatchSyntaxError(
                f"regions of {self.path!r} overlap or are out of order at line {index + 1}"
            )
        for each in range(self._next, min(index, self._changed + AROUND)):
            self.keep(each)
        self._next = index

    def delete(self, index: int) -> None:
        """The original line ``index`` goes."""
        self._begin_change()
        self._old_line("-", index)
        self._next = self._shown = self._changed = index + 1

    def begin_insertion(self) -> None:
        """A new line starts; its text follows with :meth:`write`."""
        self._begin_change()
        self._out.append("+")

    def end_file(self) -> None:
        """Nothing more of this file changes."""
        if self._started:
            self._show_to(min(self._changed + AROUND, len(self._lines)))

    def close(self) -> None:
        self.end_file()
        if self.changed:
            self._out.append(f"{END_PATCH}\n")

    def _begin_change(self) -> None:
        if not self._open or self._next - self._changed > 2 * AROUND:
            self._begin_hunk()
        self._show_to(self._next)
        self._changed = self._next

    def _begin_hunk(self) -> None:
        if not self.changed:
            self._out.append(f"{BEGIN_PATCH}\n")
        if not self._started:
            self._out.append(f"{UPDATE_FILE}{self.path}\n")
        self._started = self._open = True
        self._out.append(f"{CONTEXT}\n")
        # The lines shown so far are those the applier has matched: its cursor stands behind them.
        self._shown = self._next - context_length(self._lines[self._shown : self._next])

    def _show_to(self, index: int) -> None:
        for each in range(self._shown, index):
            self._old_line(" ", each)
        self._shown = max(self._shown, index)

    def _old_line(self, prefix: str, index: int) -> None:
        text = self._lines[index]
        self._out.append(prefix + text.rstrip("\r"))
        self.end_line(text)


def context_length(lines: Sequence[str]) -> int:
    """How many of the last ``lines`` are needed so that they first occur at the end of ``lines``.

    At least :data:`AROUND`, or all of them. The longest run of lines that ends elsewhere as
    ``lines`` ends is found with the Z algorithm on the reversed lines, in linear time.
    """
    if len(lines) <= AROUND:
        return len(lines)
    reverse = lines[::-1]
    longest = 0
    lengths = [0] * len(reverse)
    left = right = 0
    for index in range(1, len(reverse)):
        length = min(right - index, lengths[index - left]) if index < right else 0
        while index + length < len(reverse) and reverse[length] == reverse[index + length]:
            length += 1
        lengths[index] = length
        if index + length > right:
            left, right = index, index + length
        longest = max(longest, length)
    return max(AROUND, longest + 1)


def write(path: str, before: str, after: str) -> str:
    """The patch that turns ``before`` into exactly ``after``; empty when they are equal."""
    writer = PatchWriter(path, before, (1, len(split_lines(before))), endings="exact")
    return writer.feed(after) + writer.close()
