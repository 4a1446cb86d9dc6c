"""Does a model fit into memory? Asked before anything is read, packed or expanded.

Packed records are multiplied where they are mapped: a model that is larger than memory would be
read from the disk again for every token. The kernel ``numpy`` expands them to float32 on top.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import Kind
from sparkcode.model.catalogue import ModelEntry, load_catalogue
from sparkcode.model.records import record_grid

WORKING_BYTES: Final = 200_000_000
"""Beside the weights: interpreter, vocabulary, one short sequence's keys and values."""

_GROWTH = 1.2
"""Packed bytes for one of the GGUF's; the catalogue's files are within this."""
_EXPANSION = 7.0
"""Bytes of float32 for one of the GGUF's, at the 4.6 bits a weight of a small file."""

Table = Mapping[str, tuple["Kind | None", tuple[int, ...]]]
"""Kind (None: float32) and shape of every tensor."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a model may take, and how the kernel holds it."""

    available: int | None
    """Bytes of memory that can be had; None where the system does not say."""
    expanded: bool = False
    """The weights are expanded to float32 (kernel ``numpy``)."""

    def check(self, name: str, table: Table) -> None:
        """WeightsError, with what would fit instead, where the model does not."""
        needed = bytes_needed(table, expanded=self.expanded)
        if self.available is None or needed <= self.available:
            return
        fitting = self._fitting(load_catalogue().values())
        advice = f"{fitting!r} would fit" if fitting else "no known model would fit"
        raise WeightsError(
            f"{name!r} needs {_gigabytes(needed)} of memory"
            f"{' as float32, for the kernel numpy' if self.expanded else ''}, "
            f"{_gigabytes(self.available)} are available; {advice}"
        )

    def _fitting(self, entries: Iterable[ModelEntry]) -> str | None:
        """Name of the largest known model that fits."""
        assert self.available is not None
        factor = _GROWTH + _EXPANSION if self.expanded else _GROWTH
        room = (self.available - WORKING_BYTES) / factor
        fitting = [entry for entry in entries if entry.bytes <= room]
        return max(fitting, key=lambda entry: entry.bytes).name if fitting else None


def packed_bytes(table: Table) -> int:
    """Bytes of all tensors as they are packed."""
    total = 0
    for kind, shape in table.values():
        if kind is None or len(shape) == 1:
            total += 4 * shape[0]
        else:
            groups, along, record = record_grid(kind, (shape[0], shape[1]))
            total += groups * along * record
    return total


def bytes_needed(table: Table, *, expanded: bool) -> int:
    """Memory that a model takes while it runs."""
    if not expanded:
        return packed_bytes(table) + WORKING_BYTES
    # An embedding that is no head as well is read by rows, packed as it is.
    packed = {"token_embd.weight"} if "output.weight" in table else set()
    kept = {name: entry for name, entry in table.items() if name in packed}
    expanded_weights = sum(
        shape[0] * shape[1]
        for name, (_, shape) in table.items()
        if len(shape) == 2 and name not in packed
    )
    return 4 * expanded_weights + packed_bytes(kept) + WORKING_BYTES


def available_memory(
    meminfo: Path = Path("/proc/meminfo"), limit: Path = Path("/sys/fs/cgroup/memory.max")
) -> int | None:
    """Bytes that a new program can have without swapping; None where the system does not say.

    ``meminfo`` is Linux's table, ``limit`` the most that this container may use.
    """
    found = _from_meminfo(meminfo)
    if found is None:
        try:
            found = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError):
            return None
    try:
        return min(found, int(limit.read_text("ascii")))
    except (OSError, ValueError):  # no container, or no limit
        return found


def _from_meminfo(path: Path) -> int | None:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
