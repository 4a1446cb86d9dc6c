"""An engine on this machine: the one that already runs, or a child of this process.

The child is ``sparkcode serve`` on a free loopback port with a random key in its environment. It
holds the reading end of a pipe as its standard input and exits when that closes; the operating
system closes it when the owner ends in any way, ``kill -9`` included, so no engine is left behind.
Its first line on standard output is a JSON object that tells the URL; what it says on standard
error is progress, and when it dies early its last ``error:`` line is the reason.

Any user of the machine may listen on the usual port and call it a Spark engine. A key that lies in
the environment for some other server must not go there unasked, so it is sent only to a listener
of the same user.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import secrets
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from sparkcode.config import API_KEY_ENV, DEFAULT_PORT
from sparkcode.errors import EngineUnreachableError, SparkError, UsageError, WeightsError
from sparkcode.link.dialer import UrlDialer
from sparkcode.link.transport import KeyRefusedError, Peer, Transport

STOP_TIMEOUT: Final = 2.0
"""Seconds a child gets to leave by itself, and again after SIGTERM."""

_ANY_MODEL: Final = ("", "spark")
_MAX_LINE: Final = 500
_ERROR: Final = re.compile(r"^(?:sparkcode: )?error: *(.+)$", re.IGNORECASE)
_SOCKET_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN: Final = "0A"
_WEIGHTS: Final = re.compile(r"weights|gguf|sha-?256|models pull", re.IGNORECASE)

Say = Callable[[str], None]


class Health(msgspec.Struct, frozen=True):
    """What a server says of itself at ``/healthz``."""

    server: str = ""
    engine: str = ""
    model: str = ""


class _Serving(msgspec.Struct, frozen=True, tag="serving"):
    """The first line of ``sparkcode serve``."""

    url: str
    engine: str = ""
    model: str = ""
    pid: int = 0


# --- finding --------------------------------------------------------------------------------


async def find_local(
    model: str = "", *, port: int = DEFAULT_PORT, patience: float = 0.3
) -> str | None:
    """The base URL of a Spark engine on 127.0.0.1 within ``patience`` seconds, or None.

    ``model`` asks for one that serves this model; empty or ``spark`` takes any.
    """
    health = await local_health(port=port, patience=patience)
    if health is None or model not in (*_ANY_MODEL, health.model):
        return None
    return f"http://127.0.0.1:{port}/v1"


async def local_health(*, port: int = DEFAULT_PORT, patience: float = 0.3) -> Health | None:
    """Who answers on 127.0.0.1 within ``patience`` seconds; None if it is no Spark engine."""
    try:
        async with asyncio.timeout(patience):
            body = await _get_health(port)
        health = msgspec.json.decode(body, type=Health)
    except (OSError, TimeoutError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return health if health.server == "sparkcode" else None


async def _get_health(port: int) -> bytes:
    """The body of ``GET /healthz``, by hand: an HTTP client takes longer to import than to ask."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while len(answer) < 64 * 1024 and (chunk := await reader.read(4096)):
            answer += chunk
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[2]


def listens_for_us(tables: Iterable[str], port: int, uid: int) -> bool:
    """Whether ``tables`` (text of ``/proc/net/tcp``) have listeners on ``port``, all of ``uid``.

    On which of several addresses a connection arrives is not worked out: one foreigner is enough.
    """
    owners = set()
    for table in tables:
        for row in table.splitlines()[1:]:
            _, local, _, state, _, _, _, owner, *_ = [*row.split(), *[""] * 8]
            if state == _LISTEN and local.rpartition(":")[2] == f"{port:04X}":
                owners.add(owner)
    return owners == {str(uid)}


def _is_ours(url: str) -> bool:
    """Whether this user is known to listen at ``url``; False where the system does not tell."""
    tables = []
    for path in _SOCKET_TABLES:
        with suppress(OSError):
            tables.append(path.read_text("ascii", "replace"))
    return listens_for_us(tables, urlsplit(url).port or 80, os.getuid())


