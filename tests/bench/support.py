"""A tiny model to measure, a timer that counts, and a peer that makes its figures up."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

from sparkcode.bench.machine import Target, weight_bytes
from sparkcode.bench.workload import Edit
from sparkcode.model.language_model import load
from tests.model.tiny import TinyModel

EDIT = Edit("calc", "Check b.", "python", "def divide(a, b):\n    return a / b\n", (2, 2))

FAKE_PEER = """
import json, sys
for line in sys.stdin:
    ask = json.loads(line)
    match ask["do"]:
        case "load":
            answer = {"version": "9.9", "system": "none"}
        case "run":
            each = len(ask["follow"]) / 64
            answer = {"prefill_seconds": 2.0, "ttft_seconds": 2.5, "decode_seconds": 4.0 * each}
        case "score":
            answer = {"nll_per_token": 1.5}
    print(json.dumps(answer), flush=True)
"""


def counting() -> Callable[[], float]:
    """A timer that advances by a second each time it is read."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


def peer_of(folder: Path, script: str = FAKE_PEER) -> list[str]:
    """The command of a peer that runs ``script``."""
    path = folder / "peer.py"
    path.write_text(script)
    return [sys.executable, str(path)]


def python_that_runs(folder: Path, script: str = FAKE_PEER) -> Path:
    """An executable that ignores its arguments and runs ``script``."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nexec {' '.join(peer_of(folder, script))}\n")
    path.chmod(0o755)
    return path


def tiny_target(folder: Path) -> Target:
    """A random model; packed in the cache that the environment names."""
    path = TinyModel(context=4096).write(folder / "tiny.gguf")
    model = load(path, cache_root=folder, say=lambda _: None, threads=2)
    return Target("tiny", path, model, "avx2", 2, weight_bytes(path, expanded=False))
