"""The ``.sparklog`` recording: what passed between a user, a client and an engine, and when.

A text file of JSON lines, shaped like an asciicast of version 3, so that it can be read, compared
and cut with ordinary tools. The first line is the header::

    {"version": 1, "app": "0.1.0", "clock": "real", "size": [120, 40], ...}

Every other line is ``[interval, code, data]``: seconds since the line before, one letter, a text.

====  =====================================================================================
code  data
====  =====================================================================================
i     input of the user: the name of a key, a paste
q     a client frame, as sent
e     a server frame, when it arrived
r     a new size of the screen, ``120x40``
m     a marker; ``link {...}`` opens a connection and tells its peer, ``cut`` says that the
      engine's side ended it
x     the end, with the exit status
====  =====================================================================================

Intervals rather than times make a tape editable: a line taken out shortens the story and nothing
else. Lines that start with ``#`` are comments. Letters that this version does not know are skipped,
their time is not. A recording that was cut short by a crash ends in a torn line, which is dropped.

Frames are recorded, handshakes and headers never; API keys inside frames are blotted out. A key as
short as a word is not: it would be found in ordinary text, and protects nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeGuard, get_args

import msgspec

from sparkcode.clock import Clock
from sparkcode.errors import ScriptError, UsageError
from sparkcode.link.transport import Dialer, Peer, Transport

VERSION: Final = 1

Code = Literal["i", "q", "e", "r", "m", "x"]

LINK_MARK: Final = "link "
"""A marker that starts so is followed by the peer as JSON: kind, engine, model, profile."""

CUT_MARK: Final = "cut"

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Four times the largest frame: JSON inside JSON doubles its quotes and backslashes."""

_CODES: Final = frozenset(get_args(Code))
_BLOT: Final = "***"
_SHORTEST_SECRET: Final = 8
"""Characters."""
_SECRET: Final = re.compile(r"(?<![A-Za-z0-9_-])(sk-|Bearer )[A-Za-z0-9._-]{16,}")


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """Under which circumstances a tape was made."""

    app: str = ""
    """Version of the program."""
    clock: Literal["real", "virtual"] = "real"
    size: tuple[int, int] = (80, 24)
    """Columns and rows of the screen."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further keys (``model``, ``profile``, ``theme``, ``title`` ...), kept as they are."""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class TapeRecord:
    """One line: ``interval`` seconds after the line before."""

    interval: float
    code: Code
    data: str


@dataclass(frozen=True, slots=True)
class Tape:
    header: TapeHeader
    records: tuple[TapeRecord, ...]

    @property
    def duration(self) -> float:
        """Seconds from the start to the last record."""
        return sum(record.interval for record in self.records)


# --- reading --------------------------------------------------------------------------------


def read_tape(path: Path) -> Tape:
    """The tape in the file; ScriptError names the line that cannot be used."""
    try:
        with path.open("rb") as file:
            return parse_tape(_lines(file.readline, str(path)), name=str(path))
    except OSError as error:
        raise ScriptError(f"cannot read the tape {str(path)!r}: {error.strerror}") from error