# --- starting -------------------------------------------------------------------------------


class LocalEngine:
    """A running child; :meth:`close` ends it."""

    def __init__(self, serving: _Serving, key: str, child: _Child) -> None:
        self.url = serving.url
        self.key = key
        self.pid = child.pid
        self.engine = serving.engine
        self.model = serving.model
        self._child = child

    @property
    def alive(self) -> bool:
        return self._child.alive

    async def wait(self) -> None:
        """Until the child has ended, for whatever reason."""
        await self._child.wait()

    async def close(self) -> None:
        """Stop the child and wait for its end; a second call does nothing."""
        await self._child.stop()


async def start_engine(
    args: Sequence[str] = (),
    *,
    command: Sequence[str] | None = None,
    say: Say | None = None,
    patience: float = 60.0,
) -> LocalEngine:
    """Start ``sparkcode serve`` with further ``args`` and wait until it serves.

    ``command`` replaces the program and its fixed arguments. ``say`` gets the child's lines of
    progress. ``patience`` is in seconds without such a line, so that a slow first load is no
    failure. WeightsError, UsageError or EngineUnreachableError with the child's own reason if it
    ends before it serves.
    """
    key = secrets.token_urlsafe(24)
    child = await _Child.start([*(command or serve_command()), *args], key, say)
    try:
        serving = await child.serving(patience)
    except BaseException:
        # Also when the caller gives up: a half-started engine is nobody's.
        await child.stop()
        raise
    return LocalEngine(serving, key, child)


def serve_command() -> list[str]:
    """The program that :func:`start_engine` runs, with this interpreter."""
    return [sys.executable, "-m", "sparkcode", "serve", "--port", "0", "--exit-with-stdin"]


class _Child:
    """A process with its pipes: standard input held open, both outputs read to their end."""

    def __init__(self, process: asyncio.subprocess.Process, say: Say | None) -> None:
        self._process = process
        self._say = say
        self._tail: deque[str] = deque(maxlen=40)
        self._deadline: asyncio.Timeout | None = None
        self._patience = 0.0
        self._serving: asyncio.Future[_Serving] = asyncio.get_running_loop().create_future()
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self._on_output), name="engine-stdout"),
            asyncio.create_task(self._read(process.stderr, self._on_progress), name="engine-err"),
        ]

    @classmethod
    async def start(cls, command: Sequence[str], key: str, say: Say | None) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, API_KEY_ENV: key, "PYTHONUNBUFFERED": "1"},
                # Ctrl+C in the terminal interrupts a turn, not the engine.
                start_new_session=True,
            )
        except OSError as error:
            raise EngineUnreachableError(
                f"cannot start an engine: {command[0]!r}: {error.strerror}"
            ) from error
        return cls(process, say)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def serving(self, patience: float) -> _Serving:
        """The child's first line; an error in one line if it ends or falls silent before."""
        self._patience = patience
        ended = asyncio.ensure_future(self._ended())
        either: list[asyncio.Future[Any]] = [ended, self._serving]
        try:
            async with asyncio.timeout(patience) as self._deadline:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise EngineUnreachableError(
                f"the engine started as process {self.pid} said nothing for {patience:g} s"
            ) from error
        finally:
            self._deadline = None
            ended.cancel()
        if not self._serving.done():
            raise _early_death(self._process.returncode or 0, self._tail)
        # From here on the child writes its log, which is nobody's progress.
        self._say = None
        return self._serving.result()

    async def wait(self) -> None:
        await self._process.wait()

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        for step in (self._process.terminate, self._process.kill):
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._process.wait()
                break
            with suppress(ProcessLookupError):
                step()
        await self._ended()
        for reader in self._readers:
            reader.cancel()

    async def _ended(self) -> None:
        """Until the process is gone and its last words are read."""
        await self._process.wait()
        # A grandchild may hold the pipes open for longer.
        await asyncio.wait(self._readers, timeout=STOP_TIMEOUT)

    async def _read(self, stream: asyncio.StreamReader | None, on_line: Say) -> None:
        """Feed each line, of bounded length, to ``on_line``; a progress bar's CR ends one too."""
        assert stream is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while chunk := await stream.read(64 * 1024):
            *lines, rest = re.split(r"[\r\n]", rest + decoder.decode(chunk))
            for line in filter(None, map(str.strip, lines)):
                on_line(line)
            rest = rest[: 16 * 1024]
        if rest.strip():
            on_line(rest.strip())

    def _on_output(self, line: str) -> None:
        if self._serving.done():
            return
        try:
            self._serving.set_result(msgspec.json.decode(line, type=_Serving))
        except (msgspec.DecodeError, RecursionError):
            self._on_progress(line)

    def _on_progress(self, line: str) -> None:
        line = "".join(char for char in line if char.isprintable())[:_MAX_LINE]
        self._tail.append(line)
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._patience)
        # An error is told once, by who started the child.
        if self._say is not None and not _ERROR.match(line):
            self._say(line)


