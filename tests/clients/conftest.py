"""A scripted engine in a process of its own, as users start it, and the official SDK beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.scripted import serve, serving

PATCH = "*** Begin Patch\n*** Update File: a.py\n@@\n-x = 1\n+x = 2\n*** End Patch\n"
RULES: list[dict[str, Any]] = [
    {
        "match": "slow weather",
        "call": {"name": "get_weather", "arguments": {"city": "Oslo"}},
        "ttft": 0.5,
    },
    {"match": "weather", "call": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
    {"match": "weather", "result": "rain", "reply": "Take an umbrella."},
    {"match": "edit", "patch": PATCH},
    {"match": "edit", "result": "Success", "reply": "Done."},
    {"match": "slow", "reply": "one two three four five", "ttft": 0.3, "tokens_per_second": 10},
    {"match": "break", "reply": "I will", "error": "the engine gave up"},
    {"match": "many", "reply": "word " * 200},
    {"match": "short", "reply": "Brief."},
    {"match": "", "reply": "Hello there."},
]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of ``sparkcode serve``."""
    with serving(tmp_path_factory.mktemp("engine"), RULES) as found:
        yield found


@pytest.fixture(scope="session", params=["engine", "ws", "responses"])
def url(engine: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine itself, and gateways to it: clients must not notice."""
    if request.param == "engine":
        yield engine
        return
    with serve("--upstream", engine, "--wire", request.param) as found:
        yield found
