"""A connection whose named lanes run beside each other: a machine for each. Pure.

A lane is named by the ``stream_id`` of a request and of every event that answers it; what has none
is the default lane's, and so is a frame that cannot be understood.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET

from sparkcode.errors import ProtocolError
from sparkcode.protocol.codec import decode_client_event, decode_server_event
from sparkcode.protocol.events import ClientEvent, ResponseCreate, ServerEvent, UnknownEvent
from sparkcode.protocol.machine import Event, Machine, Role

MAX_LANE_NAME: Final = 256
LANE: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{MAX_LANE_NAME}}}")
"""A name that a lane may have."""

MAX_LANES: Final = 32
"""Named lanes that one connection may have, as in the public service."""

Lane = str | None
"""The name of a lane; None is the default lane."""


class Lanes:
    """One end of a connection; ``role`` and ``brief`` as in :class:`Machine`."""

    def __init__(self, role: Role, *, brief: bool = False) -> None:
        self.role: Role = role
        self._brief = brief
        self._machines: dict[Lane, Machine] = {None: Machine(role, brief=brief)}

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._machines

    def __len__(self) -> int:
        """Named lanes."""
        return len(self._machines) - 1

    def machine(self, lane: Lane) -> Machine:
        """The machine of ``lane``, which is opened where there is none."""
        if lane not in self._machines:
            self._machines[lane] = Machine(self.role, brief=self._brief)
        return self._machines[lane]

    def send(self, event: Event, lane: Lane = None) -> str:
        """The text of ``event`` for the wire. A request tells its lane itself."""
        if isinstance(event, ResponseCreate):
            lane = event.stream_id
        return self.machine(lane).send(event)

    def receive(self, text: str | bytes) -> tuple[Lane, Event]:
        """The event in ``text`` and its lane; RemoteProtocolError as the lane's machine has it.

        A server has to look at a request before it opens a lane for it: it decodes by itself.
        """
        if self.role == "client":
            lane = lane_of(decode_server_event(text))
            return lane, self.machine(lane).receive(text)
        try:
            event = decode_client_event(text)
        except ProtocolError:
            self.machine(None).spoil()
            raise
        self.machine(lane_of(event)).ask(event)
        return lane_of(event), event


def lane_of(event: ServerEvent | ClientEvent) -> Lane:
    """The lane that ``event`` names."""
    if isinstance(event, UnknownEvent):
        name = event.raw.get("stream_id")
        return name if isinstance(name, str) else None
    name = getattr(event, "stream_id", None)
    return None if name is UNSET else name
