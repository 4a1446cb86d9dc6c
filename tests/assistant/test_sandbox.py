from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from sparkcode.assistant.sandbox import OUTPUT_BYTES, Limits, Outcome, network_prefix, run_limited

DEFAULT = Limits()


def python(code: str, folder: Path, limits: Limits = DEFAULT, *, network: bool = False) -> Outcome:
    return run_limited([sys.executable, "-c", code], folder, limits, network=network)


def test_what_a_program_printed_and_how_it_ended(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    found = python(code, tmp_path)
    assert (found.status, found.ok) == (3, False)
    assert sorted(found.output.split()) == ["err", "out"]
    assert python("", tmp_path) == Outcome(0, "")


def test_it_runs_in_its_folder_with_a_bare_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    code = "import os; print(os.getcwd(), os.environ['HOME'], 'OPENAI_API_KEY' in os.environ)"
    place = str(tmp_path.resolve())
    assert python(code, tmp_path).output.split() == [place, str(tmp_path), "False"]
    told = run_limited(["sh", "-c", "echo $A"], tmp_path, Limits(), environ={"A": "1"})
    assert told.output == "1\n"


def test_only_the_end_of_much_output_is_kept(tmp_path: Path) -> None:
    found = python("print('x' * 100_000 + 'end')", tmp_path)
    assert found.ok
    assert len(found.output) == OUTPUT_BYTES
    assert found.output.endswith("end\n")


def test_a_program_that_never_ends_is_stopped_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', "
        '\'import time; time.sleep(1); open("alive", "w")\']); time.sleep(60)'
    )
    found = python(code, tmp_path, Limits(seconds=0.5))
    assert found.status is None
    time.sleep(1.2)
    assert not (tmp_path / "alive").exists()


@pytest.mark.parametrize(
    "code",
    [
        "bytearray(1 << 30)",
        "open('large', 'wb').write(bytes(2 << 20))",
        "import os\nwhile True: os.getpid()",
    ],
    ids=["memory", "file", "processor"],
)
def test_more_than_is_allowed(tmp_path: Path, code: str) -> None:
    limits = Limits(seconds=1, memory_bytes=512 << 20, file_bytes=1 << 20)
    assert not python(code, tmp_path, limits).ok
    large = tmp_path / "large"
    assert not large.exists() or large.stat().st_size <= 1 << 20


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    found = run_limited(["no-such-program"], tmp_path, Limits())
    assert not found.ok
    assert "cannot run 'no-such-program': No such file" in found.output


def test_there_is_no_network_where_it_can_be_taken_away(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        assert python(code, tmp_path, network=True).ok
        assert python(code, tmp_path).ok == (network_prefix() == ())
