from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from gguf import GGUFWriter

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
    assert (facts["wafers"], facts["devices"], facts["region_side"]) == (0, 4, 0)


def test_the_table_for_people() -> None:
    status, stdout, _ = invoke(sim, ["--users", "500", "--model", "llama-3.1-8b"])
    assert status == 0
    assert "simulated: 16 wafers, up to 2 layers on each" in stdout
    assert "  waiting " in stdout
    assert stdout.count("█" * 32) == 1
    _, stdout, _ = invoke(sim, ["--chip", "h100", "--model", "qwen2.5-coder-0.5b"])
    assert "simulated: 1 device\n" in stdout
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


def test_the_transport_is_a_cause_of_its_own() -> None:
    _, stdout, _ = invoke(sim, ["--json", "--transport", "websocket"])
    over, alone = json.loads(stdout), json.loads(invoke(sim, ["--json"])[1])
    assert sum(over["breakdown"].values()) == pytest.approx(over["tpot"])
    assert over["ttft"] - alone["ttft"] == pytest.approx(0.06)
    assert over["breakdown"]["network"] == pytest.approx(0.00021)
    assert over["joules_per_token"] == pytest.approx(alone["joules_per_token"])


def test_drafts_are_told() -> None:
    _, stdout, _ = invoke(sim, ["--model", "llama-3.1-70b"])
    assert "3 drafted, 2.9 accepted, seen together" in stdout


def test_every_token_can_be_followed() -> None:
    _, stdout, _ = invoke(sim, ["--model", "llama-3.1-70b", "--users", "32", "--events"])
    assert "by events" in stdout
    assert "the formula is off by" in stdout
    facts = json.loads(invoke(sim, ["--json", "--events"])[1])
    assert facts["events"]["tpot"] == pytest.approx(facts["tpot"], rel=0.02)
    status, _, stderr = invoke(sim, ["--chip", "h100", "--model", "llama-3.1-8b", "--events"])
    assert status == 2
    assert "'h100' is none" in stderr


# --- validate ----------------------------------------------------------------------------------


def test_validate_has_the_contracts_keys() -> None:
    status, stdout, _ = invoke(sim, ["validate", "--json"])
    facts = json.loads(stdout)
    assert status == 0
    assert {"classes", "class_mean", "row_median", "bounds", "constants", "baselines"} <= set(facts)
    for score in facts["classes"].values():
        assert {"n", "mape", "median", "max"} <= score.keys()
    assert {"row_id", "reason"} == facts["skipped"][0].keys()
    assert facts["bounds"] == {"satisfied": 4, "violated": []}
    assert facts["class_mean"] < 0.06
    ids = {row["row_id"] for row in facts["rows"]}
    assert set(facts["constants"]["hop_cycles"]["rows"]) <= ids


def test_validate_for_people() -> None:
    _, stdout, _ = invoke(sim, ["validate", "--rows"])
    assert "mean over classes" in stdout
    assert "one-sided figures: 4 of 4 satisfied" in stdout
    assert "r001   wse2_decode" in stdout


def test_validate_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    header = (
        "row_id,system,chips,model,precision,context_in,output_tokens,batch_or_users,"
        "metric,value,source,confidence,klass,notes"
    )
    upper = "b1,Cerebras,CS-3,gpt-oss-120b,,,,1,decode_tok_s,10,none,high,wse3_bound,upper"
    path.write_text(f"{header}\n{upper}\n")
    _, stdout, _ = invoke(sim, ["validate", "--data", str(path)])
    assert "violated: b1 gpt-oss-120b, 10, predicted" in stdout
    assert "baselines" not in stdout
    assert "no row can be scored" in stdout
    assert "left out" not in stdout


@pytest.mark.parametrize("before", [["--json"], ["--chip", "h100"]])
def test_options_stand_behind_the_subcommand(before: list[str]) -> None:
    status, stdout, stderr = invoke(sim, [*before, "validate"])
    assert (status, stdout) == (2, "")
    assert "options stand behind `sim validate`" in stderr


def test_validate_refuses_what_is_no_table(tmp_path: Path) -> None:
    status, _, stderr = invoke(sim, ["validate", "--data", str(tmp_path / "none.csv")])
    assert status == 2
    assert "none.csv': No such file or directory; give a CSV file" in stderr


