"""``sparkcode serve``: an engine for any client of the Responses API."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import platformdirs

from sparkcode.cli.gateway import Gateway, gateway_of, open_gateway, upstream_options
from sparkcode.cli.turn_options import Number
from sparkcode.clock import LoopClock
from sparkcode.config import (
    API_KEY_ENV,
    DEFAULT_PORT,
    Config,
    config_files,
    load_config,
)
from sparkcode.errors import EngineError, UsageError

if TYPE_CHECKING:
    import socket

    from sparkcode.cli.gateway import Upstream
    from sparkcode.engine.base import Engine
    from sparkcode.server.auth import Gate
    from sparkcode.server.shelf import Shelf
    from sparkcode.wafer.pacer import PaceMode

ORPHAN_SECONDS = 0.5
"""How long a server whose owner is gone may take to end."""

ENGINES = ("spark", "scripted", "upstream")
PACES = ("live", "sim", "max")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the command line says of the server itself."""

    host: str
    port: int
    api_key: str
    threads: int | None
    store: Path | None
    """Where responses are kept; None for nowhere."""
    gateway: Gateway | None = None
    dilation: float = 1.0
    """Seconds here for a simulated one."""


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="0 takes a free one.",
)
@click.option("--model", metavar="NAME|PATH", help="A known model or a GGUF file.")
@click.option("--engine", type=click.Choice(ENGINES), help="Who makes the tokens.")
@click.option(
    "--script",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What the scripted engine answers (JSON lines).",
)
@click.option(
    "--pace",
    type=click.Choice(PACES),
    help="live: as computed (default of spark); sim: as the simulated chip (default of "
    "scripted); max: as computed, a delta a token.",
)
@click.option(
    "--time-dilation",
    "dilation",
    type=Number(0.01, 10_000.0),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Of --pace sim: seconds here for a simulated one.",
)
@click.option("--chip", metavar="NAME|FILE", help="Simulated chip.")
@click.option("--profile", metavar="NAME|FILE", help="Simulated model shape.")
@click.option("--threads", type=click.IntRange(1, 256), help="Default: one a processor, 8 at most.")
@click.option("--api-key", default="", envvar=API_KEY_ENV, help=f"Also from {API_KEY_ENV}.")
@upstream_options
@click.option("--exit-with-stdin", is_flag=True, help="Stop when standard input ends.")
@click.option("--no-store", is_flag=True, help="Keep no responses on disk.")
@click.option(
    "--print-codex-config", is_flag=True, help="Print config.toml lines for Codex CLI, and end."
)
def serve(
    host: str,
    port: int,
    api_key: str,
    script: Path | None,
    threads: int | None,
    **flags: Any,
) -> int:
    """Serve an engine over the Responses API: WebSocket and HTTP on one port.

    \b
    The first line on stdout says where, once connections are accepted:
      {"type": "serving", "url": "http://127.0.0.1:8900/v1", "engine": "spark",
       "model": "qwen2.5-coder-1.5b", "pid": 4711}
    """
    exit_with_stdin = flags.pop("exit_with_stdin")
    if flags.pop("print_codex_config"):
        from sparkcode.cli.codex import config_text

        click.echo(config_text(host, port or DEFAULT_PORT, needs_key=api_key != ""))
        return 0
    no_store, gateway = flags.pop("no_store"), gateway_of(flags)
    dilation = flags.pop("dilation")
    files = config_files(Path.cwd())
    config, _ = load_config(files, os.environ, flags)
    _check(config, script, gateway)
    if dilation != 1.0 and _pace(config) != "sim":
        raise UsageError(f"--time-dilation {dilation:g} needs --pace sim, not {_pace(config)!r}")
    if exit_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    store = None if no_store else store_path()
    terms = Terms(host, port, api_key, threads, store, gateway, dilation)
    return _serve(config, terms, script)


def store_path() -> Path:
    """The file of the responses that clients want kept."""
    return platformdirs.user_state_path("sparkcode") / "responses.sqlite"


