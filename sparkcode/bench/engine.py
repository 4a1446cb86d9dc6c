"""The engine under the stopwatch, in turn with a peer: what ``sparkcode bench engine`` reports.

Each of ``repeat`` rounds measures the memory bandwidth, then us and the peer on the same prompt of
``context`` tokens and the same 64 tokens after it; who begins alternates. Ratios are the median of
the rounds' ratios (:mod:`sparkcode.bench.figures`). Both engines evaluate given ids and choose a
token after each pass, so they do the same work whatever they would have said. The peer lives in a
process of its own (:mod:`sparkcode.bench.peer`); its threads sleep while we run, and ours while it
does.

Around the rounds: a start in a fresh process, the cost of several rows in one pass, edits end to
end with and without drafts, and eight requests at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from sparkcode.bench.bandwidth import MemoryStream
from sparkcode.bench.edits import (
    Answer,
    accepted_length,
    decode_rate,
    run_request,
    second_edit_ttft,
    short_requests,
    throughput,
)
from sparkcode.bench.figures import Passes
from sparkcode.bench.machine import Target, busy_share, versions
from sparkcode.bench.peer import Peer
from sparkcode.bench.report import Rounds, quiet_note, report
from sparkcode.bench.startup import Start, measure_start
from sparkcode.bench.subject import Subject
from sparkcode.bench.workload import Edit
from sparkcode.errors import EngineError, UsageError

Say = Callable[[str], None]

DECODE_TOKENS: Final = 64
BATCH_SIZES: Final = (1, 2, 4, 8, 16)
STARTS: Final = 3
_SETTLE_SECONDS: Final = 0.05
"""Worker threads of whoever ran last are asleep after it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure."""

    context: int = 300
    """Tokens of the prompt."""
    repeat: int = 5
    edits: Sequence[Edit] = ()
    peer: Sequence[str] = ()
    """The peer's command; empty: no peer."""
    stream_bytes: int = 256 << 20
    timer: Callable[[], float] = field(default=time.perf_counter, repr=False)


def bench_engine(target: Target, settings: Settings, say: Say) -> dict[str, Any]:
    """The report of the module's text as one JSON object; seconds, bytes and tokens a second.

    UsageError for a prompt that leaves no room in the model's context.
    """
    room = target.model.config.context_length
    needed = settings.context + DECODE_TOKENS + max(BATCH_SIZES)
    if needed > room:
        raise UsageError(f"--context {settings.context} needs {needed} tokens; there are {room}")
    ids, follow = _prompt(target, settings)
    starts = _starts(target, settings, say)
    with _peer(target, settings, say) as (peer, note):
        rounds = _rounds(target, settings, (ids, follow), peer, say)
        version = peer.version if peer else ""
    say("several rows in one pass")
    subject = Subject(target.model, settings.timer)
    batches = [subject.batch_seconds(ids, BATCH_SIZES) for _ in range(settings.repeat)]
    facts = {
        **report(target, rounds, settings.context, DECODE_TOKENS),
        "batch_cost": {
            str(size): median(batch[size] / batch[1] for batch in batches) for size in BATCH_SIZES
        },
        **_start_facts(starts),
        **_edit_facts(target, settings, say),
        **_concurrent_facts(target, settings, say),
        "repeat": settings.repeat,
        "context": settings.context,
        "versions": versions() | ({"llama-cpp-python": version} if version else {}),
    }
    for figures in facts["peers"].values():
        rate = facts["edit_tokens_per_second"] / figures["decode_tokens_per_second"]
        figures["ratio"]["edit"] = rate
    return facts | {"notes": [text for text in (note, quiet_note(facts)) if text]}