def parse_tape(lines: Iterable[bytes], *, name: str = "tape") -> Tape:
    """``lines`` with their endings to a tape; a last line without ending may be torn."""
    numbered = ((n, line) for n, line in enumerate(lines, 1) if _speaks(line))
    number, first = next(numbered, (1, b""))
    header = _header(first, f"{name}:{number}")
    records = []
    skipped = 0.0
    for number, line in numbered:
        try:
            interval, code, data = _record(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                break
            raise ScriptError(f"{name}:{number}: {error}") from error
        if _is_code(code):
            records.append(TapeRecord(skipped + interval, code, data))
            skipped = 0.0
        else:
            skipped += interval
    return Tape(header, tuple(records))


def _lines(readline: Callable[[int], bytes], name: str) -> Iterator[bytes]:
    number = 1
    while line := readline(MAX_LINE_BYTES):
        if len(line) == MAX_LINE_BYTES:
            raise ScriptError(f"{name}:{number}: a line of more than {MAX_LINE_BYTES} bytes")
        yield line
        number += 1


def _speaks(line: bytes) -> bool:
    """Whether the line is neither blank nor a comment."""
    return bool(line.strip()) and not line.startswith(b"#")


def _header(line: bytes, where: str) -> TapeHeader:
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raw = None
    match raw:
        case {"version": int(version)} if version > VERSION:
            raise ScriptError(
                f"{where}: a tape of version {version}; this program reads up to {VERSION}"
            )
        case {
            "version": 1,
            "app": str(app),
            "clock": ("real" | "virtual") as clock,
            "size": [int(columns), int(rows)],
            **extra,
        }:
            more = {str(key): value for key, value in extra.items()}
            return TapeHeader(app=app, clock=clock, size=(columns, rows), extra=more)
        case _:
            raise ScriptError(
                f"{where}: no tape header; the first line is"
                ' {"version": 1, "app": "...", "clock": "real", "size": [80, 24]}'
            )


def _record(line: bytes) -> tuple[float, str, str]:
    """The three fields; ValueError if they are others."""
    try:
        raw = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    match raw:
        case [float() | int() as interval, str(code), str(data)] if _is_interval(interval):
            return float(interval), code, data
        case _:
            head = line[:80].decode(errors="replace").strip()
            raise ValueError(f"{head!r} is no [interval >= 0 in seconds, code, text]")


def _is_interval(value: float) -> bool:
    return not isinstance(value, bool) and 0 <= value < float("inf")


def _is_code(code: str) -> TypeGuard[Code]:
    return code in _CODES


# --- time transforms ------------------------------------------------------------------------


def speed(records: Iterable[TapeRecord], factor: float) -> Iterator[TapeRecord]:
    """The same records, ``factor`` times as fast; UsageError unless it is above 0."""
    if not 0 < factor < float("inf"):
        raise UsageError(f"{factor!r} is no speed; it is a number above 0, 2 being twice as fast")
    for record in records:
        yield TapeRecord(record.interval / factor, record.code, record.data)


def cap_idle(records: Iterable[TapeRecord], seconds: float) -> Iterator[TapeRecord]:
    """The same records with no gap longer than ``seconds``; UsageError if that is negative."""
    if not seconds >= 0:
        raise UsageError(f"{seconds!r} is no longest gap; it is a number of seconds, 0 or more")
    for record in records:
        yield TapeRecord(min(record.interval, seconds), record.code, record.data)


def timed(records: Iterable[TapeRecord]) -> Iterator[tuple[float, TapeRecord]]:
    """Each record with its time, in seconds since the start of the tape."""
    now = 0.0
    for record in records:
        now += record.interval
        yield now, record


# --- writing --------------------------------------------------------------------------------


class TapeWriter:
    """Adds records to a new file, each flushed, so that a crash loses no more than one line.

    ``start`` is the time of the clock that is second 0 of the tape; without it the first record
    is. ``secrets`` of at least 8 characters are blotted out wherever they occur, and so is what
    looks like an API key.
    UsageError if the file exists; ScriptError if it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        header: TapeHeader,
        *,
        start: float | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._last = start
        self._secrets = tuple(
            sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
        )
        try:
            # Recorded conversations hold source code: for the owner's eyes.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise UsageError(f"{str(path)!r} exists; a recording starts a new file") from error
        except OSError as error:
            raise ScriptError(f"cannot record to {str(path)!r}: {error.strerror}") from error
        self._file = os.fdopen(descriptor, "wb")
        self.error = ""
        """Why nothing is recorded any more: a full disk must not end the session it records."""
        self._put(self._redacted(_dump(_header_fields(header))))

    def write(self, now: float, code: Code, data: str) -> None:
        """Record ``data`` at ``now`` (seconds of the clock); after :meth:`close` do nothing."""
        if self._file.closed:
            return
        last = now if self._last is None else self._last
        interval = round(max(0.0, now - last), 6)
        # The sum of what was written, so that rounding does not accumulate.
        self._last = last + interval
        self._put(_dump([interval, code, self._redacted(data)]))

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _put(self, line: str) -> None:
        try:
            # A lone surrogate, as a terminal may paste it, has no UTF-8.
            self._file.write(line.encode(errors="replace") + b"\n")
            self._file.flush()
        except OSError as error:
            self.error = f"recording stopped: {error.strerror}"
            self.close()

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _BLOT)
        return _SECRET.sub(rf"\1{_BLOT}", text)


def _header_fields(header: TapeHeader) -> dict[str, Any]:
    fixed = {"version": header.version, "app": header.app, "clock": header.clock}
    return {**fixed, "size": list(header.size), **header.extra}


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- recording a link -----------------------------------------------------------------------


class RecordingTransport:
    """A transport that writes what passes through it: ``q`` before sending, ``e`` on arrival."""

    def __init__(self, inner: Transport, writer: TapeWriter, clock: Clock) -> None:
        self._inner = inner
        self._writer = writer
        self._clock = clock
        self._closing = False

    async def send(self, text: str) -> None:
        self._writer.write(self._clock.now(), "q", text)
        await self._inner.send(text)

    async def frames(self) -> AsyncIterator[str]:
        async for text in self._inner.frames():
            self._writer.write(self._clock.now(), "e", text)
            yield text
        if not self._closing:
            self._writer.write(self._clock.now(), "m", CUT_MARK)

    async def close(self) -> None:
        self._closing = True
        await self._inner.close()


class RecordingDialer:
    """A dialer whose links are recorded; each is preceded by a marker that tells its peer."""

    def __init__(self, dialer: Dialer, writer: TapeWriter, clock: Clock) -> None:
        self._dialer = dialer
        self._writer = writer
        self._clock = clock

    async def dial(self) -> tuple[Transport, Peer]:
        transport, peer = await self._dialer.dial()
        who = {
            "kind": peer.kind,
            "engine": peer.engine,
            "model": peer.model,
            "profile": peer.profile,
        }
        mark = LINK_MARK + msgspec.json.encode(who).decode()
        self._writer.write(self._clock.now(), "m", mark)
        return RecordingTransport(transport, self._writer, self._clock), peer
