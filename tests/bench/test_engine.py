from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkcode.bench import engine
from sparkcode.bench.engine import Settings, bench_engine
from sparkcode.bench.machine import Target
from sparkcode.bench.report import quiet_note, table
from sparkcode.bench.startup import Start
from sparkcode.errors import UsageError
from tests.bench.support import EDIT, peer_of

KEYS = {
    "model", "kernel", "threads", "bandwidth_bytes_per_second", "bytes_per_token",
    "decode_tokens_per_second", "prefill_tokens_per_second", "edit_tokens_per_second",
    "plain_edit_tokens_per_second", "mean_accepted_length", "ttft_cold", "ttft_warm",
    "load_seconds", "resident_bytes", "peers",
}  # fmt: skip
QUIET: Settings = Settings(20, 3, (EDIT,), stream_bytes=80_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes of our own and no pauses."""
    monkeypatch.setattr(engine, "measure_start", lambda *_, **__: Start(1.0, 2.0, 3_000_000))
    monkeypatch.setattr(engine, "busy_share", lambda: 0.2)
    monkeypatch.setattr(engine, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("sparkcode.bench.edits.CONCURRENT_TOKENS", 2)


def test_a_report_beside_a_peer(target: Target, tmp_path: Path) -> None:
    said: list[str] = []
    facts = bench_engine(target, Settings(20, 3, (EDIT,), peer_of(tmp_path)), said.append)
    assert facts.keys() >= KEYS
    assert json.loads(json.dumps(facts)) == facts
    peer = facts["peers"]["llama.cpp"]
    assert peer["decode_tokens_per_second"] == 16.0
    assert peer["prefill_tokens_per_second"] == 10.0
    assert peer["ttft"] == 2.5
    assert peer["ratio"]["decode"] == pytest.approx(facts["decode_tokens_per_second"] / 16)
    assert peer["ratio"]["prefill"] == pytest.approx(facts["prefill_tokens_per_second"] / 10)
    assert peer["ratio"]["ttft"] == pytest.approx(facts["ttft_cold"] / 2.5)
    assert peer["ratio"]["edit"] == pytest.approx(facts["edit_tokens_per_second"] / 16)
    assert peer["peak_ratio"]["decode"] >= peer["ratio"]["decode"]
    assert facts["batch_cost"]["1"] == 1.0
    assert facts["versions"]["llama-cpp-python"] == "9.9"
    assert (facts["load_seconds"], facts["resident_bytes"]) == (1.0, 3_000_000)
    assert facts["mean_accepted_length"] >= 1.0
    assert facts["notes"] == [quiet_note(facts)]
    assert "round 3 of 3" in said
    lines = list(table(facts))
    assert any(line.startswith("decode        tok/s") and " 16.00" in line for line in lines)
    assert any("llama.cpp's plain decode" in line for line in lines)
    assert lines[-1].startswith("not a quiet machine: other programs used 20%")


def test_without_a_peer(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "busy_share", lambda: 0.0)
    facts = bench_engine(target, QUIET, lambda _: None)
    assert facts["peers"] == {}
    assert facts["notes"] == []
    assert not any("llama.cpp" in line for line in table(facts))


def test_a_peer_that_is_not_installed_is_a_note(target: Target, tmp_path: Path) -> None:
    command = peer_of(tmp_path, "import no_such_module")
    facts = bench_engine(target, Settings(20, 1, (EDIT,), command), lambda _: None)
    assert facts["peers"] == {}
    assert facts["notes"][0].startswith("no peer: the peer ended without an answer")
    assert "no_such_module" in facts["notes"][0]


def test_a_prompt_longer_than_the_context(target: Target) -> None:
    with pytest.raises(UsageError, match=r"--context 5000 needs 5080 tokens; there are 4096"):
        bench_engine(target, Settings(5000, 1, (EDIT,)), lambda _: None)
