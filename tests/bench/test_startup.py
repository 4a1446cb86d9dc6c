from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.bench.machine import Target
from sparkcode.bench.startup import measure_start, resident_bytes
from sparkcode.errors import EngineError
from tests.bench.support import counting


def test_a_fresh_process_reports(target: Target) -> None:
    start = measure_start(target.path, 1, timer=counting())
    assert (start.load_seconds, start.first_token_seconds) == (1.0, 2.0)
    assert start.resident_bytes > 1 << 20


def test_a_start_that_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"bad")
    with pytest.raises(EngineError, match="ended with status 1 while it started"):
        measure_start(tmp_path / "bad.gguf", 1)


def test_resident_memory(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nVmRSS:\t  12 kB\n")
    assert resident_bytes(status) == 12 << 10
    assert resident_bytes(tmp_path / "absent") > 1 << 20
