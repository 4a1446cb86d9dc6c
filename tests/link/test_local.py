"""Finding an engine on this machine, starting one, and not leaving one behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkcode.errors import EngineUnreachableError, SparkError, UsageError, WeightsError
from sparkcode.link import local
from sparkcode.link.local import (
    LocalDialer,
    LocalEngine,
    find_local,
    serve_command,
    start_engine,
)
from tests.link.loopback import Handle, listening

ERROR = re.compile("(sparkcode: )?error:", re.IGNORECASE)
STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in_engine.py"))]


def stand_in(mode: str) -> list[str]:
    return [*STAND_IN, mode]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def is_gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


# --- finding --------------------------------------------------------------------------------


def answering(body: bytes, *, silent: bool = False) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if silent:
            await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)

    return handle


SPARK = b'{"status":"ok","server":"sparkcode","model":"qwen","pid":1}'


@pytest.mark.parametrize(
    ("body", "model", "found"),
    [
        (SPARK, "", True),
        (SPARK, "spark", True),
        (SPARK, "qwen", True),
        (SPARK, "other", False),
        (b'{"status":"ok"}', "", False),
        (b"[]", "", False),
        (b"no json", "", False),
        (b"\xff", "", False),
        (b'{"server":"sparkcode","a":' + b"[" * 20_000, "", False),
        (b"", "", False),
    ],
)
async def test_only_a_spark_engine_with_the_model_is_found(
    body: bytes, model: str, found: bool
) -> None:
    async with listening(answering(body)) as port:
        url = await find_local(model, port=port)
    assert url == (f"http://127.0.0.1:{port}/v1" if found else None)


async def test_a_free_port_and_a_silent_server_are_no_engine() -> None:
    async with listening(answering(SPARK, silent=True)) as port:
        started = time.monotonic()
        assert await find_local(port=port, patience=0.05) is None
        assert time.monotonic() - started < 1
    assert await find_local(port=port) is None


# --- starting -------------------------------------------------------------------------------


async def test_a_started_engine_answers_and_ends_when_closed() -> None:
    engine = await start_engine(["one", "two"], command=stand_in("serve"))
    assert (engine.engine, engine.model, engine.alive) == ("stand-in", "m", True)
    assert engine.url.startswith("http://127.0.0.1:")
    assert len(engine.key) >= 32
    await engine.close()
    await engine.close()
    assert not engine.alive
    assert not alive(engine.pid)


async def test_an_engine_that_ignores_its_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT", 0.1)
    engine = await start_engine(command=stand_in("deaf"))
    await engine.close()
    assert not alive(engine.pid)


async def test_progress_is_passed_on_and_keeps_the_start_alive() -> None:
    said: list[str] = []
    engine = await start_engine(command=stand_in("slow"), say=said.append, patience=2)
    await engine.close()
    assert said[:2] == ["packing 0 %", "packing 20 %"]
    # Once it serves, what it says is its log.
    assert said[-1] in ("[32mpacked[0m", "[not the line that is waited for]")


async def test_an_engine_that_stays_silent_is_given_up() -> None:
    with pytest.raises(EngineUnreachableError, match=r"said nothing for 0\.3 s"):
        await start_engine(command=stand_in("silent"), patience=0.3)


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (
            ["loading", "error: port 8900 is in use", "bye", "1"],
            EngineUnreachableError,
            "the engine did not start: port 8900 is in use",
        ),
        (
            [
                "error: first",
                "sparkcode: error: no weights for 'x'; run sparkcode models pull",
                "1",
            ],
            WeightsError,
            "no weights for 'x'; run sparkcode models pull",
        ),
        (["Usage: ...", "Error: no chip 'x'", "2"], UsageError, "no chip 'x'"),
        (
            ["Traceback", "KeyError: 3", "1"],
            EngineUnreachableError,
            "the engine did not start: KeyError: 3",
        ),
        (
            ["3"],
            EngineUnreachableError,
            "the engine did not start: exit status 3, no message",
        ),
    ],
)
async def test_an_early_death_is_told_in_one_line(
    words: Sequence[str], kind: type[SparkError], message: str
) -> None:
    said: list[str] = []
    with pytest.raises(kind) as caught:
        await start_engine(words, command=stand_in("die"), say=said.append)
    assert str(caught.value) == message
    # Its errors are not told twice.
    assert said == [line for line in words[:-1] if not ERROR.match(line)]


async def test_a_program_that_cannot_be_started_is_named() -> None:
    with pytest.raises(EngineUnreachableError, match=r"cannot start an engine: '/no/such'"):
        await start_engine(command=["/no/such"])


def test_the_engine_is_this_programs_own_server() -> None:
    command = serve_command()
    assert command[:4] == [sys.executable, "-m", "sparkcode", "serve"]
    assert command[4:] == ["--port", "0", "--exit-with-stdin"]


OWNER = """
import asyncio, sys
from sparkcode.link.local import start_engine

