"""The blank lines at the edges of a region, which a rewrite loses or adds without being asked."""

from __future__ import annotations

import re
from typing import Final

_MEANT: Final = re.compile(
    r"\b(?:blank|empty line|newline|spac|whitespac|format|style|pep ?-?8|separat|tid(?:y|ies))",
    re.IGNORECASE,
)


class Margins:
    """Gives a streamed rewrite the blank lines that its region begins and ends with.

    Where the ``instruction`` speaks of blank lines or layout, the rewrite's own stay. The text ends
    without a line break, as the region's does. Any chunking gives the same text; what may be the
    end is held until more follows.
    """

    def __init__(self, original: str, instruction: str) -> None:
        body = original.strip(" \t\n")
        self.free = not body or _MEANT.search(instruction) is not None
        """Whether the rewrite's own edges stay."""
        lines = original.split("\n")
        blank = [not line.strip() for line in lines]
        first = blank.index(False) if False in blank else 0
        last = len(lines) - blank[::-1].index(False) if False in blank else len(lines)
        self._before = "".join(f"{line}\n" for line in lines[:first])
        self._after = "".join(f"\n{line}" for line in lines[last:])
        self._held = ""
        self._begun = False

    @classmethod
    def of_new(cls, before: str = "") -> Margins:
        """For text that replaces none: it begins with ``before`` and ends without blank lines."""
        margins = cls("-", "")
        margins._before = before
        return margins

    def feed(self, text: str) -> str:
        """The part of what has arrived that is certain."""
        if self.free:
            return text
        text, self._held = self._held + text, ""
        if not self._begun:
            lines = text.split("\n")
            while len(lines) > 1 and not lines[0].strip():
                lines = lines[1:]
            text = "\n".join(lines)
            if not text.strip():
                self._held = text
                return ""
            self._begun, text = True, self._before + text
        # Blank lines at the end, and the start of one, wait for what follows.
        end = len(text.rstrip(" \t\n"))
        cut = text.find("\n", end)
        if cut >= 0:
            self._held = text[cut:]
            return text[:cut]
        return text

    def finish(self) -> str:
        """The rest; an empty rewrite stays empty."""
        held, self._held = self._held, ""
        if self.free:
            return ""
        return self._after if self._begun else held
