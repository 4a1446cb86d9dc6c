"""When a turn may send only what is new. Pure.

A server on a persistent socket remembers its newest response. A client that continues from it saves
the upload and the tokenising of the whole conversation: kilobytes instead of megabytes. The rule is
Codex's (``core/src/client.rs``, ``get_incremental_items``), stated here in full:

* same connection (:meth:`Chain.reset` on each new one), and the previous response completed, or was
  interrupted, after which a server keeps its whole items;
* every setting in ``COMPARED`` is what it was;
* the new ``input`` starts with *previous input + the previous response's output items*.

Then ``input`` is cut to what follows and ``previous_response_id`` names the response. All else
stays in the request: servers inherit neither ``instructions`` nor ``tools``. In every other case
the request goes out as it is; a wrong guess in that direction only costs bytes.

Items are compared without ``id``, ``status``, ``annotations`` and ``logprobs``: history that a
client rebuilds from text lacks them, and none of them is anything a model reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sparkcode.protocol.events import (
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ServerEvent,
)

COMPARED: Final = (
    "model",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "store",
    "stream",
    "stream_id",
    "include",
    "service_tier",
    "prompt_cache_key",
    "text",
)
"""Settings that must be equal, besides the input."""

Item = Mapping[str, Any]

_NOT_COMPARED: Final = frozenset({"id", "status", "annotations", "logprobs"})


@dataclass(frozen=True, slots=True)
class Anchor:
    """A request in full and the response that ended it: where a chain can go on."""

    request: ResponseCreate
    response_id: str
    output: tuple[Item, ...]


class Chain:
    """Follows the turns of one conversation over successive connections.

    Call :meth:`reset` for each new connection, then for each turn :meth:`request` and, when its
    response has ended, :meth:`completed`. A turn that fails is not reported and breaks the chain.
    """

    def __init__(self, *, incremental: bool = True) -> None:
        self._incremental = incremental
        self._sent: ResponseCreate | None = None
        self._anchor: Anchor | None = None

    def reset(self, *, incremental: bool = True) -> None:
        """Forget the server's state; False for a peer that keeps none (HTTP without ``store``)."""
        self._incremental = incremental
        self._sent = self._anchor = None

    @property
    def continuable(self) -> bool:
        """Whether there is a response to go on from."""
        return self._anchor is not None and self._incremental

    def shared(self, full: ResponseCreate) -> int:
        """Items of ``full`` that need not be sent; -1 where it would go out as it is."""
        if self._anchor is None or not self._incremental:
            return -1
        sent = continuation(self._anchor, full)
        return -1 if sent is full else len(input_items(full)) - len(input_items(sent))

    def request(self, full: ResponseCreate) -> ResponseCreate:
        """What to send for ``full``, the request with its whole context."""
        anchor, self._anchor = self._anchor, None
        self._sent = full
        if anchor is None or not self._incremental:
            return full
        return continuation(anchor, full)

    def completed(self, response: Response, output: Sequence[Item] | None = None) -> None:
        """The response to the newest request has ended.

        ``output`` are the items of its ``output_item.done`` events as JSON objects, by default
        those that ``response`` itself holds.
        """
        sent, self._sent = self._sent, None
        if sent is None or not response.id or not _continuable(response):
            return
        items = output_items(response) if output is None else list(output)
        self._anchor = Anchor(sent, response.id, tuple(items))


def continuation(anchor: Anchor, full: ResponseCreate) -> ResponseCreate:
    """``full`` cut to what is new after ``anchor``, or ``full`` itself where the rule forbids."""
    if full.previous_response_id is not None:
        return full
    if any(getattr(full, name) != getattr(anchor.request, name) for name in COMPARED):
        return full
    known = [*input_items(anchor.request), *anchor.output]
    items = input_items(full)
    if len(items) < len(known) or not all(map(_alike, items, known)):
        return full
    new = items[len(known) :]
    if not new and anchor.request.generate is not False:
        # Only after a warm-up is the same input again a new turn.
        return full
    return msgspec.structs.replace(full, input=new, previous_response_id=anchor.response_id)


def input_items(request: ResponseCreate) -> list[dict[str, Any]]:
    """The request's input as a list of items; a text is one user message."""
    match request.input:
        case None:
            return []
        case str() as text:
            return [{"type": "message", "role": "user", "content": text}]
        case items:
            return items


def output_items(response: Response) -> list[dict[str, Any]]:
    """The response's output as JSON objects, fit to be input items of the next turn."""
    return [msgspec.to_builtins(item) for item in response.output]


def empty_warm_up(model: str | None) -> tuple[ServerEvent, ...]:
    """The answer to a warm-up where no server state can be prepared.

    The response id is empty, which :meth:`Chain.completed` takes as nothing to continue from.
    """
    response = Response(model=model or "")
    done = msgspec.structs.replace(response, status="completed")
    return ResponseCreated(response=response), ResponseCompleted(sequence_number=1, response=done)


def _continuable(response: Response) -> bool:
    details = response.incomplete_details
    return response.status == "completed" or (
        response.status == "incomplete" and details is not None and details.reason == "interrupted"
    )


def _alike(item: Item, other: Item) -> bool:
    """Whether both say the same to a model. Most of a history is equal as it is."""
    return item == other or _bare(item) == _bare(other)


def _bare(value: Any) -> Any:
    """``value`` without what is not compared, at any depth."""
    match value:
        case list():
            return [_bare(part) for part in value]
        case dict():
            return {key: _bare(part) for key, part in value.items() if key not in _NOT_COMPARED}
        case _:
            return value
