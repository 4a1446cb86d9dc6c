"""``serve --engine upstream``: its options, its key, and a server that comes late."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sparkcode.cli.gateway import Gateway, open_gateway
from sparkcode.cli.serve import serve as command
from sparkcode.clock import LoopClock
from sparkcode.errors import UsageError
from sparkcode.upstream.completions import ChatUpstream
from sparkcode.upstream.responses import ResponsesUpstream
from tests.cli.scripted import alone, invoke, serve
from tests.link.loopback import listening

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--engine", "upstream"], "needs --upstream URL"),
        (["--wire", "chat"], "need --upstream URL"),
        (["--upstream-timeout", "5"], "need --upstream URL"),
        (["--upstream", URL, "--engine", "spark"], "needs --engine upstream, not 'spark'"),
        (["--upstream", "ftp://x"], "'ftp://x' is no engine URL"),
        (["--upstream", URL, "--upstream-key-file", "absent"], "cannot be read"),
        (["--upstream", URL, "--upstream-key-file", "empty"], "holds no key"),
        (["--upstream", URL, "--upstream-key-file", "two"], "a key is one printable ASCII word"),
        (["--upstream", URL, "--upstream-key-file", "binary"], "cannot be read"),
        (["--upstream", URL, "--upstream-key-file", "big"], "holds no key"),
        (["--upstream", URL, "--script", "x"], "--script needs --engine scripted"),
    ],
)
def test_options_that_do_not_go_together(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(tmp_path, monkeypatch)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("sk-one sk-two\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "big").write_text("x" * 20_000)
    status, out, error = invoke(command, [*args, "--port", "0"])
    assert (status, out) == (2, "")
    assert said in error
    assert "sk-one" not in error


def opened(gateway: Gateway, **environ: str) -> Any:
    return open_gateway(gateway, "m", environ, LoopClock())


def test_each_wire_has_its_engine() -> None:
    assert isinstance(opened(Gateway(URL)), ResponsesUpstream)
    assert isinstance(opened(Gateway(URL, "responses")), ResponsesUpstream)
    assert isinstance(opened(Gateway(URL, "chat")), ChatUpstream)


async def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    seen: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())

    async with listening(handle) as port:
        path = tmp_path / "key"
        path.write_text("sk-file\n")
        url = f"http://127.0.0.1:{port}/v1"
        for gateway in (Gateway(url, "chat"), Gateway(url, "chat", path)):
            engine = open_gateway(
                gateway, "", {"SPARKCODE_UPSTREAM_API_KEY": "sk-env"}, LoopClock()
            )
            with pytest.raises(Exception, match="upstream"):
                await engine.meet()
            await engine.close()
    assert "authorization: bearer sk-env" in seen[0]
    assert "authorization: bearer sk-file" in seen[1]


def test_the_key_is_not_shown() -> None:
    with pytest.raises(UsageError) as raised:
        opened(Gateway(URL), SPARKCODE_UPSTREAM_API_KEY="sk one")
    assert "sk one" not in str(raised.value)
    engine = opened(Gateway(URL), SPARKCODE_UPSTREAM_API_KEY="sk-one")
    assert "sk-one" not in repr(engine._terms)


def post(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{url}/responses", json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_server_that_does_not_answer_is_an_error_of_each_request() -> None:
    with serve("--upstream", URL, "--wire", "chat", "--no-store") as url:
        status, body = post(url, {"input": "Hi"})
        assert status == 502
        assert body["error"]["code"] == "upstream_unreachable"
        assert body["error"]["message"].endswith("(refused)")
    with serve("--upstream", URL, "--model", "m", "--no-store") as url:
        assert post(url, {"input": "Hi"})[0] == 502
