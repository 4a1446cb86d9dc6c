from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkcode.errors import WeightsError
from sparkcode.model.memory import (
    WORKING_BYTES,
    Room,
    Table,
    available_memory,
    bytes_needed,
    packed_bytes,
)

TABLE: Table = {
    "a": ("q4k", (100_000, 8192)),
    "b": ("q8", (20, 100)),
    "norm": (None, (8192,)),
}
PACKED = 6250 * 32 * 2368 + 2 * 2 * 1088 + 4 * 8192


def test_packed_bytes_count_the_padding() -> None:
    assert packed_bytes(TABLE) == PACKED


def test_float32_needs_four_bytes_a_weight() -> None:
    assert bytes_needed(TABLE, expanded=False) == PACKED + WORKING_BYTES
    assert bytes_needed(TABLE, expanded=True) == 4 * (100_000 * 8192 + 2000) + WORKING_BYTES


def test_an_embedding_beside_a_head_stays_packed() -> None:
    table: Table = {"token_embd.weight": ("q8", (16, 64)), "blk.0.ffn_up.weight": ("q8", (16, 64))}
    assert bytes_needed(table, expanded=True) == 8 * 16 * 64 + WORKING_BYTES
    beside = {**table, "output.weight": table["token_embd.weight"]}
    assert bytes_needed(beside, expanded=True) == 1088 + 8 * 16 * 64 + WORKING_BYTES


@pytest.mark.parametrize("available", [None, PACKED + WORKING_BYTES])
def test_what_fits_is_let_pass(available: int | None) -> None:
    Room(available).check("big.gguf", TABLE)


@pytest.mark.parametrize(
    ("available", "expanded", "message"),
    [
        (10**8, False, "'big.gguf' needs 0.7 GB of memory, 0.1 GB are .*; no known model would"),
        (650_000_000, False, "0.7 GB of memory, 0.7 GB .*; no known model"),
        (2 * 10**9, True, "needs 3.5 GB of memory as float32, .*, 2.0 GB .*; no known model"),
        (3_400_000_000, True, "needs 3.5 GB .*, 3.4 GB are available; no known model would fit"),
    ],
)
def test_what_does_not_fit_is_refused(available: int, expanded: bool, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Room(available, expanded=expanded).check("big.gguf", TABLE)


def test_a_model_that_would_fit_is_named() -> None:
    huge: Table = {"a": ("q8", (10**6, 10**4))}
    with pytest.raises(WeightsError, match=r"; 'qwen2.5-coder-0.5b' would fit$"):
        Room(10**9).check("huge.gguf", huge)
    with pytest.raises(WeightsError, match=r"; 'qwen2.5-coder-1.5b' would fit$"):
        Room(3 * 10**9).check("huge.gguf", huge)


def test_memory_is_what_linux_says_and_the_container_allows(tmp_path: Path) -> None:
    meminfo, limit = tmp_path / "meminfo", tmp_path / "max"
    meminfo.write_text("MemTotal: 200 kB\nMemAvailable:   100 kB\n")
    assert available_memory(meminfo, limit) == 102_400
    limit.write_text("max\n")
    assert available_memory(meminfo, limit) == 102_400
    limit.write_text("5000\n")
    assert available_memory(meminfo, limit) == 5000


def test_memory_without_linuxs_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"SC_AVPHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", counts.__getitem__)
    (tmp_path / "old").write_text("MemTotal: 200 kB\n")
    for name in ("none", "old"):
        assert available_memory(tmp_path / name, tmp_path / "none") == 40_960

    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert available_memory(tmp_path / "none", tmp_path / "none") is None
