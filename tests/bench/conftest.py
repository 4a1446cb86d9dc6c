from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.bench.machine import Target
from tests.bench.support import tiny_target


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def target(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A tiny model in a cache of its own; runaway edits end early."""
    monkeypatch.setenv("SPARKCODE_CACHE", str(cache))
    monkeypatch.setattr("sparkcode.engine.spark.EDIT_MARGIN_TOKENS", 8)
    return tiny_target(cache)
