"""Free-form text that travels as the one string argument of a function. Pure.

A model without free-form tools calls a function with ``{"input": "*** Begin Patch\\n..."}``.
:class:`ArgumentText` turns the pieces of that JSON into pieces of the text as soon as they are
certain: a cut escape or half of a surrogate pair waits for its rest.

Small models get the form wrong. The text is the object's first string, whatever its key; arguments
that are no object with a string in front are the text themselves, escapes and all.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

INPUT: Final = "input"
"""The argument's name."""

_HEAD: Final = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*"', re.DOTALL)
_MAX_HEAD: Final = 200
"""Characters in which the string must have begun; otherwise it is looked for at the end."""
_CODE: Final = re.compile(r"[0-9a-fA-F]{4}")
_PLAIN: Final = re.compile(r'[^"\\]+')
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)
_REPLACEMENT: Final = "�"


class ArgumentText:
    """One call's arguments. :meth:`feed` each piece, then :meth:`end`."""

    def __init__(self) -> None:
        self._waiting = ""
        self._late: list[str] = []
        """Pieces of arguments that do not begin with a string."""
        self._inside = False
        self._raw = False
        self._done = False

    def feed(self, piece: str) -> str:
        """The text that has become certain with ``piece``."""
        if self._raw:
            return piece
        if self._done:
            return ""
        if self._late:
            self._late.append(piece)
            return ""
        self._waiting += piece
        if not self._inside:
            head = _HEAD.match(self._waiting)
            if head is None:
                return self._not_begun()
            self._inside = True
            self._waiting = self._waiting[head.end() :]
        return self._certain()

    def end(self) -> str:
        """What is left when no piece follows; a string that was cut off ends where it is."""
        left, self._waiting = "".join(self._late) or self._waiting, ""
        if self._inside or self._raw:
            return ""
        return _first_string(left)

    def _not_begun(self) -> str:
        begun = self._waiting.lstrip()
        if begun and begun[0] != "{":
            self._raw = True
            self._waiting, text = "", self._waiting
            return text
        if len(begun) > _MAX_HEAD:
            self._late.append(self._waiting)
        return ""

    def _certain(self) -> str:
        text, at, waiting = [], 0, self._waiting
        while at < len(waiting):
            if plain := _PLAIN.match(waiting, at):
                text.append(plain.group())
                at = plain.end()
            elif waiting[at] == '"':
                self._done = True
                at = len(waiting)
            else:
                char, length = _escape(waiting, at)
                if not length:
                    break
                text.append(char)
                at += length
        self._waiting = waiting[at:]
        return "".join(text)


def arguments_of(text: str) -> str:
    """The arguments of the call that says ``text``."""
    return msgspec.json.encode({INPUT: text}).decode()


def _escape(text: str, at: int) -> tuple[str, int]:
    """The character that the escape at ``at`` means, and its length; 0 while it is not whole."""
    if at + 1 >= len(text):
        return "", 0
    kind = text[at + 1]
    if kind != "u":
        return _SHORT.get(kind, kind), 2
    code = _code(text, at)
    if code is None:
        return "", 0
    if code in _HIGH:
        return _pair(text, at, code)
    return (_REPLACEMENT if code in _LOW or code < 0 else chr(code)), 6


def _pair(text: str, at: int, high: int) -> tuple[str, int]:
    """As :func:`_escape`, for the first half of a surrogate pair."""
    if not "\\u".startswith(text[at + 6 : at + 8]):
        return _REPLACEMENT, 6
    low = _code(text, at + 6)
    if low is None:
        return "", 0
    if low not in _LOW:
        return _REPLACEMENT, 6
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12


def _code(text: str, at: int) -> int | None:
    """The number of the ``\\uXXXX`` at ``at``; None while it is not whole, -1 if it is none."""
    digits = text[at + 2 : at + 6]
    if len(digits) < 4:
        return None
    return int(digits, 16) if _CODE.fullmatch(digits) else -1


def _first_string(text: str) -> str:
    """The first string among an object's values, or ``text`` where there is none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    if isinstance(value, dict):
        for each in value.values():
            if isinstance(each, str):
                return each
    return text