async def main():
    engine = await start_engine(command=sys.argv[1:])
    print(engine.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_engine_does_not_outlive_an_owner_that_is_killed() -> None:
    owner = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", OWNER, *stand_in("serve")], stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await asyncio.wait_for(owner.stdout.readline(), 20))
    assert alive(pid)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    # That it goes is tested, not how fast a loaded machine sees it go.
    assert await is_gone(pid, 20)


# --- the dialer -----------------------------------------------------------------------------


class Starter:
    """Starts stand-ins and counts them."""

    def __init__(self) -> None:
        self.engines: list[LocalEngine] = []

    async def __call__(self, args: Sequence[str]) -> LocalEngine:
        self.engines.append(await start_engine(args, command=stand_in("serve")))
        return self.engines[-1]


async def nothing(model: str) -> str | None:
    return None


async def test_without_an_engine_one_is_started_once() -> None:
    start = Starter()
    dialer = LocalDialer(["--chip", "wse3"], "qwen", start=start)
    for _ in range(2):
        transport, peer = await dialer.dial()
        assert await anext(transport.frames()) == "--model qwen --chip wse3"
        assert peer.kind == "websocket"
        assert peer.note == f"started here, process {start.engines[0].pid}"
        await transport.close()
    assert len(start.engines) == 1
    await dialer.close()
    assert not start.engines[0].alive
    with pytest.raises(EngineUnreachableError, match="was stopped"):
        await dialer.dial()


async def test_an_engine_that_died_is_replaced() -> None:
    start = Starter()
    dialer = LocalDialer(model="spark", find=nothing, start=start)
    transport, _ = await dialer.dial()
    await transport.close()
    os.kill(start.engines[0].pid, signal.SIGKILL)
    assert await is_gone(start.engines[0].pid, 2)
    # The event loop hears of it a little later.
    await start.engines[0].wait()
    transport, _ = await dialer.dial()
    await transport.close()
    await dialer.close()
    assert len(start.engines) == 2


async def test_an_engine_that_runs_already_is_used_and_left_alone() -> None:
    engine = await start_engine(["found"], command=stand_in("serve"))
    asked: list[str] = []

    async def find(model: str) -> str | None:
        asked.append(model)
        return engine.url

    dialer = LocalDialer(model="qwen", find=find)
    transport, peer = await dialer.dial()
    assert await anext(transport.frames()) == "found"
    assert (asked, peer.note) == (["qwen"], "")
    await transport.close()
    await dialer.close()
    assert engine.alive
    await engine.close()


async def test_closing_while_an_engine_starts_stops_it_too() -> None:
    start = Starter()
    dialer = LocalDialer(find=nothing, start=start)
    dialing = asyncio.create_task(dialer.dial())
    await asyncio.sleep(0)
    await dialer.close()
    with pytest.raises(EngineUnreachableError, match="was stopped"):
        await dialing
    assert not start.engines[0].alive
