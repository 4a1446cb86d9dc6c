"""A conversation as one opaque item, from which a new chain can start. Pure.

What was said is kept word for word; what tools were told and what they answered is dropped, because
their effect is in the files and they are the bulk of a long session. The item carries the whole
content, so nothing is stored and any server of this kind can go on from it. Clients treat it as
opaque, but it is not secret, and what comes back is checked like any other input.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec

from sparkcode.engine.base import Item, Message, Role


class _Said(msgspec.Struct, frozen=True, array_like=True):
    role: Role
    text: str


_DECODER = msgspec.json.Decoder(list[_Said])


def compact(items: Iterable[Item]) -> str:
    """The messages among ``items``, as ``encrypted_content`` of a compaction item."""
    said = [_Said(item.role, item.text) for item in items if isinstance(item, Message)]
    return base64.b64encode(msgspec.json.encode(said)).decode()


def expand(content: str) -> tuple[Message, ...]:
    """The messages in ``content``; ValueError if it was not made by :func:`compact`."""
    try:
        said = _DECODER.decode(base64.b64decode(content, validate=True))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"no compacted conversation: {error}") from error
    return tuple(Message(one.role, one.text) for one in said)
