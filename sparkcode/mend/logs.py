"""``print`` that became a logger's call and kept its arguments: ``logger.info("read", n, "rows")``.

A logger takes what follows its message for the message's placeholders; without one the call fails.
"""

from __future__ import annotations

import ast
from typing import Final

from sparkcode.checks.trees import logs
from sparkcode.mend.signatures import parsed
from sparkcode.mend.window import lines_of

_QUOTE: Final = '"'


def mended(before: str, after: str, language: str, instruction: str) -> tuple[str, str]:
    """``after`` with one message for what a new call of a logger says in pieces."""
    if language != "python" or before == after:
        return after, ""
    old, new = parsed(before), parsed(after)
    if old is None or new is None:
        return after, ""
    known = {ast.unparse(call) for call in logs(old)}
    lines = [line.encode() for line in lines_of(after)]
    for call in sorted(logs(new), key=lambda each: (-each.lineno, -each.col_offset)):
        said = _message(call)
        if said is None or call.lineno != call.end_lineno or ast.unparse(call) in known:
            continue
        line = lines[call.lineno - 1]
        first, last = call.args[0], call.args[-1]
        lines[call.lineno - 1] = (
            line[: first.col_offset] + said.encode() + line[last.end_col_offset :]
        )
    return b"".join(lines).decode(), "log messages with placeholders"


def _message(call: ast.Call) -> str | None:
    """The arguments of a call that says in pieces what ``print`` would have said."""
    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or len(call.args) < 2 or "%" in str(first.value):
        return None
    parts: list[str] = []
    values: list[str] = []
    for each in call.args:
        if isinstance(each, ast.Starred):
            return None
        text = each.value if isinstance(each, ast.Constant) else None
        if isinstance(text, str):
            parts.append(text.replace("%", "%%"))
        else:
            parts.append("%s")
            values.append(ast.unparse(each))
    message = " ".join(parts)
    if _QUOTE in message or "\\" in repr(message) or not values:
        return None
    return ", ".join([f"{_QUOTE}{message}{_QUOTE}", *values])
