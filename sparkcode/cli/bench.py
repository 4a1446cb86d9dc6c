"""``sparkcode bench``: how fast it is here, beside others on the same processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sparkcode.cli.evaluated import (
    configured_model,
    json_option,
    model_option,
    peer_python_option,
    say,
    threads_option,
)


@click.group("bench")
def bench() -> None:
    """Measure speed on this machine."""


@bench.command("engine")
@model_option
@threads_option
@click.option(
    "--context",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Tokens of the prompt.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Rounds; a ratio is the median of theirs.",
)
@click.option(
    "--edits",
    type=click.Path(path_type=Path),
    metavar="JSONL",
    help="Edits to run instead of the built-in ones.",
)
@click.option("--peer/--no-peer", default=True, help="Measure llama.cpp in turn with us.")
@peer_python_option
@json_option
def engine(
    *, edits: Path | None, peer: bool, peer_python: Path | None, as_json: bool, **flags: Any
) -> int:
    """Decode, prefill, time to first token, edits and start, in turn with llama.cpp.

    \b
    The peer runs where llama-cpp-python is installed, on the same file, threads and tokens, in a
    process of its own. Each ratio is the median of the rounds' ratios; the memory bandwidth is
    measured before each round. A run takes minutes; the machine should do nothing else.
    """
    from sparkcode.bench.peer import peer_command
    from sparkcode.bench.threads import use_threads
    from sparkcode.bench.workload import builtin_edits, read_edits

    work = builtin_edits() if edits is None else read_edits(edits)
    command = peer_command(peer_python) if peer else ()
    threads = use_threads(flags["threads"])
    from sparkcode.bench.engine import Settings, bench_engine
    from sparkcode.bench.machine import load_target
    from sparkcode.bench.report import table

    target = load_target(configured_model(flags["model"]), threads, say)
    settings = Settings(flags["context"], flags["repeat"], work, command)
    facts = bench_engine(target, settings, say)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo("\n".join(table(facts)))
    return 0


@bench.command("wire")
@click.option(
    "--rounds",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Conversations each way; the median counts.",
)
@click.option("--model", metavar="NAME|PATH", help="Also time the embedded engine's first token.")
@json_option
def wire(*, rounds: int, model: str | None, as_json: bool) -> int:
    """What a turn costs besides the engine: HTTP, and one persistent WebSocket.

    \b
    The same conversation of 20 exchanges (about 30,000 tokens at the end) over both, with an engine
    that takes no time, in a server of its own. HTTP sends the whole of it each turn, the WebSocket
    what is new.
    """
    from sparkcode.bench.wire import run
    from sparkcode.bench.wire_report import table

    facts = run(rounds, say, model)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo("\n".join(table(facts)))
    return 0


@bench.command("pace")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=9,
    show_default=True,
    help="Answers at each pace; the median counts.",
)
@json_option
def pace(*, rounds: int, as_json: bool) -> int:
    """Whether `serve --pace sim` keeps 500, 1,000 and 4,000 tokens a second, over 200 tokens."""
    from sparkcode.bench.pace import run, table

    facts = run(rounds, say)
    click.echo(json.dumps(facts) if as_json else "\n".join(table(facts)))
    return 0
