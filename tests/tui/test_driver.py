"""The driver and the whole program on a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.message import Message

from sparkcode.tui.driver import HUNG_UP, Paper, QuickEscapeDriver

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
os.environ["ESCDELAY"] = "25"
from textual.app import App
from sparkcode.tui.driver import QuickEscapeDriver

class Probe(App):
    def on_mount(self):
        print("ready", file=sys.__stdout__, flush=True)
    def on_key(self, event):
        self.seen = [*getattr(self, "seen", []), event.key]
        if event.key == "q":
            self.exit(self.seen)

print(Probe(driver_class=QuickEscapeDriver).run())
"""


class Terminal:
    """The far end of a pseudo-terminal on which a program runs."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.output = b""

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def wait_for(self, pattern: bytes, seconds: float = 30) -> float:
        """Read until ``pattern`` came; the seconds that it took."""
        start = time.monotonic()
        while not re.search(pattern, self.output):
            assert time.monotonic() - start < seconds, self.output[-2000:]
            self.read(0.05)
        return time.monotonic() - start

    def read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.output += os.read(self.master, 65536)
            except OSError:
                time.sleep(seconds)

    def end(self, seconds: float = 30) -> int:
        start = time.monotonic()
        while self.process.poll() is None:
            assert time.monotonic() - start < seconds
            self.read(0.05)
        self.read(0.1)
        return self.process.returncode


@contextmanager
def terminal(*command: str, cwd: Path | None = None) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env, start_new_session=True
    ) as process:
        os.close(slave)
        screen = Terminal(master, process)
        try:
            yield screen
        finally:
            process.kill()
            os.close(screen.master)


def test_a_lone_escape_and_an_arrow_are_told_apart() -> None:
    with terminal(sys.executable, "-c", PROGRAM) as screen:
        screen.wait_for(b"ready")
        screen.send(b"\x1b")
        time.sleep(0.3)
        screen.send(b"\x1b[A")
        time.sleep(0.1)
        screen.send(b"q")
        assert screen.end() == 0
        assert b"['escape', 'up', 'q']" in screen.output


class Listener(QuickEscapeDriver):
    """Keeps the keys that it reads instead of handing them to an app."""

    keys: list[str]

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Key):
            self.keys.append(message.key)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Listener, int]]:
    """A driver on a pseudo-terminal, and the end of it where keys are pressed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open(slave) as near, open(os.devnull, "w") as null:
        monkeypatch.setattr(sys, "__stdin__", near)
        monkeypatch.setattr(sys, "__stdout__", near)
        monkeypatch.setattr(sys, "__stderr__", null)

        async def make() -> Listener:
            return Listener(App())

        driver = asyncio.run(make())
        driver.keys = []
        assert driver._file
        assert driver._file.fileno() == near.fileno()
        yield driver, master
        os.close(master)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_keys_are_read_on_the_input_thread(listener: tuple[Listener, int]) -> None:
    driver, master = listener
    thread = threading.Thread(target=driver.run_input_thread)
    thread.start()
    for data in (b"a", b"\x1b[B", b"\x1b"):
        os.write(master, data)
        time.sleep(0.05)
    time.sleep(0.4)
    driver.exit_event.set()
    thread.join(5)
    assert driver.keys == ["a", "down", "escape"]


@pytest.mark.parametrize("gone", ["end of file", "error"])
def test_a_hang_up_ends_the_reader_and_leaves_the_screen(
    monkeypatch: pytest.MonkeyPatch, listener: tuple[Listener, int], gone: str
) -> None:
    driver, _ = listener
    asked: list[object] = []
    monkeypatch.setattr(driver._app, "call_later", lambda *call, **how: asked.append((call, how)))
    reader, writer = os.pipe()
    os.close(writer)
    driver.fileno = reader
    if gone == "error":
        monkeypatch.setattr(os, "read", raising_eio)
    thread = threading.Thread(target=driver.run_input_thread)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    os.close(reader)
    assert driver.keys == []
    assert asked == [((driver._app.exit,), {"return_code": HUNG_UP})]


def raising_eio(*_: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"match": ".*", "reply": "An answer from the script."}) + "\n")
    return path


def test_the_program_answers_leaves_and_takes_its_engine_along(
    tmp_path: Path, script: Path
) -> None:
    (tmp_path / "calc.py").write_text("x = 1\n")
    command = [sys.executable, "-m", "sparkcode", "screen", "calc.py"]
    command += ["--engine", "scripted", "--script", str(script)]
    with terminal(*command, cwd=tmp_path) as screen:
        screen.send(b"early")
        screen.wait_for(b"early", 60)
        screen.wait_for("● ready".encode(), 60)
        screen.send(b"\r")
        screen.wait_for(b"An answer from the script", 60)
        engines = children(screen.process.pid)
        assert len(engines) == 1
        screen.send(b"\x11")
        assert screen.end() == 0
        assert b"\x1b[?1049l" in screen.output
        assert b"\x1b[?25h" in screen.output
        assert not Path(f"/proc/{engines[0]}/cmdline").exists()


def test_painting_on_a_terminal_that_is_gone_is_no_error() -> None:
    """An error here ends the writing thread, and the screen then waits for it while it starts."""
    master, slave = pty.openpty()
    with open(slave, "w") as far:
        paper = Paper(far)
        assert paper.isatty()
        os.close(master)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(slave, b"x")
        paper.write("x" * 10_000)
        paper.flush()


@pytest.mark.parametrize("moment", [rb"\x1b\[\?1049h", b"early", "● ready".encode()])
def test_nothing_outlives_the_terminal(tmp_path: Path, script: Path, moment: bytes) -> None:
    command = [sys.executable, "-m", "sparkcode", "screen"]
    command += ["--engine", "scripted", "--script", str(script)]
    with terminal(*command, cwd=tmp_path) as screen:
        screen.send(b"early")
        screen.wait_for(moment, 60)
        engines = children(screen.process.pid)
        hung_up, screen.master = screen.master, os.open(os.devnull, os.O_RDONLY)
        os.close(hung_up)
        screen.process.wait(30)
        assert not [pid for pid in engines if Path(f"/proc/{pid}/cmdline").exists()]


def test_a_signal_restores_the_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sparkcode", "screen", "--url", "http://127.0.0.1:9/v1"]
    with terminal(*command, cwd=tmp_path) as screen:
        screen.wait_for(b"sparkcode", 60)
        screen.wait_for(b"reconnecting|connecting|down", 60)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in screen.output


def children(pid: int) -> list[int]:
    """Process ids of the children of ``pid``."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found
