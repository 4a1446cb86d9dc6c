from __future__ import annotations

import json

import pytest

from sparkcode.cli.sim import sim
from tests.cli.scripted import invoke

KEYS = (
    *("model", "chip", "wafers", "ttft", "tpot", "tokens_per_second", "joules_per_token"),
    *("max_context", "breakdown"),
)


def test_the_json_has_the_contracts_keys() -> None:
    status, stdout, _ = invoke(sim, ["--json"])
    facts = json.loads(stdout)
    assert status == 0
    assert set(KEYS) <= facts.keys()
    assert (facts["model"], facts["chip"], facts["wafers"]) == ("gpt-oss-120b", "wse3", 2)
    assert sum(facts["breakdown"].values()) == pytest.approx(facts["tpot"])


def test_a_gpu_has_no_wafers() -> None:
    _, stdout, _ = invoke(sim, ["--chip", "h100", "--model", "llama-3.1-70b", "--json"])
    facts = json.loads(stdout)
    assert (facts["wafers"], facts["devices"], facts["region_side"]) == (0, 2, 0)


def test_the_table_for_people() -> None:
    status, stdout, _ = invoke(sim, ["--users", "500", "--model", "llama-3.1-8b"])
    assert status == 0
    assert "simulated: 16 wafers, up to 2 layers on each" in stdout
    assert "  waiting " in stdout
    assert stdout.count("█" * 32) == 1
    _, stdout, _ = invoke(sim, ["--chip", "h100", "--model", "qwen2.5-coder-0.5b"])
    assert "simulated: 1 GPU\n" in stdout
    assert "nobody waits" not in stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--chip", "nope"], "unknown chip 'nope'"),
        (["--model", "nope"], "unknown model 'nope'"),
        (["--context", "200000"], "use a shorter --context"),
    ],
)
def test_mistakes(args: list[str], said: str) -> None:
    status, stdout, error = invoke(sim, args)
    assert (status, stdout) == (2, "")
    assert said in error
