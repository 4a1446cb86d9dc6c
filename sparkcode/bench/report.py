"""From the rounds' seconds to the report's figures, and to lines for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sparkcode.bench.figures import Passes, pair_ratios, peak_ratio, spread
from sparkcode.bench.machine import Target, processor_name
from sparkcode.bench.peer import LLAMA_CPP

QUIET_SHARE = 0.05
"""Of the processors; engines that wait by spinning lose far more than their share to others."""


@dataclass(slots=True)
class Rounds:
    """What each round measured; ``theirs`` is empty without a peer."""

    bandwidths: list[float] = field(default_factory=list)
    """Bytes a second."""
    ours: list[Passes] = field(default_factory=list)
    theirs: list[Passes] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    """Seconds to the first token with most of the prompt cached."""
    busy: list[float] = field(default_factory=list)
    """Share of the processors that other programs used just before."""


def report(target: Target, rounds: Rounds, prompt: int, decoded: int) -> dict[str, Any]:
    """The figures of the rounds: prompts of ``prompt`` tokens, ``decoded`` tokens after each."""
    decode = [passes.decode_rate(decoded) for passes in rounds.ours]
    shares = [
        rate * target.bytes_per_token / bandwidth
        for rate, bandwidth in zip(decode, rounds.bandwidths, strict=True)
    ]
    return {
        "model": target.name,
        "kernel": target.kernel,
        "threads": target.threads,
        "processor": processor_name(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "bandwidth_bytes_per_second": median(rounds.bandwidths),
        "bytes_per_token": target.bytes_per_token,
        "bandwidth_share": median(shares),
        "busy_share": median(rounds.busy),
        "decode_tokens_per_second": median(decode),
        "prefill_tokens_per_second": median(p.prefill_rate(prompt) for p in rounds.ours),
        "ttft_cold": median(passes.ttft_seconds for passes in rounds.ours),
        "ttft_warm": median(rounds.warm),
        "spread": {
            "bandwidth": asdict(spread(rounds.bandwidths)),
            "decode": asdict(spread(decode)),
            "prefill": asdict(spread([p.prefill_rate(prompt) for p in rounds.ours])),
            "ttft_cold": asdict(spread([p.ttft_seconds for p in rounds.ours])),
        },
        "peers": {LLAMA_CPP: _peer(rounds, prompt, decoded)} if rounds.theirs else {},
    }


def quiet_note(facts: dict[str, Any]) -> str:
    """What to say when others disturbed the run; empty when they did not."""
    share = facts["busy_share"]
    if share <= QUIET_SHARE:
        return ""
    return f"not a quiet machine: other programs used {share:.0%} of the processors; measure again"


def _peer(rounds: Rounds, prompt: int, decoded: int) -> dict[str, Any]:
    """Rates of the peer, and ours to its: above 1 we are faster; for ``ttft``, below 1."""
    sides = (rounds.ours, rounds.theirs)
    decode = [[passes.decode_rate(decoded) for passes in side] for side in sides]
    prefill = [[passes.prefill_rate(prompt) for passes in side] for side in sides]
    ttft = [[passes.ttft_seconds for passes in side] for side in sides]
    ratios = {
        "decode": pair_ratios(*decode),
        "prefill": pair_ratios(*prefill),
        "ttft": pair_ratios(*ttft),
    }
    return {
        "decode_tokens_per_second": median(decode[1]),
        "prefill_tokens_per_second": median(prefill[1]),
        "ttft": median(ttft[1]),
        "ratio": {name: median(values) for name, values in ratios.items()},
        "peak_ratio": {"decode": peak_ratio(*decode), "prefill": peak_ratio(*prefill)},
        "spread": {name: asdict(spread(values)) for name, values in ratios.items()},
    }


def table(facts: dict[str, Any]) -> Iterator[str]:
    """The report for a reader: each figure with the bandwidth it was measured at."""
    gigabytes = facts["bandwidth_bytes_per_second"] / 1e9
    yield f"{facts['model']}, kernel {facts['kernel']}, {facts['threads']} threads"
    yield f"{facts['processor']}, {facts['date'][:10]}, " + ", ".join(
        f"{name} {number}" for name, number in facts["versions"].items()
    )
    yield f"{facts['repeat']} rounds, prompt {facts['context']} tokens; medians, (least-greatest)"
    yield ""
    peer = facts["peers"].get(LLAMA_CPP)
    theirs = f"{LLAMA_CPP:>11}{'ratio':>8}" if peer else ""
    yield f"{'':<20}{'ours':>9}{'':<20}{theirs}".rstrip()
    for label, key, name, unit in _COMPARED:
        yield _compared(label, facts[key], facts["spread"][name], peer, key, unit).rstrip()
    yield f"memory bandwidth {gigabytes:.1f} GB/s {_range(facts['spread']['bandwidth'], 1e9)}; " + (
        f"decode reads {facts['bytes_per_token'] / 1e6:.0f} MB a token: "
        f"{facts['bandwidth_share']:.0%} of it"
    )
    yield ""
    yield from _alone(facts, peer, f"at {gigabytes:.1f} GB/s")
    yield from facts["notes"]


_COMPARED = (
    ("decode", "decode_tokens_per_second", "decode", "tok/s"),
    ("prefill", "prefill_tokens_per_second", "prefill", "tok/s"),
    ("TTFT, cold", "ttft_cold", "ttft_cold", "s"),
)


def _compared(
    label: str,
    value: float,
    ours: dict[str, float],
    peer: dict[str, Any] | None,
    key: str,
    unit: str,
) -> str:
    line = f"{label:<14}{unit:<6}{value:>9.2f}  {_range(ours):<18}"
    if peer is None:
        return line
    name = label.partition(",")[0].lower()
    theirs = peer["ttft" if name == "ttft" else key]
    return f"{line}{theirs:>11.2f}{peer['ratio'][name]:>8.2f}  {_range(peer['spread'][name])}"


def _range(values: dict[str, float], unit: float = 1.0) -> str:
    return f"({values['least'] / unit:.2f}-{values['greatest'] / unit:.2f})"


def _alone(facts: dict[str, Any], peer: dict[str, Any] | None, where: str) -> Iterator[str]:
    """Figures that the peer has no counterpart for."""
    many, edits = facts["concurrent"], facts["edit_tokens_per_second"]
    plain = facts["plain_edit_tokens_per_second"]
    ratio = f", {peer['ratio']['edit']:.2f} times {LLAMA_CPP}'s plain decode" if peer else ""
    costs = ", ".join(f"{size}: {cost:.2f}" for size, cost in facts["batch_cost"].items())
    lines = {
        "TTFT, warm": f"{facts['ttft_warm']:.3f} s {where}",
        f"{facts['edits']} edits": f"{edits:.1f} tok/s, without drafts {plain:.1f}{ratio} {where}",
        "tokens a pass": f"{facts['mean_accepted_length']:.2f} with drafts",
        "an edit": f"{facts['edit_seconds']:.2f} s, first token after {facts['edit_ttft']:.3f} s",
        "a second edit": f"first token after {facts['second_edit_ttft']:.3f} s",
        "rows in one pass": costs,
        f"{many['requests']} at once": f"{many['tokens_per_second']:.1f} tok/s, "
        f"{many['ratio']:.2f} times one after another {where}",
        "start": f"{facts['load_seconds']:.2f} s until ready, "
        f"{facts['start_to_first_token']:.2f} s until the first token",
        "resident": f"{facts['resident_bytes'] / 1e6:.0f} MB after one answer",
    }
    for label, text in lines.items():
        yield f"{label:<18}{text}"
