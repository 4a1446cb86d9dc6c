"""Calls that a model writes into its text, where its server does not take them out. Pure.

Qwen, Hermes and many other open models call a tool as

    <tool_call>
    {"name": "apply_patch", "arguments": {"input": "*** Begin Patch..."}}
    </tool_call>

and a server that knows the model takes that out of the text. One that does not passes it on, some
without the marks, which are no text to the tokenizer: an answer that begins with such an object is
a call too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sparkcode.engine.base import ToolCall

OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"
MAX_CALL: Final = 1 << 17
"""Characters of a call; what is longer is text."""

_BARE: Final = re.compile(r'\s*\{\s*"name"\s*:')
_MAX_BARE: Final = 40
"""Characters in which an object without marks must have shown that it is a call."""


class _Written(msgspec.Struct):
    name: str
    arguments: dict[str, object] | str = {}


_SCANNER: Final = json.JSONDecoder()
_DECODER: Final = msgspec.json.Decoder(_Written)


class SpokenCalls:
    """Text in pieces, to text and calls. Without ``tools`` all is text."""

    def __init__(self, tools: Iterable[str]) -> None:
        self._tools = frozenset(tools)
        self._held = ""
        self._inside = False
        self._bare: bool | None = None if self._tools else False
        """Whether the answer is a call without marks; None while that is open."""

    def feed(self, text: str) -> list[str | ToolCall]:
        """What has become certain with ``text``."""
        if not self._tools:
            return [text]
        self._held += text
        if self._bare is None:
            self._bare = _is_bare(self._held)
        if self._bare is not False and len(self._held) <= MAX_CALL:
            return []
        self._bare = False
        found: list[str | ToolCall] = []
        while True:
            before, mark, after = self._held.partition(CLOSE if self._inside else OPEN)
            if not mark:
                break
            self._held = after
            found.append(self._call(before, before=OPEN) if self._inside else before)
            self._inside = not self._inside
        return [*found, self._certain()]

    def end(self) -> list[str | ToolCall]:
        """What is left. A last call may lack its closing mark."""
        held, self._held = self._held, ""
        if self._bare:
            return self._leading(held)
        return [self._call(held, before=OPEN, after="") if self._inside else held]

    def _certain(self) -> str:
        if self._inside and len(self._held) <= MAX_CALL:
            return ""
        if self._inside:
            text, self._held, self._inside = OPEN + self._held, "", False
            return text
        kept = next(
            (size for size in range(len(OPEN) - 1, 0, -1) if self._held.endswith(OPEN[:size])), 0
        )
        cut = len(self._held) - kept
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def _leading(self, text: str) -> list[str | ToolCall]:
        """The calls that ``text`` begins with, and what follows them."""
        calls: list[str | ToolCall] = []
        rest = text
        while True:
            begun = rest.lstrip()
            try:
                _, end = _SCANNER.raw_decode(begun)
            except (ValueError, RecursionError):
                break
            call = self._call(begun[:end], before="", after="")
            if isinstance(call, str):
                break
            calls.append(call)
            rest = begun[end:]
        return calls if calls and not rest.strip() else [*calls, rest]

    def _call(self, inner: str, *, before: str, after: str = CLOSE) -> str | ToolCall:
        """The call in ``inner``, or the text that it is with what stood around it."""
        try:
            written = _DECODER.decode(inner.strip())
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return before + inner + after
        if written.name not in self._tools:
            return before + inner + after
        given = written.arguments
        arguments = given if isinstance(given, str) else msgspec.json.encode(given).decode()
        return ToolCall("", written.name, arguments, "function_call")


def _is_bare(text: str) -> bool | None:
    """Whether an answer that begins with ``text`` is a call without marks; None if too short."""
    if _BARE.match(text):
        return True
    begun = text.lstrip()
    open_yet = not begun or (begun[0] == "{" and '"name"'.startswith(begun[1:].strip()))
    return None if open_yet and len(text) <= _MAX_BARE else False
