"""Model output as plain text: nothing in it may steer a terminal.

Escape sequences (CSI, OSC, DCS, SOS, PM, APC and the two-character ones) are removed whole, so that
``"\\x1b[31mred"`` reads ``red``; every other control character except newline and tab is dropped,
and so are the Unicode controls that reorder text, with which a diff could be made to read as
something else. An unterminated string sequence hides at most 4,096 characters and never crosses a
line.

Text arrives in pieces, and a sequence may be cut anywhere: :func:`strip` returns the unfinished
tail, to be put before the next piece. The result does not depend on where the pieces were cut.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]{0,256}[ -/]{0,16}[@-~]?"
    r"|[\]PX^_][^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|[ -/]{1,16}[0-~]?"
    r"|[0-~])?"
)
_UNFINISHED = re.compile(
    r"\x1b(?:\[[0-?]{0,256}[ -/]{0,16}|[\]PX^_][^\x07\x1b\x9c\n]{0,4096}\x1b?|[ -/]{0,16})?\Z"
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def strip(text: str) -> tuple[str, str]:
    """``text`` without what could steer a terminal, and the tail that may be half a sequence."""
    if _CONTROL.search(text) is None:
        return text, ""
    tail = ""
    if unfinished := _first_unfinished(text):
        text, tail = text[: unfinished.start()], unfinished[0]
    return _CONTROL.sub("", _ESCAPE.sub("", text)), tail


def plain(text: str) -> str:
    """All of ``text`` as plain text; newlines and tabs stay."""
    return strip(text)[0]


def one_line(text: str, limit: int = 300) -> str:
    """``text`` on one line of at most ``limit`` characters, for an error message."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _first_unfinished(text: str) -> re.Match[str] | None:
    """The sequence that runs up to the end of ``text``, if there is one."""
    start = 0
    while (found := text.find("\x1b", start)) >= 0:
        if match := _UNFINISHED.match(text, found):
            return match
        whole = _ESCAPE.match(text, found)
        start = whole.end() if whole else found + 1
    return None
