"""One end of a connection as a state machine; the rules it applies are in ``lifecycle``."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from sparkcode.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from sparkcode.protocol.codec import decode_client_event, decode_server_event, encode
from sparkcode.protocol.events import (
    ClientEvent,
    ErrorEvent,
    InterruptAccepted,
    InterruptFailed,
    KnownClientEvent,
    KnownServerEvent,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseSteer,
    ServerEvent,
    SteerAccepted,
    SteerFailed,
    SteerPending,
    UnknownEvent,
    WebSocketTiming,
)
from sparkcode.protocol.lifecycle import (
    FORGIVEN,
    FORGIVEN_ITEM,
    ITEM,
    LIFE,
    InsideEvent,
    LifecycleEvent,
    Opaque,
    Phase,
    Stage,
    ToldEvent,
)

Role = Literal["client", "server"]
Event = ServerEvent | ClientEvent

_LIFECYCLE_NAMES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(LifecycleEvent))
_KNOWN_NAMES = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (*get_args(KnownClientEvent), *get_args(KnownServerEvent))
)


@dataclass(frozen=True, slots=True)
class _Request:
    """A response that is due."""

    lane: str | None
    successor: bool = False
    """Whether nobody asked for it but a steer of the response before it."""


@dataclass(slots=True)
class _Item:
    """An open output item."""

    id: str
    kind: type[msgspec.Struct]
    """Class of the item."""
    stage: Stage = "added"


class Machine:
    """One end of a connection; ``role`` says which. A ``brief`` server may leave out what its
    client, which has asked for that, would be forgiving about.

    ``send`` raises LocalProtocolError and ``receive`` RemoteProtocolError, both without effect on
    the state; only a malformed frame from a client takes its place in a server's queue.
    """

    def __init__(self, role: Role, *, brief: bool = False) -> None:
        self.role: Role = role
        self._brief = brief
        self._phase: Phase = "idle"
        self._requests: deque[_Request] = deque()
        self._response_id = ""
        self._items: dict[int, _Item] = {}
        self._added = 0
        self._sequence = 0

    @property
    def state(self) -> Phase:
        """Phase of the response in flight."""
        return self._phase

    @property
    def queued(self) -> int:
        """Requests that wait behind the one in flight."""
        return max(0, len(self._requests) - 1)

    @property
    def response_id(self) -> str:
        """Id of the response in flight; "" before it is known and when there is none."""
        return self._response_id

    @property
    def open_items(self) -> tuple[tuple[int, str], ...]:
        """``(output_index, item_id)`` of each open output item."""
        return tuple((index, item.id) for index, item in self._items.items())

    def send(self, event: Event) -> str:
        """The text of ``event`` to put on the wire; the state has advanced."""
        if isinstance(event, UnknownEvent) and event.type in _KNOWN_NAMES:
            raise LocalProtocolError(f"{event.type} in the form of an unknown event")
        if self.role == "client":
            self.ask(_as_client_event(event))
            return encode(event)
        stamped = self._stamp(_as_server_event(event))
        self._answer(stamped, forgiving=False)
        self._sequence += 1
        if self._phase in ("idle", "requested"):
            self._sequence = 0
        return encode(stamped)

    def receive(self, text: str | bytes) -> Event:
        """The event in ``text``; the state has advanced."""
        try:
            if self.role == "client":
                answer = decode_server_event(text)
                self._answer(answer, forgiving=True)
                return answer
            return self._receive_request(text)
        except LocalProtocolError as error:
            raise RemoteProtocolError(str(error)) from error

    def spoil(self) -> None:
        """A frame came that cannot be decoded: it takes a place in the queue."""
        self._enqueue(None)

    def _receive_request(self, text: str | bytes) -> ClientEvent:
        try:
            event = decode_client_event(text)
        except ProtocolError:
            self.spoil()
            raise
        self.ask(event)
        return event

    # --- the client's half ---------------------------------------------------------------------

    def ask(self, event: ClientEvent) -> None:
        """What sending or receiving a client's ``event`` does to the state."""
        match event:
            case ResponseCreate():
                self._enqueue(event.stream_id)
            case UnknownEvent():
                self._enqueue(None)
            case _:
                pass

    def _enqueue(self, lane: str | None) -> None:
        self._requests.append(_Request(lane))
        if self._phase == "idle":
            self._phase = "requested"

    # --- the server's half ---------------------------------------------------------------------

    def _stamp(self, event: ServerEvent) -> ServerEvent:
        if isinstance(event, UnknownEvent):
            return event
        lane = self._requests[0].lane if self._requests else None
        return msgspec.structs.replace(
            event,
            sequence_number=self._sequence,
            stream_id=msgspec.UNSET if lane is None else lane,
        )

    def _answer(self, event: ServerEvent, *, forgiving: bool) -> None:
        match event:
            case UnknownEvent():
                self._unknown(event)
            case ErrorEvent():
                if self._requests:
                    self._over()
            case SteerAccepted():
                self._promise(forgiving=forgiving)
            case SteerPending() | SteerFailed():
                self._call_off(event)
            case InterruptFailed():
                pass
            case _:
                self._tell(event, forgiving=forgiving)

    def _tell(self, event: ToldEvent, *, forgiving: bool) -> None:
        following = self._following(event, forgiving=forgiving)
        match event:
            case InterruptAccepted() | WebSocketTiming():
                return
            case OutputItemAdded():
                self._add(event, forgiving=forgiving)
            case OutputItemDone():
                self._close(event, forgiving=forgiving)
            case OutputItemInterrupted():
                self._drop(event, forgiving=forgiving)
            case (
                ResponseCreated()
                | ResponseInProgress()
                | ResponseCompleted()
                | ResponseIncomplete()
                | ResponseFailed()
            ):
                self._name(event, forgiving=forgiving)
            case _:
                self._inside(event, forgiving=forgiving)
        self._enter(following)

    def _following(self, event: ToldEvent, *, forgiving: bool) -> Phase:
        kind = type(event)
        following = LIFE[self._phase].get(kind)
        if following is None and (forgiving or self._brief):
            following = FORGIVEN[self._phase].get(kind)
        if following is None:
            raise LocalProtocolError(f"{_name(event)} is not legal in state {self._phase!r}")
        return following

    def _enter(self, following: Phase) -> None:
        if following == "over":
            self._over()
        elif following in ("in_progress", "item"):
            self._phase = "item" if self._items else "in_progress"
        else:
            self._phase = following

    def _over(self) -> None:
        self._requests.popleft()
        self._items.clear()
        self._added = 0
        self._response_id = ""
        self._phase = "requested" if self._requests else "idle"

    # --- steering ------------------------------------------------------------------------------

    def _promise(self, *, forgiving: bool) -> None:
        """A steer is accepted: another response follows the one in flight, at once."""
        if self._phase in ("idle", "requested"):
            if not forgiving:
                raise LocalProtocolError("a steer is accepted, but no response is in flight")
        elif not (len(self._requests) > 1 and self._requests[1].successor):
            self._requests.insert(1, _Request(self._requests[0].lane, successor=True))

    def _call_off(self, event: SteerPending | SteerFailed) -> None:
        """What was promised does not come: the response has ended, and nothing follows it."""
        accepted = isinstance(event, SteerPending) or bool(event.steer.get("id"))
        due = self._phase == "requested" and self._requests[0].successor
        if accepted and due:
            self._requests.popleft()
            self._phase = "requested" if self._requests else "idle"

    def _name(self, event: LifecycleEvent, *, forgiving: bool) -> None:
        """Takes or compares the response's id. Gateways are known to rewrite it on the way."""
        name = event.response.id
        if forgiving or isinstance(event, ResponseCreated):
            self._response_id = name or self._response_id
        elif name != self._response_id:
            raise LocalProtocolError(
                f"{_name(event)} for response {name!r}, but {self._response_id!r} is in flight"
            )

    # --- items ---------------------------------------------------------------------------------

    def _add(self, event: OutputItemAdded, *, forgiving: bool) -> None:
        if not forgiving and event.output_index != self._added:
            raise LocalProtocolError(
                f"output item with index {event.output_index}, should be {self._added}"
            )
        self._items[event.output_index] = _Item(event.item.id, type(event.item))
        self._added += 1

    def _close(self, event: OutputItemDone, *, forgiving: bool) -> None:
        index = self._find(event.output_index, event.item.id, forgiving=forgiving)
        if index is None:
            if not forgiving:
                raise LocalProtocolError(f"output item {event.item.id!r} is done, but not open")
            self._added += 1
            return
        self._step(self._items[index], event, forgiving=forgiving)
        del self._items[index]

    def _drop(self, event: OutputItemInterrupted, *, forgiving: bool) -> None:
        index = self._find(event.output_index, event.item_id, forgiving=forgiving)
        if index is not None:
            del self._items[index]
        elif not forgiving:
            raise LocalProtocolError(f"output item {event.item_id!r} is interrupted, but not open")

    def _inside(self, event: InsideEvent, *, forgiving: bool) -> None:
        index = self._find(event.output_index, event.item_id, forgiving=forgiving)
        if index is None:
            raise LocalProtocolError(
                f"{_name(event)} for item {event.item_id!r} at index {event.output_index}, "
                "which is not open"
            )
        item = self._items[index]
        item.stage = self._step(item, event, forgiving=forgiving)

    def _step(self, item: _Item, event: InsideEvent | OutputItemDone, *, forgiving: bool) -> Stage:
        kind = type(event)
        following = ITEM[item.kind].get(item.stage, {}).get(kind)
        if following is None and (forgiving or self._brief):
            following = FORGIVEN_ITEM.get(item.kind, {}).get(item.stage, {}).get(kind)
        if following is None:
            what = _tag(item.kind)
            raise LocalProtocolError(
                f"{_name(event)} is not legal in {what} item {item.id!r} at stage {item.stage!r}"
            )
        return following

    def _find(self, index: int, item_id: str, *, forgiving: bool) -> int | None:
        """Index of the open item that is meant; a forgiven peer may name it by id or index."""
        found = self._items.get(index)
        if found is not None and (found.id == item_id or forgiving):
            return index
        if forgiving and item_id:
            return next((at for at, item in self._items.items() if item.id == item_id), None)
        return None

    def _unknown(self, event: UnknownEvent) -> None:
        """Known names arrive here when their content is of an unknown kind."""
        if not self._requests:
            return
        index = event.raw.get("output_index", 0)
        if not isinstance(index, int):
            index = 0
        if event.type == "response.output_item.added":
            self._items[index] = _Item(_item_id(event.raw), Opaque)
            self._added += 1
            self._phase = "item"
        elif event.type == "response.output_item.done" and index in self._items:
            del self._items[index]
            self._enter("item")
        elif event.type in _LIFECYCLE_NAMES:
            raise LocalProtocolError(f"{event.type} without a usable response object")


def _as_client_event(event: Event) -> ClientEvent:
    match event:
        case (
            ResponseCreate()
            | ResponseInterrupt()
            | ResponseSteer()
            | ResponseProcessed()
            | UnknownEvent()
        ):
            return event
        case _:
            raise LocalProtocolError(f"a client does not send {_name(event)}")


def _as_server_event(event: Event) -> ServerEvent:
    match event:
        case ResponseCreate() | ResponseInterrupt() | ResponseSteer() | ResponseProcessed():
            raise LocalProtocolError(f"a server does not send {_name(event)}")
        case _:
            return event


def _name(event: Event) -> str:
    return event.type if isinstance(event, UnknownEvent) else _tag(type(event))


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _item_id(raw: Mapping[str, Any]) -> str:
    item = raw.get("item")
    return str(item.get("id", "")) if isinstance(item, dict) else ""