def _early_death(status: int, tail: Sequence[str]) -> SparkError:
    """One line for a child that ended before it served; its exit status tells whose fault."""
    reasons = [found[1] for line in tail if (found := _ERROR.match(line))]
    last = tail[-1] if tail else f"exit status {status}, no message"
    reason = reasons[-1] if reasons else last
    if status == UsageError.exit_code and reasons:
        return UsageError(reason)
    if _WEIGHTS.search(reason):
        return WeightsError(reason)
    return EngineUnreachableError(f"the engine did not start: {reason}")


class LocalDialer:
    """Finds an engine on this machine or starts one, then reaches it as a URL.

    ``model`` is the model to find or to serve, ``api_key`` the key of an engine that was found; if
    it is the environment's, it is sent only to an engine that this user runs.
    ``args`` are further arguments of ``sparkcode serve``; with any, nothing is looked for, because
    an engine that runs already has its own. One that has died is replaced at the next
    :meth:`dial`. :meth:`close` stops what was started and nothing else.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        model: str = "",
        *,
        api_key: str = "",
        find: Callable[[str], Awaitable[str | None]] = find_local,
        start: Callable[[Sequence[str]], Awaitable[LocalEngine]] = start_engine,
    ) -> None:
        self._args = tuple(args)
        self._model = model
        self._api_key = api_key
        self._find = find
        self._start = start
        self._engine: LocalEngine | None = None
        self._closed = False

    async def dial(self) -> tuple[Transport, Peer]:
        if self._closed:
            raise EngineUnreachableError("the local engine was stopped")
        engine = self._engine
        if engine is None or not engine.alive:
            url = None if self._args else await self._find(self._model)
            if url is not None:
                return await self._reach_found(url)
            engine = await self._restart()
        transport, peer = await UrlDialer(engine.url, engine.key).dial()
        note = f"started here, process {engine.pid}"
        return transport, replace(peer, note=note)

    async def close(self) -> None:
        self._closed = True
        if self._engine is not None:
            await self._engine.close()

    async def _reach_found(self, url: str) -> tuple[Transport, Peer]:
        from_environment = self._api_key == os.environ.get(API_KEY_ENV, "")
        if not self._api_key or not from_environment or _is_ours(url):
            return await UrlDialer(url, self._api_key).dial()
        try:
            return await UrlDialer(url).dial()
        except KeyRefusedError as error:
            raise KeyRefusedError(
                f"the engine at {url} wants an API key; the one in {API_KEY_ENV} was not sent,"
                " because the engine is not known to be yours: pass it with --api-key if it is"
            ) from error

    async def _restart(self) -> LocalEngine:
        if self._engine is not None:
            await self._engine.close()
        named = [] if self._model in _ANY_MODEL else ["--model", self._model]
        engine = self._engine = await self._start([*named, *self._args])
        if self._closed:
            await engine.close()
            raise EngineUnreachableError("the local engine was stopped")
        return engine
