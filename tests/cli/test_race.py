from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from sparkcode.cli.race import race
from tests.cli.scripted import invoke, serving


def test_the_table_without_a_terminal() -> None:
    status, stdout, _ = invoke(race, ["wse3", "h100"])
    assert status == 0
    turn, header, first, second = stdout.splitlines()
    assert turn == "prompt of 8,192 tokens, 0 cached; answer of 213"
    assert header.split() == ["TTFT", "tok/s", "whole", "J/token"]
    assert first.startswith("wse3/gpt-oss-120b")
    assert first.endswith("first")
    assert second.endswith("x as long")


def test_json() -> None:
    flags = ["--context", "2000", "--cached", "1500", "--output", "50", "--transport", "http"]
    _, stdout, _ = invoke(race, ["wse3", "h100", "50", "--json", *flags])
    facts = json.loads(stdout)
    assert (facts["context"], facts["cached"], facts["output"]) == (2000, 1500, 50)
    assert [lane["name"] for lane in facts["lanes"]] == [
        "wse3/gpt-oss-120b",
        "h100/gpt-oss-120b",
        "50 tok/s",
    ]
    assert all(lane["tokens"] == 50 and lane["simulated"] for lane in facts["lanes"])
    times = [lane["seconds"] for lane in facts["lanes"]]
    assert facts["ratio"]["seconds"] == pytest.approx(max(times) / min(times))
    assert facts["winner"] == facts["lanes"][times.index(min(times))]["name"]


def test_a_model_for_lanes_that_name_none() -> None:
    _, stdout, _ = invoke(race, ["wse3", "h100/llama-3.1-70b", "--model", "llama-3.1-8b", "--json"])
    names = [lane["name"] for lane in json.loads(stdout)["lanes"]]
    assert names == ["wse3/llama-3.1-8b", "h100/llama-3.1-70b"]


def test_the_answer_is_as_long_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "answer.txt"
    path.write_text("one two three four five")
    _, stdout, _ = invoke(race, ["wse3", "50", "--text", str(path), "--json"])
    assert json.loads(stdout)["output"] == 5


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["wse3"], "1 lanes; expected two to four"),
        (["wse3"] * 5, "5 lanes; expected two to four"),
        (["wse3", "abacus"], "unknown chip 'abacus'"),
        (["wse3", "h100/eliza"], "unknown model 'eliza'"),
        (["wse3", "h100", "--cached", "9000"], "--cached 9000 is more than --context 8192"),
        (["wse3", "h100", "--context", "200000"], "use a shorter --context"),
        (["wse3", "h100", "--text", "none.txt"], "cannot read 'none.txt': No such file"),
        (["wse3", "http://127.0.0.1:9/v1"], "no engine answers at http://127.0.0.1:9/v1"),
    ],
)
def test_mistakes(flags: list[str], problem: str) -> None:
    status, stdout, stderr = invoke(race, flags)
    assert status != 0
    assert stdout == ""
    assert problem in stderr


def test_an_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(" \n")
    assert "empty; give a text file" in invoke(race, ["wse3", "50", "--text", str(path)])[2]
    path.write_bytes(b"\xff\xfe")
    assert "not text in UTF-8" in invoke(race, ["wse3", "50", "--text", str(path)])[2]


def test_others_run_the_turn_that_an_engine_did(tmp_path: Path) -> None:
    rules = [{"match": "", "reply": "one two three four five six seven eight"}]
    with serving(tmp_path, rules) as url:
        _, stdout, _ = invoke(race, [url, "wse3", "50", "--json", "--output", "100"])
    facts = json.loads(stdout)
    assert facts["output"] == 8
    assert [lane["tokens"] for lane in facts["lanes"]] == [8, 8, 8]
    assert [lane["simulated"] for lane in facts["lanes"]] == [False, True, True]
    assert 0 < facts["context"] < 1000


def test_a_long_context_finds_its_wafers() -> None:
    status, _, _ = invoke(race, ["wse3/llama-3.1-70b", "h100/llama-3.1-70b", "--context", "30000"])
    assert status == 0


@pytest.mark.parametrize("flag", ["--speed"])
def test_nan_is_no_number(flag: str) -> None:
    with pytest.raises(click.BadParameter, match="'nan' is no number"):
        invoke(race, ["wse3", "50", flag, "nan"])
