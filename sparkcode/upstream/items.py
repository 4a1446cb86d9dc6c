"""A question as a request of the Responses API. Pure.

The request holds the whole conversation; a :class:`~sparkcode.link.chain.Chain` cuts it to what is
new where the server remembers the rest. What an answer adds to a conversation is written by the
same functions, so that the next request begins with exactly what the server remembers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sparkcode.engine.base import GenerateRequest, Item, Message, ToolCall, ToolOutput
from sparkcode.protocol.events import ResponseCreate
from sparkcode.upstream.arguments import arguments_of
from sparkcode.upstream.tools import tool_specs

_OWN: Final = ("model", "tool_choice")
"""Settings that are written anew; the others are passed on as they are."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a server wants to be asked."""

    model: str
    free_form: bool
    """It knows custom tools."""
    stores: bool = False
    """It is to keep its responses, so that the next request can go on from one."""


def create_of(request: GenerateRequest, manner: Manner, *, warm: bool = False) -> ResponseCreate:
    """The request with the whole conversation."""
    items, instructions = request.items, None
    if items and isinstance(items[0], Message) and items[0].role == "system":
        instructions, items = items[0].text, items[1:]
    settings = {name: value for name, value in request.settings.items() if name not in _OWN}
    choice = request.settings.get("tool_choice")
    if request.tools:
        settings["tools"] = tool_specs(request.tools, free_form=manner.free_form)
        if choice is not None:
            settings["tool_choice"] = choice if manner.free_form else _function_choice(choice)
    return ResponseCreate(
        model=manner.model,
        instructions=instructions,
        input=item_objects(items, free_form=manner.free_form),
        store=manner.stores,
        stream=True,
        generate=False if warm else None,
        **settings,
    )


def item_objects(items: Iterable[Item], *, free_form: bool) -> list[dict[str, Any]]:
    """``items`` as JSON objects; ``free_form`` as in :class:`Manner`."""
    custom: set[str] = set()
    objects = []
    for item in items:
        match item:
            case Message(role, text):
                objects.append(message_object(role, text))
            case ToolCall():
                if free_form and item.kind == "custom_tool_call":
                    custom.add(item.call_id)
                objects.append(call_object(item, free_form=free_form))
            case ToolOutput(call_id, output):
                kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
                objects.append({"type": kind, "call_id": call_id, "output": output})
    return objects


def message_object(role: str, text: str) -> dict[str, Any]:
    if role == "assistant":
        content = [{"type": "output_text", "text": text}]
        return {"type": "message", "role": role, "content": content}
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def call_object(call: ToolCall, *, free_form: bool) -> dict[str, Any]:
    known = {"call_id": call.call_id, "name": call.name}
    if call.kind == "function_call":
        return {"type": "function_call", **known, "arguments": call.input}
    if free_form:
        return {"type": "custom_tool_call", **known, "input": call.input}
    return {"type": "function_call", **known, "arguments": arguments_of(call.input)}


def _function_choice(choice: Any) -> Any:
    """The choice of a custom tool as that of the function it has become."""
    if isinstance(choice, dict) and choice.get("type") == "custom":
        return {**choice, "type": "function"}
    return choice
