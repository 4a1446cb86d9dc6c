"""Which brackets a piece of code leaves open, and which it closes that are not its own. Pure.

A scan and no parser: it knows how strings and comments look in the languages at hand, and nothing
else. What it gets wrong (a regular expression literal with a bracket in it) shifts a count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_STRING: Final = r'"(?:\\[\s\S]|[^"\\\n])*(?:"|(?=\n)|\\?\Z)'
_QUOTED: Final = r"'(?:\\[\s\S]|[^'\\\n])*(?:'|(?=\n)|\\?\Z)"
_CHARACTER: Final = r"'(?:\\[^'\n]*|[^'\\\n])(?:'|\Z)"
"""A quoted character. A lifetime of Rust looks like its start, but is not closed."""
_TRIPLE: Final = r"\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)"
_BACKTICK: Final = r"`(?:\\[\s\S]|[^`\\])*(?:`|\\?\Z)"
_RAW: Final = r"`[^`]*(?:`|\Z)"
_SLASHES: Final = r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
_HASH: Final = r"#[^\n]*"
_SHELL_HASH: Final = r"(?<!\S)#[^\n]*"

_ROUND: Final = r"[()\[\]{}]"

_PYTHON: Final = (_TRIPLE, _STRING, _QUOTED, _HASH, _ROUND)
_SCRIPT: Final = (_SLASHES, _STRING, _QUOTED, _BACKTICK, _ROUND)
# A pattern of `case` closes a bracket that nothing opened.
_SHELL: Final = (_STRING, _QUOTED, _SHELL_HASH, r"[{}]")
_OTHERS: Final = (_SLASHES, _STRING, _CHARACTER, _RAW, _ROUND)
_PLAIN: Final = (_STRING, _ROUND)

_SCANS: Final = {
    "python": _PYTHON,
    "ruby": _PYTHON,
    "toml": _PYTHON,
    "yaml": _PYTHON,
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "css": _SCRIPT,
    "bash": _SHELL,
    "shell": _SHELL,
    **dict.fromkeys(("go", "rust", "java", "c", "cpp"), _OTHERS),
}

_OPENERS: Final = ('"""', "'''", "//", "/*", '"', "'", "`", "#")
_ENDS: Final = {'"""': '"""', "'''": "'''", "/*": "*/", '"': '"', "'": "'", "`": "`"}


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text does to the brackets around it."""

    opens: int = 0
    """Brackets that it leaves open."""
    closes: tuple[int, ...] = ()
    """Where it closes brackets that it did not open."""
    inside: str = ""
    """What opened the string or comment in which it ends; "" in code."""

    @property
    def in_block(self) -> bool:
        """Whether it ends in a string or comment that goes over lines."""
        return self.inside in ('"""', "'''", "/*", "`")


def scan(text: str, language: str, inside: str = "") -> Scan:
    """Scan ``text``, which begins inside the string or comment that ``inside`` opened, if any."""
    opens, closes, last = 0, [], ""
    skipped = len(inside)
    whole = inside + text
    for match in _pattern(language).finditer(whole):
        token = match[0]
        if token in "([{":
            opens += 1
        elif token in ")]}":
            if opens:
                opens -= 1
            else:
                closes.append(match.start() - skipped)
        elif match.end() == len(whole):
            last = _unfinished(token)
    return Scan(opens, tuple(closes), last)


def _unfinished(token: str) -> str:
    """What opened a string or comment that goes on; "" when it is closed."""
    opener = next(spelling for spelling in _OPENERS if token.startswith(spelling))
    end = _ENDS.get(opener)
    if end is None:  # a comment up to the line's end
        return opener
    body = token[len(opener) :]
    escaped = len(end) == 1 and re.search(r"(?<!\\)(?:\\\\)*\\" + end + r"\Z", body) is not None
    return opener if not body.endswith(end) or escaped else ""


@cache
def _pattern(language: str) -> re.Pattern[str]:
    return re.compile("|".join(_SCANS.get(language, _PLAIN)))
