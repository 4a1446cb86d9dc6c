"""Where a rewritten region ends: the line that closes the fence the prompt opened."""

from __future__ import annotations

import re


class FenceStop:
    """Passes streamed text through until a line that is only the closing fence.

    The line break before that line is held back too: it belongs to the fence, not to the region.
    Text after the fence is dropped. Any chunking gives the same text.
    """

    def __init__(self, fence: str) -> None:
        self._fence = fence
        self._pending = ""
        """The current line so far, its leading break included, while it may be the fence."""
        self._passing = False
        """Whether the current line is known not to be the fence."""
        self.closed = False

    def feed(self, text: str) -> str:
        """The part of what has arrived that is certainly region text."""
        released: list[str] = []
        for piece in re.split(r"(?=\n)", text):
            if piece.startswith("\n"):
                released.append(self.finish())
                self._passing = False
            if self.closed:
                break
            self._pending += piece
            if self._passing or not self._may_be_fence():
                self._passing = True
                released.append(self._pending)
                self._pending = ""
        return "".join(released)

    def finish(self) -> str:
        """Text held back that proves to be no fence now that its line has ended."""
        line, self._pending = self._pending, ""
        if not self._passing and line.strip() == self._fence:
            self.closed = True
            return ""
        return line

    def _may_be_fence(self) -> bool:
        body = self._pending.strip()
        return self._fence.startswith(body)
