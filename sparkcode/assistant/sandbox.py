"""Programs that nobody vouches for: run in a folder of their own, for a short time, with little.

Time, memory and the size of files are limited, and whatever the program started ends with it.
Its input is empty and its environment bare. Where the system lets an ordinary user make a network
namespace (Linux), the program has no network.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

OUTPUT_BYTES: Final = 16 << 10
"""The end of what a program printed that is kept."""

_LIMIT_AND_RUN: Final = """
import os, resource, sys
seconds, memory, size, *command = sys.argv[1:]
for kind, most in (
    (resource.RLIMIT_CPU, seconds),
    (resource.RLIMIT_AS, memory),
    (resource.RLIMIT_FSIZE, size),
    (resource.RLIMIT_CORE, 0),
):
    _, hard = resource.getrlimit(kind)
    own = int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard)
    resource.setrlimit(kind, (own, own))
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit(f"cannot run {command[0]!r}: {error.strerror}")
"""
_NO_NETWORK: Final = ("unshare", "--net", "--map-root-user", "--")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use."""

    seconds: float = 20.0
    """Wall time, and time of the processor."""
    memory_bytes: int = 2 << 30
    """Address space of each of its processes."""
    file_bytes: int = 64 << 20
    """Size of each file that it writes, its output included."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    status: int | None
    """Exit status, negative for a signal; None when its time was up."""
    output: str
    """The end of what it printed, errors included."""

    @property
    def ok(self) -> bool:
        return self.status == 0


def run_limited(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    *,
    environ: Mapping[str, str] | None = None,
    network: bool = False,
) -> Outcome:
    """Run ``command`` in ``folder``. ``environ`` replaces the bare environment."""
    bounds = (int(limits.seconds) + 1, limits.memory_bytes, limits.file_bytes)
    limited = [sys.executable, "-I", "-c", _LIMIT_AND_RUN, *map(str, bounds), *command]
    prefix = () if network else network_prefix()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            [*prefix, *limited],
            cwd=folder,
            env=_bare(folder) if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            status: int | None = None
            try:
                status = process.wait(limits.seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        return Outcome(status, _tail(output))


def network_prefix() -> tuple[str, ...]:
    """The words before a command that take its network away; none where that cannot be done."""
    if not sys.platform.startswith("linux"):
        return ()
    try:
        done = subprocess.run(
            [*_NO_NETWORK, "true"], capture_output=True, stdin=subprocess.DEVNULL, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return _NO_NETWORK if done.returncode == 0 else ()


def _bare(folder: Path) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - OUTPUT_BYTES))
    return output.read().decode(errors="replace")
