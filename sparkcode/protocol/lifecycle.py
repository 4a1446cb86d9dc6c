"""The rules of one connection, for both ends of it.

Theory. A connection carries requests one way and responses the other. Responses come strictly in
the order of their requests, one at a time: a ``response.create`` that arrives while another is
being answered waits in a queue. Both ends can therefore keep the same picture: a queue of
requests, whose head is *in flight*, and the phase of that one response. ``Machine`` is this
picture. It has no socket and no clock: ``send`` turns an event into text if the event is legal,
``receive`` turns text into an event, and both move the same state by the same table, so that two
machines joined by any reliable, ordered link cannot disagree about where they are.

    idle          nothing was asked
    requested     asked; the server has not spoken yet
    created       response.created was sent
    in_progress   response.in_progress was sent; no output item is open
    item          an output item is open

After a terminal event (completed, incomplete, failed, or an ``error`` frame) the phase is
``requested`` if more requests wait, else ``idle``.

``LIFE`` holds what is legal for a response, ``ITEM`` what is legal inside an item, by kind:

    message            added -> part (content_part.added) -> deltas -> text (output_text.done)
                       -> added (content_part.done) -> ... -> output_item.done
    function_call      added -> deltas -> text (function_call_arguments.done) -> output_item.done
    custom_tool_call   the same with custom_tool_call_input.*
    reasoning          added -> output_item.done

A server keeps exactly to these two. Other servers do not: some leave out ``created``,
``in_progress``, content parts, ``.done`` events, ids or indexes, and one of the most used clients
is happy with an ``output_item.done`` and a ``completed``. So a *receiving client* also consults
``FORGIVEN`` and ``FORGIVEN_ITEM``. They forgive only what cannot corrupt a fold over the events.
A delta for an item that was never added, a delta of the wrong kind, text after the item's text was
declared final, and any event of a response that nobody asked for or that is over stay errors. A
client may ask a server to be *brief*: then it leaves out ``in_progress`` where nothing waits,
content parts, and the ``.done`` events inside an item, all of which ``output_item.done`` repeats.

Events whose type is unknown pass in any phase and change nothing, with two exceptions. From a
client such a frame takes a place in the queue, as a malformed one does, because it will be
answered by an ``error`` frame, and an ``error`` frame during a response would be read as the end
of that response. From a server an ``output_item.added`` of a kind unknown here opens an opaque
item, in which everything is legal.

Sequence numbers and lanes are the machine's: ``send`` numbers a response's events from 0 and
gives them the ``stream_id`` of their request. Lanes that run beside each other are a machine each
(``lanes``).

A steer that is accepted promises a response behind the one in flight, before all that waits. It
is called off when the server says, after the response, that the input waits or has failed.

Blame: inside, every broken rule is a LocalProtocolError; ``receive`` is the one place that turns
it into a RemoteProtocolError. A refused event leaves the state as it was.

What is ugly: an ``error`` frame does not say which request it answers, so it ends the one in
flight, and with none in flight it is a mere remark. And when several items of one response are
open at once, which only a forgiven peer does, ``item`` means "at least one".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from sparkcode.protocol.events import (
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    CustomToolCallItem,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    InterruptAccepted,
    MessageItem,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    OutputTextDelta,
    OutputTextDone,
    ReasoningItem,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    WebSocketTiming,
)

Phase = Literal["idle", "requested", "created", "in_progress", "item", "over"]
"""``over`` stands in the tables only: a response that is over leaves the queue at once."""
Stage = Literal["added", "part", "text", "closed"]


class Opaque(msgspec.Struct, frozen=True, tag="unknown"):
    """Stands in the tables for an output item of a kind that is unknown here."""


LifecycleEvent = (
    ResponseCreated | ResponseInProgress | ResponseCompleted | ResponseIncomplete | ResponseFailed
)
InsideEvent = (
    ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
)
ToldEvent = (
    LifecycleEvent
    | InsideEvent
    | OutputItemAdded
    | OutputItemDone
    | OutputItemInterrupted
    | InterruptAccepted
    | WebSocketTiming
)
"""What a response is told with."""
_ASIDE = frozenset({WebSocketTiming, InterruptAccepted})
"""Legal at any time between ``created`` and the terminal event; they change nothing."""

_INSIDE: dict[type, Phase] = dict.fromkeys(get_args(InsideEvent), "item")

LIFE: Mapping[Phase, Mapping[type, Phase]] = {
    "idle": {},
    "requested": {ResponseCreated: "created"},
    "created": {
        **dict.fromkeys(_ASIDE, "created"),
        ResponseInProgress: "in_progress",
        ResponseFailed: "over",
    },
    "in_progress": {
        **dict.fromkeys(_ASIDE, "in_progress"),
        ResponseInProgress: "in_progress",
        OutputItemAdded: "item",
        ResponseCompleted: "over",
        ResponseIncomplete: "over",
        ResponseFailed: "over",
    },
    "item": {
        **dict.fromkeys(_ASIDE, "item"),
        **_INSIDE,
        ResponseInProgress: "item",
        OutputItemDone: "in_progress",
        OutputItemInterrupted: "in_progress",
        ResponseFailed: "over",
    },
}

_ANY_TERMINAL: dict[type, Phase] = {
    ResponseCompleted: "over",
    ResponseIncomplete: "over",
    ResponseFailed: "over",
}

FORGIVEN: Mapping[Phase, Mapping[type, Phase]] = {
    "idle": {InterruptAccepted: "idle", WebSocketTiming: "idle"},
    "requested": {
        **_ANY_TERMINAL,
        **dict.fromkeys(_ASIDE, "requested"),
        ResponseInProgress: "in_progress",
        OutputItemAdded: "item",
        OutputItemDone: "in_progress",
    },
    "created": {**_ANY_TERMINAL, OutputItemAdded: "item", OutputItemDone: "in_progress"},
    "in_progress": {OutputItemDone: "in_progress", OutputItemInterrupted: "in_progress"},
    "item": {**_ANY_TERMINAL, OutputItemAdded: "item"},
}

ITEM: Mapping[type, Mapping[Stage, Mapping[type, Stage]]] = {
    MessageItem: {
        "added": {ContentPartAdded: "part", OutputItemDone: "closed"},
        "part": {OutputTextDelta: "part", OutputTextDone: "text"},
        "text": {ContentPartDone: "added"},
    },
    FunctionCallItem: {
        "added": {FunctionCallArgumentsDelta: "added", FunctionCallArgumentsDone: "text"},
        "text": {OutputItemDone: "closed"},
    },
    CustomToolCallItem: {
        "added": {CustomToolCallInputDelta: "added", CustomToolCallInputDone: "text"},
        "text": {OutputItemDone: "closed"},
    },
    ReasoningItem: {"added": {OutputItemDone: "closed"}},
    Opaque: {"added": {**dict.fromkeys(get_args(InsideEvent), "added"), OutputItemDone: "closed"}},
}

FORGIVEN_ITEM: Mapping[type, Mapping[Stage, Mapping[type, Stage]]] = {
    MessageItem: {
        "added": {OutputTextDelta: "part", OutputTextDone: "text", ContentPartDone: "added"},
        "part": {ContentPartAdded: "part", ContentPartDone: "added", OutputItemDone: "closed"},
        "text": {ContentPartAdded: "part", OutputItemDone: "closed"},
    },
    FunctionCallItem: {"added": {OutputItemDone: "closed"}},
    CustomToolCallItem: {"added": {OutputItemDone: "closed"}},
    # A model's visible reasoning travels in events that are unknown here.
    ReasoningItem: {"added": {ContentPartAdded: "added", ContentPartDone: "added"}},
}