def _serve(config: Config, terms: Terms, script: Path | None) -> int:
    from sparkcode.server.auth import gate_for
    from sparkcode.server.listener import bind, run_server, start_listening
    from sparkcode.server.shelf import Shelf

    gate = gate_for(terms.host, terms.api_key)
    with bind(terms.host, terms.port) as listening:
        upstream = None
        if terms.gateway is not None:
            upstream = open_gateway(terms.gateway, config.model, os.environ, LoopClock())
        engine = upstream or _engine(config, script, terms.threads)
        start_listening(listening)
        # Nothing is opened before there is something to keep.
        shelf = None if terms.store is None else Shelf(terms.store, time.time)
        try:
            served = Hubbed(engine, upstream, _pace(config), terms.dilation)
            came = run_server(_run(served, gate, listening, shelf))
        finally:
            if shelf is not None:
                shelf.close()
    return 128 + signal.SIGINT if signal.SIGINT in came else 0


def _pace(config: Config) -> PaceMode:
    return cast("PaceMode", config.pace or ("sim" if config.engine == "scripted" else "live"))


@dataclass(frozen=True, slots=True)
class Hubbed:
    """Who makes the answers, and by what they are released."""

    engine: Engine | Upstream
    upstream: Upstream | None
    pace: PaceMode
    dilation: float


async def _run(
    served: Hubbed, gate: Gate, listening: socket.socket, shelf: Shelf | None
) -> list[int]:
    from sparkcode.server.app import create_app
    from sparkcode.server.hub import SWITCH_INTERVAL_SECONDS, Hub, WorkerThread, run_inline
    from sparkcode.server.listener import Listener, base_url, stop_on_signals
    from sparkcode.server.service import Service
    from sparkcode.server.store import ResponseStore

    engine, upstream = served.engine, served.upstream

    def announce() -> None:
        line = {
            "type": "serving",
            "url": base_url(listening),
            "engine": engine.info.engine,
            "model": engine.info.model,
            "pid": os.getpid(),
        }
        click.echo(json.dumps(line))

    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    worker = WorkerThread()
    try:
        if upstream is not None:
            await _meet(upstream)
        # An engine that waits has steps of its own; one whose steps cost no time needs no thread.
        computes = engine.info.engine == "spark"
        run_step = None if upstream is not None else worker if computes else run_inline
        hub = Hub(
            engine,
            pace=served.pace,
            clock=LoopClock(),
            run_step=run_step,
            dilation=served.dilation,
        )
        service = Service(hub, time.time, responses=ResponseStore(keeper=shelf))
        app = create_app(service, gate)
        listener = Listener(app, listening, announce)
        with stop_on_signals(listener) as came:
            await listener.run_until_stopped()
        return came
    finally:
        worker.close()
        if upstream is not None:
            await upstream.close()


def _check(config: Config, script: Path | None, gateway: Gateway | None) -> None:
    """UsageError for options that do not go together, before anything takes time."""
    if config.engine not in ENGINES:
        raise UsageError(f"unknown engine {config.engine!r}; expected one of {', '.join(ENGINES)}")
    if config.pace and config.pace not in PACES:
        raise UsageError(f"unknown pace {config.pace!r}; expected one of {', '.join(PACES)}")
    if script is not None and config.engine != "scripted":
        raise UsageError(f"--script needs --engine scripted, not {config.engine!r}")
    if config.engine == "upstream" and gateway is None:
        raise UsageError("--engine upstream needs --upstream URL, the server to ask")


async def _meet(upstream: Upstream) -> None:
    """Asks what is behind the gateway, so that the first line can say it."""
    try:
        await upstream.meet()
    except EngineError as error:
        _say(f"{error}; it is asked again with the first request")


def _engine(config: Config, script: Path | None, threads: int | None) -> Engine:
    from sparkcode.wafer.profile import load_profile

    profile = load_profile(config.chip, config.profile)
    if config.engine == "scripted":
        from sparkcode.engine.scripted import ScriptedEngine

        return ScriptedEngine.from_file(script)
    # Read when NumPy is first imported: idle BLAS threads sleep instead of spinning, which on a
    # machine with other work to do makes decoding several times faster (sparkcode.model.ops).
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    from sparkcode.engine.spark import SparkEngine
    from sparkcode.model.catalogue import DEFAULT_MODEL

    return SparkEngine.load(config.model or DEFAULT_MODEL, profile, _say, threads=threads)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _stop_at_end_of_stdin() -> None:
    """Whoever holds the other end is gone: stop as for SIGTERM, also while the engine loads."""
    # Not through sys.stdin: a thread that waits inside it holds a lock that the exit needs.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    # Nobody is left to wait for: an orderly end that takes longer is cut short.
    time.sleep(ORPHAN_SECONDS)
    os._exit(128 + signal.SIGTERM)
