"""A terminal driver that lets Esc through within 50 ms.

A terminal without the kitty keyboard protocol sends Esc as the byte that also begins an arrow key,
so a reader has to wait whether more comes. Textual's Linux driver looks every 100 ms, and Esc is
the key that must feel immediate. This one looks every 20 ms, and for a moment after each byte every
4 ms, since that is when a lone ESC is decided about. How long the parser itself waits is
``ESCDELAY`` (milliseconds, as in curses), which Textual reads from the environment when it is
imported; the command line sets it to 25 before that, unless the user has chosen otherwise.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
from codecs import getincrementaldecoder
from typing import Any, Final, TextIO, cast

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

POLL_SECONDS: Final = 0.02
"""Longest wait between two looks at the keyboard."""
QUICK_SECONDS: Final = 0.004
QUICK_LOOKS: Final = 12
"""Looks after a byte that follow each other quickly: 48 ms, longer than a usual ``ESCDELAY``."""

HUNG_UP: Final = 128 + signal.SIGHUP
"""Exit status of a screen whose terminal went away."""

_READ_BYTES: Final = 4096


class Paper:
    """Where the screen is painted; what a terminal that is gone would refuse is dropped.

    An error would end Textual's writing thread, and then whoever paints waits for it for ever.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class QuickEscapeDriver(LinuxDriver):
    """The Linux driver with a quicker look at the keyboard, painting where a user looks.

    Textual paints on standard error. With that redirected to a file, and standard output a
    terminal, it paints on standard output.
    """

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        error, output = sys.__stderr__, sys.__stdout__
        if output is not None and output.isatty() and not (error and error.isatty()):
            self._file = output
        self._file = cast(Any, Paper(cast(TextIO, self._file)))

    def run_input_thread(self) -> None:
        """Read keys until the driver stops; runs on the input thread."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            quick = 0
            while not self.exit_event.is_set():
                quick -= 1
                if selector.select(QUICK_SECONDS if quick > 0 else POLL_SECONDS):
                    quick = QUICK_LOOKS
                    data = self._read()
                    if not data:
                        # The terminal is gone, and whoever could leave the screen with it. A
                        # reader that went on would keep the process alive for ever.
                        self._app.call_later(self._app.exit, return_code=HUNG_UP)
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def _read(self) -> bytes:
        """What was typed; empty once the terminal has hung up."""
        try:
            return os.read(self.fileno, _READ_BYTES)
        except OSError:
            return b""
