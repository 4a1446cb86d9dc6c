"""A fresh engine process: how long until a first token is possible, and how much memory it takes.

The parent takes the times, so that the start of the interpreter and every import are part of them.
The child answers one short question and reports the memory that is resident then, mapped weights
included.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparkcode.errors import EngineError

ANSWER_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process; bytes after the first answer."""

    load_seconds: float
    first_token_seconds: float
    resident_bytes: int


def measure_start(
    path: Path, threads: int, *, timer: Callable[[], float] = time.perf_counter
) -> Start:
    """Start a process with the GGUF file ``path``, whose packed form exists. EngineError if it
    fails."""
    began = timer()
    command = [sys.executable, "-m", "sparkcode.bench.startup", str(path.resolve()), str(threads)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ready = timer()
        process.stdout.readline()
        first = timer()
        report = process.stdout.readline()
    if not report:
        raise EngineError(f"the engine ended with status {process.returncode} while it started")
    return Start(ready - began, first - began, int(json.loads(report)["resident_bytes"]))


def resident_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Bytes of this process in memory now; its peak where the system does not say."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def main(path: str, threads: int) -> None:
    """The child: a line when it is loaded, one at the first token, one at the end."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
    from sparkcode.engine.base import GenerateRequest, Message
    from sparkcode.engine.spark import SparkEngine
    from sparkcode.wafer.profile import load_profile

    engine = SparkEngine.load(path, load_profile(), lambda _: None, threads=threads)
    _write({"ready": True})
    hello = Message("user", "Say hello in Python.")
    said = False
    for step in engine.generate(GenerateRequest((hello,), max_output_tokens=ANSWER_TOKENS)):
        if step.tokens and not said:
            _write({"first_token": True})
            said = True
    _write({"resident_bytes": resident_bytes()})


def _write(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
