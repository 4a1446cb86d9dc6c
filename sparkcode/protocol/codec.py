"""JSON text to events and back. The only place that knows the events are JSON."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from sparkcode.errors import RemoteProtocolError
from sparkcode.protocol.events import (
    ClientEvent,
    ErrorBody,
    ErrorEvent,
    KnownClientEvent,
    KnownServerEvent,
    OutputItem,
    Response,
    ResponseCreate,
    ServerEvent,
    UnknownEvent,
)

Known = TypeVar("Known")

MAX_DEPTH: Final = 200
"""Arrays and objects inside each other. Far below what the decoder's own recursion allows, so that
whatever was decoded can also be converted and encoded again, from any depth of the stack."""

_ENCODER = msgspec.json.Encoder()
_SERVER = msgspec.json.Decoder(KnownServerEvent)
_CLIENT = msgspec.json.Decoder(KnownClientEvent)


def encode(event: ServerEvent | ClientEvent) -> str:
    """One JSON object on one line, ``type`` first."""
    if isinstance(event, UnknownEvent):
        return _ENCODER.encode({**event.raw, "type": event.type}).decode()
    return _ENCODER.encode(event).decode()


def decode_server_event(text: str | bytes) -> ServerEvent:
    """The event in ``text``; RemoteProtocolError if it is no JSON object with a ``type``.

    Servers differ in details that must not cost a turn: a null where a value is due counts as
    absent, and what a response object holds of a kind unknown here is left out of it.
    """
    event = _decode(_SERVER, text)
    if isinstance(event, UnknownEvent):
        return _salvage(event)
    if isinstance(event, ErrorEvent) and event.error == ErrorBody():
        return _flat_error(event, _object(text))
    return event


def decode_client_event(text: str | bytes) -> ClientEvent:
    """As :func:`decode_server_event`; a known type with fields of a wrong type is an error."""
    event = _decode(_CLIENT, text)
    if isinstance(event, UnknownEvent) and event.type in _CLIENT_TYPES:
        try:
            msgspec.convert({**event.raw, "type": event.type}, KnownClientEvent)
        except msgspec.ValidationError as error:
            raise RemoteProtocolError(f"{event.type}: {error}") from error
    return event


def decode_create_body(body: bytes) -> ResponseCreate:
    """The HTTP form of ``response.create``, which has no ``type``."""
    raw = _object(body)
    raw["type"] = "response.create"
    try:
        return msgspec.convert(raw, ResponseCreate)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"request body: {error}") from error


def _flat_error(event: ErrorEvent, raw: dict[str, Any]) -> ErrorEvent:
    """The form that server-sent events give an error: its fields beside ``type``."""
    known = {key: raw[key] for key in ("message", "code", "param") if isinstance(raw.get(key), str)}
    return msgspec.structs.replace(event, error=ErrorBody(**known))


def _salvage(event: UnknownEvent) -> ServerEvent:
    raw = {key: value for key, value in event.raw.items() if value is not None}
    response = raw.get("response")
    if isinstance(response, dict):
        raw["response"] = _usable_response(response)
    try:
        known: KnownServerEvent = msgspec.convert({**raw, "type": event.type}, KnownServerEvent)
    except msgspec.ValidationError:
        return event
    return known


def _usable_response(raw: dict[str, Any]) -> dict[str, Any]:
    usable = {
        field.name: raw[field.name]
        for field in msgspec.structs.fields(Response)
        if field.name in raw and _fits(raw[field.name], field.type)
    }
    output = raw.get("output")
    if isinstance(output, list):
        usable["output"] = [item for item in output if _fits(item, OutputItem)]
    return usable


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


_CLIENT_TYPES = frozenset(
    {"response.create", "response.interrupt", "response.steer", "response.processed"}
)


def _decode(decoder: msgspec.json.Decoder[Known], text: str | bytes) -> Known | UnknownEvent:
    try:
        if _openings(text) > MAX_DEPTH:
            _object(text)
        return decoder.decode(text)
    except msgspec.ValidationError:
        raw = _object(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RemoteProtocolError(f"not JSON: {_head(text)!r} ({error})") from error
    kind = raw.pop("type", None)
    if not isinstance(kind, str):
        raise RemoteProtocolError(f"an event without a string 'type': {_head(text)!r}")
    return UnknownEvent(type=kind, raw=raw)


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RemoteProtocolError(f"not JSON: {_head(text)!r} ({error})") from error
    except RecursionError as error:
        raise _too_deep(text) from error
    if not isinstance(raw, dict):
        raise RemoteProtocolError(f"not a JSON object: {_head(text)!r}")
    if _openings(text) > MAX_DEPTH and _is_deep(raw):
        raise _too_deep(text)
    return raw


def _openings(text: str | bytes) -> int:
    """An upper bound of the depth that costs next to nothing on a small frame."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_deep(raw: dict[str, Any]) -> bool:
    level: list[Any] = [raw]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _too_deep(text: str | bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"JSON of more than {MAX_DEPTH} levels: {_head(text)!r}")


def _head(text: str | bytes) -> str:
    """The first 80 characters, for a one-line message."""
    return (text if isinstance(text, str) else text.decode(errors="replace"))[:80]
