from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sparkcode
from sparkcode.cli.main import COMMANDS, cli, main, with_default_command
from sparkcode.errors import (
    EngineUnreachableError,
    ExpectationError,
    SparkError,
    UsageError,
)


def run(*args: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit status of ``sparkcode ARGS`` in this process."""
    monkeypatch.setattr(sys, "argv", ["sparkcode", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    return code if isinstance(code, int) else 1


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ["screen"]),
        (["a.py", "b.py"], ["screen", "a.py", "b.py"]),
        (["--theme", "x", "a.py"], ["screen", "--theme", "x", "a.py"]),
        (["exec", "hi"], ["exec", "hi"]),
        (["--version"], ["--version"]),
        (["-h"], ["-h"]),
    ],
)
def test_paths_mean_the_screen(args: list[str], expected: list[str]) -> None:
    assert with_default_command(args) == expected


def test_version_and_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--version", monkeypatch=monkeypatch) == 0
    assert sparkcode.__version__ in capsys.readouterr().out
    assert run("--help", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS if name != "screen")
    assert "Examples" in shown


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--help", monkeypatch=monkeypatch) == 0
    assert "Usage: sparkcode" in capsys.readouterr().out


def raising(error: BaseException) -> Callable[..., None]:
    def invoke(*_: object, **__: object) -> None:
        raise error

    return invoke


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SparkError("gone wrong"), 1),
        (UsageError("no theme 'x'"), 2),
        (ExpectationError("1 of 2 failed"), 3),
        (EngineUnreachableError("nobody there"), 4),
        (OSError(5, "Input/output error"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "main", raising(error))
    assert run("exec", monkeypatch=monkeypatch) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err in ("", f"error: {error}\n")


def test_an_unknown_option_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("config", "show", "--frob", monkeypatch=monkeypatch) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "--frob" in shown
    assert "--help" in shown


def test_config_and_completion(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("config", "path", monkeypatch=monkeypatch) == 0
    assert "(absent)" in capsys.readouterr().out
    monkeypatch.setenv("SPARKCODE_THEME", "dusk")
    assert run("config", "show", "--json", monkeypatch=monkeypatch) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["theme"] == {"value": "dusk", "origin": "environment SPARKCODE_THEME"}
    assert run("config", "show", monkeypatch=monkeypatch) == 0
    assert 'theme = "dusk"' in capsys.readouterr().out
    assert run("completion", "zsh", monkeypatch=monkeypatch) == 0
    assert "_SPARKCODE_COMPLETE" in capsys.readouterr().out


def test_a_closed_pipe_is_no_traceback() -> None:
    shell = f"{sys.executable} -m sparkcode --help | true"
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, env=os.environ, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_full_output_is_one_line() -> None:
    shell = f"{sys.executable} -m sparkcode --help > /dev/full"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "sparkcode", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sparkcode.__version__ in done.stdout
