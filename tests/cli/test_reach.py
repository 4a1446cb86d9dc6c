from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.cli.reach import LateDialer, Reach, settings
from sparkcode.errors import EngineUnreachableError, UsageError

NONE = dict.fromkeys(("url", "model", "theme", "engine", "pace", "chip", "profile"))


def test_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config, reach = settings("k", None, **NONE)
    assert (config.theme, reach) == ("spark-dark", Reach(api_key="k"))
    assert reach.asked_model == "spark"
    config, reach = settings(
        "", "a.jsonl", **NONE | {"engine": "scripted", "theme": "t", "pace": "max"}
    )
    assert config.theme == "t"
    assert reach.args == ("--engine", "scripted", "--pace", "max", "--script", "a.jsonl")
    assert settings("", None, **NONE | {"url": "http://x"})[1].url == "http://x"
    assert Reach(url="http://x", model="m").asked_model == "m"
    with pytest.raises(UsageError, match="--script needs --engine scripted"):
        settings("", "a.jsonl", **NONE)
    with pytest.raises(UsageError, match="excludes --pace"):
        settings("", None, **NONE | {"url": "http://x", "pace": "max"})


async def test_the_late_dialer_reaches_a_url_and_closes() -> None:
    dialer = LateDialer(Reach(url="http://127.0.0.1:9/v1"))
    await dialer.close()
    for _ in range(2):
        with pytest.raises(EngineUnreachableError):
            await dialer.dial()
    await dialer.close()
