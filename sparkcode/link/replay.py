"""A recorded engine: answers the frames of a live client as it answered those on the tape.

Each recorded client frame (``q``) gates the server frames (``e``) after it, up to the next ``q``.
When the client sends its n-th frame, the n-th group starts, every frame at its recorded distance
from the ``q``; a client that thinks longer than the recorded one, or shorter, therefore sees the
same time to first token and the same gaps. Groups do not overlap: one that is asked for early waits
for the one before it.

Client and tape may disagree. Frames are matched by ``type``, warm-ups and turns being two: for a
turn, recorded frames that the client did not send are passed over with their answers, up to the
next turn. A warm-up that the tape lacks at this place completes empty, any other frame is left
without an answer. A turn beyond the end of the tape is an EngineUnreachableError, so that a missing
answer is seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from sparkcode.clock import Clock
from sparkcode.errors import EngineUnreachableError
from sparkcode.link.chain import empty_warm_up
from sparkcode.link.tape import CUT_MARK, LINK_MARK, Tape, TapeRecord, timed
from sparkcode.link.transport import FramePipe, Peer, Transport
from sparkcode.protocol.codec import encode

TURN: Final = "response.create"
WARM_UP: Final = "warm-up"


@dataclass(frozen=True, slots=True)
class Answer:
    """What followed one client frame."""

    kind: str
    """``TURN``, ``WARM_UP`` or the client frame's ``type``; empty for what came before any."""
    frames: tuple[tuple[float, str], ...]
    """(seconds after the client frame, server frame)"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One connection of a tape."""

    peer: Peer
    answers: tuple[Answer, ...]
    """The first is what the engine sent unasked."""
    cut: bool
    """Whether the engine's side ended it."""


_EMPTY_WARM_UP: Final = Answer(
    WARM_UP, tuple((0.0, encode(event)) for event in empty_warm_up(None))
)


class _PeerMark(msgspec.Struct, frozen=True):
    kind: str = ""
    engine: str = ""
    model: str = ""
    profile: str = ""


class _ClientFrame(msgspec.Struct, frozen=True):
    type: str = ""
    generate: bool | None = None


def connections(records: Iterable[TapeRecord], *, url: str = "tape") -> list[Recorded]:
    """The connections on a tape, in order; without ``link`` markers all of it is one. Pure."""
    parts: list[list[tuple[float, TapeRecord]]] = [[]]
    for when, record in timed(records):
        if _opens(record) and any(other.code in "qe" or _opens(other) for _, other in parts[-1]):
            parts.append([])
        parts[-1].append((when, record))
    return [_recorded(part, url) for part in parts]


def _opens(record: TapeRecord) -> bool:
    return record.code == "m" and record.data.startswith(LINK_MARK)


def _recorded(part: list[tuple[float, TapeRecord]], url: str) -> Recorded:
    peer = Peer(kind="tape", url=url)
    kind, asked = "", part[0][0] if part else 0.0
    frames: list[tuple[float, str]] = []
    answers: list[Answer] = []
    cut = False
    for when, record in part:
        match record.code:
            case "q":
                answers.append(Answer(kind, tuple(frames)))
                kind, asked, frames = _kind_of(record.data), when, []
            case "e":
                frames.append((when - asked, record.data))
            case "m" if _opens(record):
                peer, asked = _peer(record.data, url), when
            case "m":
                cut = cut or record.data == CUT_MARK
    return Recorded(peer, (*answers, Answer(kind, tuple(frames))), cut)


def _peer(mark: str, url: str) -> Peer:
    try:
        who = msgspec.json.decode(mark.removeprefix(LINK_MARK), type=_PeerMark)
    except (msgspec.DecodeError, RecursionError):
        who = _PeerMark()
    note = f"recorded over {who.kind}" if who.kind else "recorded"
    return Peer("tape", url, who.engine, who.model, who.profile, note)


def _kind_of(frame: str) -> str:
    try:
        head = msgspec.json.decode(frame, type=_ClientFrame)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return WARM_UP if head.generate is False else head.type


class ReplayTransport:
    """The client's end of a recorded connection."""

    def __init__(self, recorded: Recorded | Iterable[TapeRecord], clock: Clock) -> None:
        if not isinstance(recorded, Recorded):
            recorded = connections(recorded)[0]
        self._recorded = recorded
        self._clock = clock
        self._next = 1
        self._due: asyncio.Queue[tuple[float, Answer]] = asyncio.Queue()
        self._pipe = FramePipe()

    async def send(self, text: str) -> None:
        if self._pipe.closed:
            raise EngineUnreachableError("the recorded link is closed")
        answer = self._take(_kind_of(text))
        if answer is not None:
            self._due.put_nowait((self._clock.now(), answer))

    async def frames(self) -> AsyncIterator[str]:
        player = asyncio.create_task(self._play(self._clock.now()), name="replay")
        try:
            async for text in self._pipe.frames():
                yield text
        finally:
            player.cancel()

    async def close(self) -> None:
        self._pipe.close()

    def _take(self, kind: str) -> Answer | None:
        """The recorded answer to a frame of ``kind``, in the order of the tape."""
        rest = self._recorded.answers[self._next :]
        if kind == TURN:
            for passed, answer in enumerate(rest, 1):
                if answer.kind == TURN:
                    self._next += passed
                    return answer
            raise EngineUnreachableError("the tape holds no answer to a further turn")
        if rest and rest[0].kind == kind:
            self._next += 1
            return rest[0]
        return _EMPTY_WARM_UP if kind == WARM_UP else None

    async def _play(self, start: float) -> None:
        """Moves frames from the tape into the pipe, each at its time, until it is closed."""
        answer = self._recorded.answers[0]
        with suppress(EngineUnreachableError):
            while True:
                for offset, text in answer.frames:
                    await self._clock.sleep_until(start + offset)
                    await self._pipe.put(text)
                if self._recorded.cut and answer is self._recorded.answers[-1]:
                    self._pipe.close()
                start, answer = await self._due.get()


class ReplayDialer:
    """Hands out the connections of a tape one after another.

    EngineUnreachableError after the last one.
    """

    def __init__(self, tape: Tape | Iterable[TapeRecord], clock: Clock, *, url: str = "") -> None:
        records = tape.records if isinstance(tape, Tape) else tape
        self._left = connections(records, url=url or "tape")
        self._clock = clock

    async def dial(self) -> tuple[Transport, Peer]:
        if not self._left:
            raise EngineUnreachableError("the tape holds no further connection")
        recorded = self._left.pop(0)
        return ReplayTransport(recorded, self._clock), recorded.peer
