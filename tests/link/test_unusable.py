"""URLs and proxies that can be written but not used: one line, whichever library trips first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from sparkcode.errors import EngineUnreachableError, SparkError
from sparkcode.link.dialer import UrlDialer
from sparkcode.link.sse import connect_sse
from sparkcode.link.transport import Endpoint, UpgradeRefusedError, base_url
from sparkcode.link.websocket import connect_websocket

Connect = Callable[[Endpoint], Awaitable[object]]

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
ELSEWHERE = "http://host.invalid/v1"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def refused(connect: Connect, url: str) -> str:
    """The message; what it is about must not be mistaken for a server that wants HTTP."""
    with pytest.raises(EngineUnreachableError) as caught:
        await connect(Endpoint(base_url(url), timeout=1))
    assert not isinstance(caught.value, UpgradeRefusedError)
    message = str(caught.value)
    assert message.startswith("no engine answers at ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("connect", [connect_websocket, connect_sse])
@pytest.mark.parametrize(
    "url",
    [
        "http://a..b",
        "https://a..b",
        "http://.",
        "http://" + "a" * 70,
        "http://xn--",
        "http://10.0.0.999",
        "http://a%00b",
        "http://[fe80::1%25none]",
    ],
)
async def test_a_host_that_cannot_be_is_one_line(connect: Connect, url: str) -> None:
    await refused(connect, url)


@pytest.mark.parametrize("connect", [connect_websocket, connect_sse])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("HTTP_PROXY", "socks5h://127.0.0.1:9"),
        ("HTTP_PROXY", "socks4://127.0.0.1:9"),
        ("HTTP_PROXY", "garbage://x"),
        ("HTTP_PROXY", "http://"),
        ("HTTP_PROXY", "://"),
        ("HTTP_PROXY", "http://[::1"),
        ("HTTP_PROXY", "http://127.0.0.1:port"),
        ("HTTP_PROXY", "http://127.0.0.1:99999"),
        ("HTTP_PROXY", "http://a..b"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("NO_PROXY", "[::"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ],
)
async def test_an_environment_that_cannot_be_used_is_one_line(
    connect: Connect, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    await refused(connect, ELSEWHERE)


@pytest.mark.parametrize("value", ["garbage://me:hunter2@x", "http://me:hunter2@127.0.0.1:9"])
@pytest.mark.parametrize("connect", [connect_websocket, connect_sse])
async def test_a_proxys_password_is_not_shown(
    connect: Connect, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    assert "hunter2" not in await refused(connect, ELSEWHERE)


async def test_the_dialer_passes_on_either_as_an_error_of_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SparkError, match=r"a\.\.b/v1 \(no valid name of a host\)"):
        await UrlDialer("http://a..b").dial()
    monkeypatch.setenv("HTTP_PROXY", "garbage://x")
    with pytest.raises(SparkError, match="proxy of the environment: scheme garbage"):
        await UrlDialer(ELSEWHERE).dial()
