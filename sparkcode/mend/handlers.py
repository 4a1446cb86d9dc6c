"""``except X:`` that became ``except X as e:`` for nothing."""

from __future__ import annotations

import ast
import re
from typing import Final

from sparkcode.mend.signatures import parsed
from sparkcode.mend.source import Cut, without
from sparkcode.mend.window import lines_of

_NAMED: Final = re.compile(rb"\s+as\s+\w+\s*(?=:)")
_PLACE: Final = re.compile(rb"[:\-,]?\s*%[sr](?=[\"']\s*,)")


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with ``except`` lines as they were, where the new name tells nothing.

    It is not used, or only to repeat the exception in a call of ``exception``, which logs it anyway
    (https://docs.astral.sh/ruff/rules/verbose-log-message/).
    """
    if language != "python" or before == after:
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    was = {line.strip() for line in lines_of(before)}
    lines = [line.encode() for line in lines_of(after)]
    cuts: list[Cut] = []
    for node in ast.walk(new):
        if not isinstance(node, ast.ExceptHandler) or node.name is None:
            continue
        line = lines[node.lineno - 1]
        named = _NAMED.search(line)
        if named is None or _NAMED.sub(b"", line).decode().strip() not in was:
            continue
        repeats = _repeats(node, lines)
        if repeats is not None:
            cuts += [Cut(node.lineno, named.start(), node.lineno, named.end()), *repeats]
    return without(after, cuts), "except lines as they were"


def _repeats(handler: ast.ExceptHandler, lines: list[bytes]) -> list[Cut] | None:
    """Where the handler's name is repeated to a logger; None when it is used otherwise."""
    uses = [
        node for node in ast.walk(handler) if isinstance(node, ast.Name) and node.id == handler.name
    ]
    cuts: list[Cut] = []
    for node in ast.walk(handler):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="exception"),
                args=[ast.Constant(value=str(said)) as message, ast.Name(id=name) as last],
                keywords=[],
            ) if name == handler.name and message.end_lineno == last.lineno == message.lineno:
                line = lines[last.lineno - 1]
                place = _PLACE.search(line, message.col_offset, last.end_col_offset or 0)
                end = message.end_col_offset or 0
                if place is None or place.end() != end - 1 or said.count("%") != 1:
                    return None
                cuts.append(Cut(last.lineno, place.start(), last.lineno, place.end()))
                cuts.append(Cut(last.lineno, end, last.lineno, last.end_col_offset or end))
                uses.remove(last)
            case _:
                pass
    return None if uses else cuts