def _prompt(target: Target, settings: Settings) -> tuple[list[int], list[int]]:
    """Ids of a prompt made of the edits' files, and of the tokens after it."""
    wanted = settings.context + DECODE_TOKENS
    text = "\n".join(edit.before for edit in settings.edits)
    ids = target.model.tokenizer.encode(text)
    ids *= -(-wanted // len(ids))
    return ids[: settings.context], ids[settings.context : wanted]


def _starts(target: Target, settings: Settings, say: Say) -> list[Start]:
    say("starts in fresh processes")
    count = min(STARTS, settings.repeat)
    return [measure_start(target.path, target.threads, timer=settings.timer) for _ in range(count)]


def _start_facts(starts: Sequence[Start]) -> dict[str, Any]:
    return {
        "load_seconds": median(start.load_seconds for start in starts),
        "start_to_first_token": median(start.first_token_seconds for start in starts),
        "resident_bytes": round(median(start.resident_bytes for start in starts)),
    }


@contextmanager
def _peer(target: Target, settings: Settings, say: Say) -> Iterator[tuple[Peer | None, str]]:
    """The peer with the model loaded, or None and why there is none."""
    if not settings.peer:
        yield None, ""
        return
    with Peer(settings.peer) as peer:
        try:
            say("loading the model in llama.cpp")
            peer.load(
                target.path,
                threads=target.threads,
                context=settings.context + DECODE_TOKENS + 8,
            )
        except EngineError as error:
            note = f"no peer: {error}"
            say(note)
            loaded = False
        else:
            note, loaded = "", True
        yield (peer if loaded else None), note


def _rounds(
    target: Target,
    settings: Settings,
    work: tuple[list[int], list[int]],
    peer: Peer | None,
    say: Say,
) -> Rounds:
    subject = Subject(target.model, settings.timer)
    stream = MemoryStream(target.threads, size=settings.stream_bytes, timer=settings.timer)
    rounds = Rounds()
    runs: list[tuple[Callable[..., Passes], list[Passes]]] = [(subject.run, rounds.ours)]
    if peer is not None:
        runs.append((peer.run, rounds.theirs))
    subject.run(work[0][:8], work[1][:2])  # whatever happens once has happened
    for number in range(settings.repeat):
        say(f"round {number + 1} of {settings.repeat}")
        rounds.busy.append(busy_share())
        rounds.bandwidths.append(stream.bytes_per_second())
        for run, results in runs if number % 2 == 0 else reversed(runs):
            time.sleep(_SETTLE_SECONDS)
            results.append(run(*work))
        rounds.warm.append(subject.warm_ttft(work[0]))
    return rounds


def _edit_facts(target: Target, settings: Settings, say: Say) -> dict[str, Any]:
    """Each edit with drafts, then without; a second edit of the same region after the first."""
    drafting, plain = target.engine(speculate=True), target.engine(speculate=False)
    timer = settings.timer
    with_drafts: list[Answer] = []
    without: list[Answer] = []
    again: list[float] = []
    for number, edit in enumerate(settings.edits, 1):
        say(f"edit {number} of {len(settings.edits)}: {edit.id}")
        with_drafts.append(run_request(drafting, edit.request(), timer=timer))
        without.append(run_request(plain, edit.request(), timer=timer))
        again.append(second_edit_ttft(drafting, edit, timer=timer))
    return {
        "edits": len(settings.edits),
        "edit_tokens_per_second": decode_rate(with_drafts),
        "plain_edit_tokens_per_second": decode_rate(without),
        "mean_accepted_length": accepted_length(with_drafts),
        "edit_seconds": median(answer.total_seconds for answer in with_drafts),
        "edit_ttft": median(answer.ttft_seconds for answer in with_drafts),
        "second_edit_ttft": median(again),
    }


def _concurrent_facts(target: Target, settings: Settings, say: Say) -> dict[str, Any]:
    """Eight requests one after another, then at once; each way on an engine that knows nothing."""
    requests = short_requests()
    say(f"{len(requests)} requests one after another, then at once")
    engine = target.engine(speculate=False)
    answers = [run_request(engine, request, timer=settings.timer) for request in requests]
    alone = sum(a.tokens for a in answers) / sum(a.total_seconds for a in answers)
    rate = throughput(target.engine(speculate=False), requests, timer=settings.timer)
    return {
        "concurrent": {
            "requests": len(requests),
            "tokens_per_second": rate,
            "alone_tokens_per_second": alone,
            "ratio": rate / alone,
        }
    }
