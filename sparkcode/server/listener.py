"""The listening socket and the HTTP server around the application.

The port is bound before the engine is loaded, so that a port in use is reported at once and not
after seconds of loading. It does not listen before the server can answer: clients take a refused
connection for "not yet", and an accepted one that stays silent for a broken server.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import uvicorn
from starlette.applications import Starlette

from sparkcode.errors import SparkError
from sparkcode.server.app import MAX_MESSAGE_BYTES
from sparkcode.server.auth import is_loopback
from sparkcode.server.patience import PatientProtocol

Result = TypeVar("Result")

GRACE_SECONDS: Final = 2
"""How long open connections may take to end after a stop."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. SparkError names what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is; with it
    # on, small frames wait 40 ms for the peer's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A port in TIME_WAIT is free; one that somebody listens on still is not.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
    except OSError as error:
        listening.close()
        raise _cannot_listen(f"{host}:{port}", error) from error
    return listening


def start_listening(bound: socket.socket) -> None:
    """Lets clients connect; SparkError if another process was faster on the same port."""
    try:
        bound.listen()
    except OSError as error:
        raise _cannot_listen("{}:{}".format(*bound.getsockname()[:2]), error) from error


def _cannot_listen(where: str, error: OSError) -> SparkError:
    reason = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        reason = "the port is in use; choose another with --port, or 0 for a free one"
    return SparkError(f"cannot listen on {where}: {reason}")


def base_url(listening: socket.socket) -> str:
    """The API's base URL at a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


class Listener(uvicorn.Server):
    """Serves ``app`` on a bound socket until :meth:`stop`; ``ready`` is called once it accepts.

    Signals are the caller's business: see :func:`stop_on_signals`.
    """

    def __init__(self, app: Starlette, listening: socket.socket, ready: Callable[[], None]) -> None:
        loopback = is_loopback(listening.getsockname()[0])
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE_BYTES,
                # On one machine compression only costs processor time.
                ws_per_message_deflate=not loopback,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._listening = listening
        self._ready = ready

    async def run_until_stopped(self) -> None:
        await self.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Ends gracefully: no new connections, open ones get :data:`GRACE_SECONDS`."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def run_server(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs ``main`` on the quickest event loop there is."""
    try:
        from uvloop import run
    except ImportError:
        return asyncio.run(main)
    return run(main)


@contextmanager
def stop_on_signals(listener: Listener) -> Iterator[list[int]]:
    """While entered, SIGINT and SIGTERM stop ``listener``; yields the list of those that came."""
    loop = asyncio.get_running_loop()
    came: list[int] = []

    def stop(number: int) -> None:
        if came:
            listener.force_exit = True
        came.append(number)
        listener.stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        yield came
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
