from __future__ import annotations

import json

from sparkcode.bench.pace import RATES, TOKENS, bench_pace, report, script, table
from sparkcode.engine.scripted import parse_script, pieces


def test_the_script_has_a_rule_for_each_rate() -> None:
    rules = parse_script(script().splitlines(), "rates")
    assert [rule.tokens_per_second for rule in rules] == list(RATES)
    assert all(rule.reply and len(pieces(rule.reply)) == TOKENS + 1 for rule in rules)


def test_medians_and_the_worst_round() -> None:
    facts = report({500.0: [490.0, 500.0, 505.0], 1000.0: [1000.0, 1000.0, 1000.0]})
    first, second = facts["rates"]
    assert (first["achieved"], first["error"]) == (500.0, 0.0)
    assert first["worst"] == 490 / 500 - 1
    assert second["worst"] == 0
    assert facts["rounds"] == 3
    assert "-2.00 %" in table(facts)[1]
    assert json.loads(json.dumps(facts)) == facts


async def test_a_round_against_the_real_server() -> None:
    said: list[str] = []
    facts = await bench_pace(1, said.append)
    assert said == ["round 1 of 1"]
    assert [each["predicted"] for each in facts["rates"]] == list(RATES)
    # How well it is kept is for the bench to say: here the machine may be busy.
    assert all(each["achieved"] > 0 for each in facts["rates"])
