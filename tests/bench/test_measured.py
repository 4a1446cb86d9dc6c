from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkcode.bench.measured import UnansweredError, measure
from sparkcode.errors import EngineUnreachableError
from tests.cli.scripted import serving

RULES = [
    {"match": "broken", "error": "it is broken"},
    {"match": "patch", "patch": "*** Begin Patch\n*** Add File: a\n+1\n*** End Patch\n"},
    {"match": "", "reply": "one two three four five six seven eight"},
]


def test_what_a_real_engine_took(tmp_path: Path) -> None:
    with serving(tmp_path, RULES) as url:
        measured = asyncio.run(measure(url, "", "count", 100))
        assert measured.prompt >= measured.cached >= 0
        found = measured.timeline
        assert not found.simulated
        assert found.joules_per_token is None
        assert len(found.times) == 8
        assert 0 < found.ttft <= found.seconds < 30
        assert list(found.times) == sorted(found.times)
        assert "scripted" in found.name
        patch = asyncio.run(measure(url, "", "patch", 100))
        assert len(patch.timeline.times) > 3
        with pytest.raises(UnansweredError, match="broken"):
            asyncio.run(measure(url, "", "broken", 100))
    with pytest.raises(EngineUnreachableError):
        asyncio.run(measure(url, "", "count", 100))
