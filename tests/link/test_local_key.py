"""Who gets the key of the environment: no listener but one of the same user."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from sparkcode.config import API_KEY_ENV
from sparkcode.errors import EngineUnreachableError
from sparkcode.link import local
from sparkcode.link.local import LocalDialer, listens_for_us

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  inode\n"
KEY = "sk-of-the-environment"
PORT = 8900


def row(address: str, port: int, uid: int, state: str = "0A") -> str:
    return (
        f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000"
        f" 00000000 {uid:5} 0 190999 1 00000000e92cb1df 100 0 0 10 0\n"
    )


V4 = "0100007F"
ANY = "00000000"
ANY_V6 = "0" * 32


@pytest.mark.parametrize(
    ("tables", "ours"),
    [
        ([], False),
        ([""], False),
        ([HEAD], False),
        ([HEAD + row(V4, PORT, 1000)], True),
        ([HEAD + row(ANY, PORT, 1000)], True),
        ([HEAD, HEAD + row(ANY_V6, PORT, 1000)], True),
        ([HEAD + row(V4, PORT, 1000) + row(V4, 22, 0)], True),
        ([HEAD + row(V4, PORT, 1001)], False),
        ([HEAD + row(V4, PORT, 0)], False),
        ([HEAD + row(V4, PORT, 1000) + row(ANY, PORT, 1001)], False),
        ([HEAD + row(V4, PORT, 1000), HEAD + row(ANY_V6, PORT, 1001)], False),
        ([HEAD + row(V4, PORT, 1000, state="01")], False),
        ([HEAD + row(V4, PORT + 1, 1000)], False),
        ([HEAD + "\n  torn\n"], False),
    ],
)
def test_a_listener_is_ours_if_every_one_on_the_port_is(tables: list[str], ours: bool) -> None:
    assert listens_for_us(tables, PORT, 1000) is ours


@asynccontextmanager
async def engine(keys: list[str | None], *, wants: bool = False) -> AsyncIterator[str]:
    """An engine that notes the keys it is sent; its base URL."""

    async def idle(connection: ServerConnection) -> None:
        await connection.wait_closed()

    def note(connection: ServerConnection, request: Request) -> Response | None:
        keys.append(request.headers.get("Authorization"))
        if wants and keys[-1] is None:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        return None

    async with serve(idle, "127.0.0.1", 0, process_request=note) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"


def socket_table(path: Path, url: str, uid: int) -> tuple[Path, ...]:
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    path.write_text(HEAD + row(V4, port, uid))
    return path, path.with_name("absent")


def finder(url: str, key: str) -> LocalDialer:
    async def find(_: str) -> str | None:
        return url

    return LocalDialer(api_key=key, find=find)


@pytest.mark.parametrize(
    ("environment", "key", "foreign", "sent"),
    [
        (KEY, KEY, 0, f"Bearer {KEY}"),
        (KEY, KEY, 1, None),
        (KEY, "sk-given", 1, "Bearer sk-given"),
        ("", "sk-given", 1, "Bearer sk-given"),
        ("", "", 1, None),
    ],
    ids=["own", "foreign", "given beside", "given", "none"],
)
async def test_the_key_of_the_environment_is_for_an_own_engine(
    environment: str,
    key: str,
    foreign: int,
    sent: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(API_KEY_ENV, environment)
    keys: list[str | None] = []
    async with engine(keys) as url:
        table = socket_table(tmp_path / "tcp", url, os.getuid() + foreign)
        monkeypatch.setattr(local, "_SOCKET_TABLES", table)
        transport, _ = await finder(url, key).dial()
        await transport.close()
    assert keys == [sent]


async def test_where_the_system_does_not_tell_the_key_stays_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY_ENV, KEY)
    monkeypatch.setattr(local, "_SOCKET_TABLES", (tmp_path / "absent",))
    keys: list[str | None] = []
    async with engine(keys, wants=True) as url:
        with pytest.raises(EngineUnreachableError, match=r"was not sent, .* --api-key if it is"):
            await finder(url, KEY).dial()
    assert keys == [None]
    with pytest.raises(EngineUnreachableError, match="no engine answers"):
        await finder(url, KEY).dial()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not tell")
async def test_the_systems_own_table_knows_our_listener() -> None:
    async with engine([]) as url:
        assert local._is_ours(url)
    assert not local._is_ours(url)
