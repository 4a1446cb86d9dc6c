"""Tools and their calls, in the words of a server that may know functions only. Pure.

A free-form tool (``custom``) becomes a function with one string argument; its calls come back as
free-form input (:class:`~sparkcode.upstream.arguments.ArgumentText`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkcode.engine.base import Channel, Tool
from sparkcode.upstream.arguments import INPUT, ArgumentText


def as_function(tool: Tool) -> dict[str, Any]:
    """The function form of ``tool``, as the Responses API writes it."""
    if tool.kind == "function":
        known = ("description", "parameters", "strict")
        spec = {key: tool.spec[key] for key in known if tool.spec.get(key) is not None}
        return {"type": "function", "name": tool.name, **spec}
    return {
        "type": "function",
        "name": tool.name,
        "description": _description(tool.spec),
        "parameters": {
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": "The whole text."}},
            "required": [INPUT],
            "additionalProperties": False,
        },
    }


def tool_specs(tools: Iterable[Tool], *, free_form: bool) -> list[dict[str, Any]]:
    """``tools`` for a Responses server; ``free_form`` says whether it knows custom tools."""
    return [
        dict(tool.spec) if free_form and tool.kind == "custom" else as_function(tool)
        for tool in tools
    ]


class Calls:
    """Where the calls of one answer go, and their text as the client is to have it."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._custom = frozenset(tool.name for tool in tools if tool.kind == "custom")
        self._decoders: dict[int, ArgumentText] = {}

    def begin(self, index: int, name: str, call_id: str = "") -> Channel:
        """A function is called as output item ``index``."""
        if name in self._custom:
            self._decoders[index] = ArgumentText()
            return Channel("custom_tool_call", name, index, call_id)
        return Channel("function_call", name, index, call_id)

    def text(self, index: int, piece: str) -> str:
        """What ``piece`` of the call's arguments means."""
        decoder = self._decoders.get(index)
        return piece if decoder is None else decoder.feed(piece)

    def end(self, index: int) -> str:
        """The rest of the call's text."""
        decoder = self._decoders.pop(index, None)
        return "" if decoder is None else decoder.end()


def _description(spec: Mapping[str, Any]) -> str:
    """What the tool is for, and the grammar that a server without custom tools cannot enforce."""
    said = spec.get("description")
    parts = [said] if isinstance(said, str) and said else []
    parts.append(f"The argument {INPUT!r} is the tool's whole input, as plain text.")
    form = spec.get("format")
    if isinstance(form, Mapping) and isinstance(form.get("definition"), str):
        parts.append(f"The text must follow this grammar:\n{form['definition']}")
    return "\n\n".join(parts)
