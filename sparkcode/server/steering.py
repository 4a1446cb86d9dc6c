"""Input that a user adds to a response while it runs, and what becomes of it. Pure.

accepted ──the response ends──> the next response begins with it
   ├──it has called the client's tools──> pending, until the client sends what they brought
   └──it failed, or was interrupted──> failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from sparkcode.protocol.events import (
    CustomToolCallItem,
    ErrorBody,
    FunctionCallItem,
    Response,
    ResponseCreate,
    ResponseSteer,
    Steer,
    SteerFailed,
    SteerPending,
)

MAX_STEERS: Final = 16
"""Submissions that one response takes."""

Accepted = tuple[Steer, list[dict[str, Any]]]
"""A submission and its input items."""


def items_of(raw: object) -> list[dict[str, Any]] | None:
    """The messages of a steer's ``input``; None if it is no input for steering."""
    if isinstance(raw, str):
        return [{"type": "message", "role": "user", "content": raw}] if raw.strip() else None
    if not isinstance(raw, list) or not raw:
        return None
    for item in raw:
        kind = item.get("type", "message") if isinstance(item, dict) else ""
        if kind != "message" or item.get("role") != "user" or not item.get("content"):
            return None
    return raw


def refused(event: ResponseSteer, code: str, message: str) -> SteerFailed:
    """The answer to a steer that is not accepted."""
    steer = {"previous_response_id": event.previous_response_id, "input": event.input}
    return SteerFailed(steer=steer, error=_error(code, message))


def lost(accepted: Accepted, code: str, message: str) -> SteerFailed:
    """What is said of an accepted steer that cannot be carried out; its input goes back."""
    steer, items = accepted
    told = {"id": steer.id, "previous_response_id": steer.previous_response_id, "input": items}
    return SteerFailed(steer=told, error=_error(code, message))


def waiting(accepted: Accepted, required: list[dict[str, Any]]) -> SteerPending:
    """What is said of an accepted steer while the client owes the results of calls."""
    return SteerPending(steer=accepted[0], required_input=required)


def required_input(response: Response) -> list[dict[str, Any]]:
    """What the client owes ``response``: one entry for each call of a tool of its own."""
    owed: list[dict[str, Any]] = []
    for item in response.output:
        match item:
            case FunctionCallItem(call_id=call_id, name=name):
                owed.append({"type": "function_call_output", "call_id": call_id, "name": name})
            case CustomToolCallItem(call_id=call_id):
                owed.append({"type": "custom_tool_call_output", "call_id": call_id})
            case _:
                pass
    return owed


def input_of(accepted: Sequence[Accepted], more: object = None) -> list[dict[str, Any]]:
    """The input of the response after the steered one: the steers in order, then ``more``."""
    items = [item for _, each in accepted for item in each]
    if isinstance(more, str):
        return [*items, {"type": "message", "role": "user", "content": more}]
    return [*items, *more] if isinstance(more, list) else items


def successor(
    create: ResponseCreate, final: Response, accepted: Sequence[Accepted]
) -> ResponseCreate:
    """The request that nobody sends: as ``create``, going on from ``final``."""
    return msgspec.structs.replace(
        create, input=input_of(accepted), previous_response_id=final.id, generate=None
    )


def _error(code: str, message: str) -> ErrorBody:
    return ErrorBody(message=message, type="invalid_request_error", code=code)
