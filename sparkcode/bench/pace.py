"""``bench pace``: whether the server releases tokens at the pace that the chip would have.

The real server in a process of its own, with an engine that takes no time, plays answers at paces
from that of a fast GPU to that of the fastest wafers. A client on this machine notes when the first
token of an answer came and when its last did. At most every 3 ms a frame leaves, but the first
token and the last wait for none, so what lies between them is the pace.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

from sparkcode.bench.measured import measure
from sparkcode.bench.wire import serving

RATES: Final = (500.0, 1000.0, 4000.0)
"""Tokens a second."""
TOKENS: Final = 200
"""After the first."""


def script() -> str:
    """What the engine answers, a rule for each rate."""
    rules = [
        {"match": _question(rate), "reply": " word" * (TOKENS + 1), "tokens_per_second": rate}
        for rate in RATES
    ]
    return "".join(json.dumps(rule) + "\n" for rule in rules)


def _question(rate: float) -> str:
    return f"rate {rate:g} please"


async def bench_pace(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The report: for each rate the median of the rounds' achieved rates, and their errors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rates.jsonl"
        path.write_text(script(), encoding="utf-8")
        command = [sys.executable, "-m", "sparkcode", "serve", "--port", "0", "--no-store"]
        command += ["--exit-with-stdin", "--engine", "scripted", "--script", str(path)]
        with serving([*command, "--pace", "sim"]) as url:
            achieved: dict[float, list[float]] = {rate: [] for rate in RATES}
            for number in range(1, rounds + 1):
                for rate in RATES:
                    turn = await measure(url, "", _question(rate), TOKENS + 1)
                    achieved[rate].append(turn.timeline.tokens_per_second)
                say(f"round {number} of {rounds}")
    return report(achieved)


def report(achieved: dict[float, list[float]]) -> dict[str, Any]:
    """Tokens a second; errors are fractions, of the median and of the worst round."""
    rates = [
        {
            "predicted": rate,
            "achieved": median(found),
            "error": median(found) / rate - 1,
            "worst": max((each / rate - 1 for each in found), key=abs),
        }
        for rate, found in achieved.items()
    ]
    return {"tokens": TOKENS, "rounds": len(next(iter(achieved.values()))), "rates": rates}


def table(facts: dict[str, Any]) -> list[str]:
    """The report for people."""
    lines = [f"{'predicted':>12}{'achieved':>14}{'error':>10}{'worst round':>14}"]
    for each in facts["rates"]:
        rates = f"{each['predicted']:>6,.0f} tok/s{each['achieved']:>8,.1f} tok/s"
        errors = f"{100 * each['error']:>+8.2f} %{100 * each['worst']:>+12.2f} %"
        lines += [rates + errors]
    return lines


def run(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """:func:`bench_pace` on a loop of its own."""
    return asyncio.run(bench_pace(rounds, say))
