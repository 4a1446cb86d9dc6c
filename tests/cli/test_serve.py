from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from sparkcode.cli.serve import serve
from sparkcode.errors import SparkError, UsageError

COMMAND = [sys.executable, "-m", "sparkcode", "serve", "--engine", "scripted", "--port", "0"]


@contextmanager
def served(*extra: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A server in a process of its own and its first line; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, *extra],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_it_says_where_it_serves_and_answers_from_its_script(tmp_path: Path) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"match": "hello", "reply": "hi there", "ttft": 0}\n')
    with served("--script", str(script), SPARKCODE_API_KEY="k") as (process, line):
        assert line["type"] == "serving"
        assert (line["engine"], line["model"], line["pid"]) == ("scripted", "scripted", process.pid)
        answer = httpx.post(
            f"{line['url']}/responses",
            json={"input": "hello"},
            headers={"Authorization": "Bearer k"},
            trust_env=False,
        )
        assert answer.json()["output"][0]["content"][0]["text"] == "hi there"
        assert httpx.get(f"{line['url']}/models", trust_env=False).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("how", ["stdin", "sigterm"])
def test_it_stops_with_its_owner(how: str) -> None:
    with served("--exit-with-stdin") as (process, _):
        if how == "stdin":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.terminate()
        assert process.wait(10) == 0


def test_a_response_that_is_to_be_kept_outlives_the_server(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}

    def asked(line: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"input": "hello", **more}
        answer = httpx.post(f"{line['url']}/responses", json=body, trust_env=False).json()
        assert isinstance(answer, dict)
        return answer

    with served(**state) as (process, line):
        kept, passing = asked(line), asked(line, store=False)
        process.terminate()
        process.wait(10)
    with served(**state) as (process, line):
        url = f"{line['url']}/responses"
        assert httpx.get(f"{url}/{kept['id']}", trust_env=False).json()["output"] == kept["output"]
        assert httpx.get(f"{url}/{passing['id']}", trust_env=False).status_code == 404
        following = asked(line, previous_response_id=kept["id"])
        assert following["status"] == "completed"
        assert httpx.delete(f"{url}/{kept['id']}", trust_env=False).json()["deleted"] is True
        process.terminate()
        process.wait(10)
    with served("--no-store", **state) as (_, line):
        url = f"{line['url']}/responses"
        for name in (kept["id"], following["id"]):
            assert httpx.get(f"{url}/{name}", trust_env=False).status_code == 404


def test_nothing_is_written_where_nothing_is_to_be_kept(tmp_path: Path) -> None:
    cases: list[tuple[list[str], dict[str, Any]]] = [(["--no-store"], {}), ([], {"store": False})]
    for flags, more in cases:
        with served(*flags, XDG_STATE_HOME=str(tmp_path)) as (process, line):
            body = {"input": "hello", **more}
            httpx.post(f"{line['url']}/responses", json=body, trust_env=False)
            process.terminate()
            process.wait(10)
    assert list(tmp_path.iterdir()) == []


def invoke(*args: str) -> None:
    CliRunner().invoke(serve, args, catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--engine", "scripted", "--chip", "abacus"], "'abacus'"),
        (["--engine", "scripted", "--profile", "nope"], "'nope'"),
        (["--engine", "spark", "--script", "x"], "--script needs --engine scripted"),
        (["--engine", "scripted", "--host", "0.0.0.0"], "needs --api-key"),
    ],
)
def test_options_that_do_not_go_together(args: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        invoke(*args)


@pytest.mark.parametrize(("name", "value"), [("ENGINE", "magic"), ("PACE", "slow")])
def test_settings_from_elsewhere_are_checked_too(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SPARKCODE_{name}", value)
    with pytest.raises(UsageError, match=f"unknown {name.lower()} '{value}'"):
        invoke()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SparkError, match=f"127.0.0.1:{port}: the port is in use"):
            invoke("--engine", "scripted", "--port", str(port))


def test_only_a_simulated_pace_can_be_dilated() -> None:
    with pytest.raises(UsageError, match="--time-dilation 10 needs --pace sim, not 'live'"):
        invoke("--time-dilation", "10", "--pace", "live", "--engine", "scripted")
