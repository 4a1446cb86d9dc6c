from __future__ import annotations

import errno
import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path

import pytest
from textual.pilot import Pilot

from sparkcode.cli.main import main
from sparkcode.link.tape import read_tape
from sparkcode.replay.runner import WatchedApp


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sparkcode", "record", *map(str, args)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def test_the_name_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "calc.py") == 2
    assert "ends in .sparklog" in capsys.readouterr().err


def test_an_existing_recording_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = tmp_path / "a.sparklog"
    tape.write_text("precious")
    assert run(monkeypatch, tape) == 2
    assert "--force" in capsys.readouterr().err
    assert tape.read_text() == "precious"


def test_without_a_terminal_nothing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path / "a.sparklog") == 2
    assert "terminal" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_takes_what_the_screen_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    for option in ("--url", "--model", "--api-key", "--theme", "--engine", "--script", "--force"):
        assert option in text


async def leave(pilot: Pilot[None]) -> None:
    """A user who types a little and goes."""
    await pilot.press("h", "i", "ctrl+q")


HEADLESS = partialmethod(WatchedApp.run_async, headless=True, auto_pilot=leave)


@contextmanager
def terminal_streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard streams that are a terminal of 90x28 cells, on which nobody types."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (28, 90))
    with (
        open(slave, encoding="utf-8") as entered,
        open(os.dup(slave), "w", encoding="utf-8") as shown,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", entered)
        patch.setattr(sys, "stdout", shown)
        patch.setattr(WatchedApp, "run_async", HEADLESS)
        yield
    os.close(master)


def test_a_session_without_an_engine_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calc.py").write_text("a = 1\n")
    monkeypatch.chdir(tmp_path)
    url = "http://127.0.0.1:1/v1"
    with terminal_streams(monkeypatch):
        assert run(monkeypatch, "a.sparklog", "calc.py", "--url", url, "--api-key", "") == 0
    tape = read_tape(tmp_path / "a.sparklog")
    assert tape.header.size == (90, 28)
    assert tape.header.extra["files"] == {"calc.py": "a = 1\n"}
    assert [r.data for r in tape.records if r.code == "i"] == ["h", "i", "ctrl+q"]


def test_a_full_disk_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(descriptor: int, mode: str) -> Full:
        os.close(descriptor)
        return Full()

    monkeypatch.setattr("sparkcode.link.tape.os.fdopen", opened)
    with terminal_streams(monkeypatch):
        assert run(monkeypatch, "a.sparklog", "--url", "http://127.0.0.1:1/v1") == 0
    assert "recording stopped: No space left on device" in capfd.readouterr().err


class Terminal:
    """A real pseudo-terminal with a recording screen in it."""

    def __init__(self, folder: Path, *args: str) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.output = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sparkcode", "record", *args],
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
        )
        os.close(slave)

    def read_until(self, text: bytes, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < deadline, self.output[-2000:]
            self._read()

    def _read(self) -> None:
        if select.select([self._master], [], [], 0.1)[0]:
            try:
                self.output += os.read(self._master, 65536)
            except OSError:
                time.sleep(0.05)

    def write(self, data: bytes) -> None:
        os.write(self._master, data)

    def wait(self, seconds: float = 60.0) -> tuple[int, bytes]:
        """Exit status and standard error; reads on meanwhile, so that nobody blocks."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.output[-2000:]
            self._read()
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            error = stream.read()
        os.close(self._master)
        return self.process.returncode, error


def test_a_session_in_a_real_terminal_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"match": "greet", "reply": "Hello, recorder."}\n')
    secret = "sk-this-must-not-be-on-the-tape"
    args = ("--engine", "scripted", "--script", "e.jsonl", "--api-key", secret)
    terminal = Terminal(tmp_path, "a.sparklog", *args)
    terminal.read_until(b"ready")
    terminal.write(b"greet me")
    terminal.write(b"\r")
    terminal.read_until(b"recorder")
    terminal.write(b"\x11")
    status, error = terminal.wait()
    assert (status, error) == (0, b"")

    tape = read_tape(tmp_path / "a.sparklog")
    text = (tmp_path / "a.sparklog").read_text()
    assert [r.data for r in tape.records if r.code == "i"] == [*"greet me", "enter", "ctrl+q"]
    assert tape.records[-1].code == "x"
    assert secret not in text
    assert "Hello" in text
    assert (tmp_path / "a.sparklog").stat().st_mode & 0o077 == 0


def test_a_terminated_recording_has_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.sparklog").write_text("old")
    terminal = Terminal(tmp_path, "a.sparklog", "--force", "--engine", "scripted")
    terminal.read_until(b"ready")
    terminal.process.send_signal(signal.SIGTERM)
    status, _ = terminal.wait()
    assert status == 128 + signal.SIGTERM
    last = read_tape(tmp_path / "a.sparklog").records[-1]
    assert (last.code, last.data) == ("x", str(128 + signal.SIGTERM))
