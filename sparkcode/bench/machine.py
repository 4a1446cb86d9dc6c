"""What is measured, and on what: model, kernel, threads, processor, versions."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sparkcode import __version__
from sparkcode.config import cache_root
from sparkcode.engine.spark import SparkEngine
from sparkcode.model.kernels.choice import choose_kernel, processor_features
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.model.packing import open_packed
from sparkcode.model.store import ModelStore, models_folder
from sparkcode.wafer.profile import load_profile

_LOOK_SECONDS = 0.5
"""Ticks are hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Target:
    """A loaded model and how it runs."""

    name: str
    path: Path
    model: LanguageModel
    kernel: str
    threads: int
    bytes_per_token: int
    """Bytes of weights that a pass for one token reads."""

    def engine(self, *, speculate: bool) -> SparkEngine:
        """A fresh engine on the model: no cache of an earlier request."""
        return SparkEngine(self.model, load_profile(), name=self.name, speculate=speculate)


def load_target(name: str, threads: int, say: Callable[[str], None]) -> Target:
    """Load a catalogue name or a GGUF file; errors as of SparkEngine.load."""
    path = ModelStore(models_folder(os.environ)).resolve(name)
    kernel = choose_kernel(os.environ, processor_features()).name
    root = cache_root(os.environ)
    model = load(path, cache_root=root, say=say, threads=threads)
    shown = path.stem if Path(name).suffix == ".gguf" else name
    needed = weight_bytes(path, expanded=kernel == "numpy")
    return Target(shown, path, model, kernel, threads, needed)


def weight_bytes(path: Path, *, expanded: bool) -> int:
    """Bytes of every matrix a pass multiplies by, as packed or ``expanded`` to float32."""
    header = open_packed(path, cache_root=cache_root(os.environ), say=lambda _: None).header
    entries = {name: entry for name, entry in header.tensors.items() if len(entry.shape) == 2}
    if not header.config.tied_head:
        del entries["token_embd.weight"]  # one row a token
    if expanded:
        return sum(4 * entry.shape[0] * entry.shape[1] for entry in entries.values())
    return sum(entry.nbytes for entry in entries.values())


def processor_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def busy_share(
    pause: Callable[[float], None] = time.sleep, stat: Path = Path("/proc/stat")
) -> float:
    """Share of all processors' time that other programs use, while this one pauses for a moment.

    0 where the system does not say.
    """
    before = _ticks(stat)
    pause(_LOOK_SECONDS)
    spent = [late - early for early, late in zip(before, _ticks(stat), strict=True)]
    return 1 - sum(spent[3:5]) / sum(spent) if sum(spent) > 0 else 0.0


def _ticks(stat: Path) -> list[int]:
    """Ticks since boot by kind; the fourth and the fifth are idle and waiting for a disk."""
    try:
        line = stat.read_text().partition("\n")[0]
    except OSError:
        return []
    return [int(word) for word in line.split()[1:]]


def versions() -> dict[str, str]:
    """Versions of what decides the speed."""
    found = {"sparkcode": __version__, "python": platform.python_version()}
    for package in ("numpy", "llvmlite"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