# --- fleet -------------------------------------------------------------------------------------


def test_fleet_prints_every_assumption() -> None:
    status, stdout, _ = invoke(sim, ["fleet"])
    assert status == 0
    for text in (
        "750 MW",
        "1.2 times",
        "96,000 tokens",
        "95 % cached",
        "213",
        "1,000 tok/s",
        "50 %",
    ):
        assert text in stdout
    assert stdout.count("\n") == 10


def test_fleet_json() -> None:
    flags = ["--megawatts", "10", "--phases", "soon=1/2,later=1", "--chip", "wse3-turbo"]
    _, stdout, _ = invoke(sim, ["fleet", "--json", *flags])
    facts = json.loads(stdout)
    assert facts["assumptions"]["megawatts"] == 10
    assert [phase["when"] for phase in facts["phases"]] == ["soon", "later"]
    assert facts["phases"][1]["megawatts"] == 10
    assert facts["instance"]["tokens_per_second"] >= 1000


@pytest.mark.parametrize(
    "text",
    ["2026", "2026=2", "2026=x", "=1", "2026=1/0", "a=1,b=1/2", "a=-1", "a=1/2", "a=1/2,a=1"],
)
def test_fleet_refuses_phases_that_are_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected"):
        invoke(sim, ["fleet", "--phases", text])


# --- pictures and files ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wafer.png", "wafer.svg"])
def test_a_picture(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    status, stdout, _ = invoke(sim, ["--json", "--plot", str(target)])
    assert status == 0
    assert json.loads(stdout)["chip"] == "wse3"
    begins = target.read_bytes()[:8]
    assert begins.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_same_configuration_gives_the_same_picture(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for target in (first, second):
        invoke(sim, ["--chip", "h100", "--model", "llama-3.1-8b", "--plot", str(target)])
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("target", "problem"),
    [("x.gif", "ends in .png or .svg"), ("none/x.png", "there is no folder 'none'")],
)
def test_a_picture_that_cannot_be(target: str, problem: str) -> None:
    status, _, stderr = invoke(sim, ["--plot", target])
    assert status == 2
    assert problem in stderr


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, stderr = invoke(sim, ["--plot", str(tmp_path / "x.png")])
    assert status == 2
    assert "pip install 'sparkcode[plots]'" in stderr


def test_a_model_by_its_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path)
    _, stdout, _ = invoke(sim, ["--model", str(path), "--context", "50", "--json"])
    facts = json.loads(stdout)
    assert facts["model"] == "tiny"
    assert facts["layers_per_device"] == 2
    path.write_bytes(b"no such file")
    assert "is no usable GGUF file" in invoke(sim, ["--model", str(path)])[2]
    assert "cannot read the weights" in invoke(sim, ["--model", str(tmp_path / "no.gguf")])[2]


def write_gguf(path: Path) -> None:
    """A file of the smallest model, of an architecture that the engine does not run."""
    writer = GGUFWriter(path, "phi3")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_feed_forward_length(128)
    writer.add_context_length(1024)
    writer.add_vocab_size(100)
    writer.add_tensor("token_embd.weight", np.zeros((100, 64), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- what is known -----------------------------------------------------------------------------


def test_chips_and_their_numbers() -> None:
    _, stdout, _ = invoke(sim, ["chips"])
    assert len(stdout.splitlines()) == len(json.loads(invoke(sim, ["chips", "--json"])[1])) == 10
    _, stdout, _ = invoke(sim, ["chips", "WSE-3"])
    assert stdout.startswith("wse3: Cerebras WSE-3")
    assert "hardware  Cerebras WSE-3 data sheet: 44 GB on the wafer" in stdout
    assert "fitted    scripts/calibrate: fitted to 8 published rows" in stdout
    facts = json.loads(invoke(sim, ["chips", "h100", "--json"])[1])
    assert facts["memory_bandwidth"]["unit"] == "B/s"
    assert invoke(sim, ["chips", "abacus"])[0] == 2


def test_models_and_their_sizes() -> None:
    _, stdout, _ = invoke(sim, ["models"])
    assert "gpt-oss-120b" in stdout
    facts = json.loads(invoke(sim, ["models", "--json"])[1])
    assert facts["llama-3.1-8b"]["parameters"] == 8_029_995_008
