"""How a rewrite should not begin: with a fence of its own, or with a sentence about what follows.

The prompt has opened the fence already. A small model opens it once more at times, and what it says
before that is no code.
"""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 400
"""Longest text that may be an opening."""

_OPENING: Final = re.compile(
    # A sentence that ends in a colon, or nothing; then a fence that names a language.
    r"\s*(?:[A-Z][a-z']*(?: [\w`'.,()-]+){2,30}:[ \t]*\n\s*)?(?:```+|~~~+)[ \t]*[\w+#.-]+[ \t]*\n"
)
_MAY_BE: Final = re.compile(
    r"\s*(?:"
    r"[A-Z][a-z']*(?: [\w`'.,()-]*)*"
    r"(?::[ \t]*(?:\n\s*(?:[`~]*|(?:```+|~~~+)[ \t]*[\w+#.-]*[ \t]*))?)?"
    r"|[`~]{1,2}|(?:```+|~~~+)[ \t]*[\w+#.-]*[ \t]*"
    r")?"
)
"""What a longer text may turn into an opening; a fence alone closes the answer instead."""


class Opening:
    """Passes streamed text through without such a beginning. Any chunking gives the same text.

    ``original`` is the region's text: what it begins with itself is no stray.
    """

    def __init__(self, original: str) -> None:
        self._passing = _OPENING.match(f"{original}\n") is not None
        self._held = ""

    def feed(self, text: str) -> str:
        """The part of what has arrived that is certainly of the rewrite."""
        if self._passing:
            return text
        self._held += text
        found = _OPENING.match(self._held)
        if found is None and len(self._held) < MAX_CHARACTERS and _MAY_BE.fullmatch(self._held):
            return ""
        self._passing = True
        return self._held[found.end() :] if found else self._held

    def finish(self) -> str:
        """The rest."""
        held, self._held = self._held, ""
        return "" if self._passing else held
