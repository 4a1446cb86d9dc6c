"""``sparkcode eval``: how good the model's answers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparkcode.cli.eval_edits import edits
from sparkcode.cli.evaluated import (
    configured_model,
    json_option,
    model_option,
    peer_python_option,
    say,
    threads_option,
)

if TYPE_CHECKING:
    from sparkcode.bench.text import TextScore


@click.group("eval")
def evaluate() -> None:
    """Measure quality."""


evaluate.add_command(edits)


@evaluate.command("text")
@click.argument("file", type=click.Path(path_type=Path))
@model_option
@threads_option
@click.option(
    "--against",
    type=click.Choice(["numpy"]),
    help="Also with this kernel: its NLL, and how often both choose the same token.",
)
@click.option("--peer/--no-peer", default=False, help="Also llama.cpp's NLL of the same tokens.")
@peer_python_option
@json_option
def text(
    file: Path, *, model: str | None, threads: int | None, as_json: bool, **others: Any
) -> int:
    """Mean negative log-likelihood, in nats, of the tokens of FILE.

    \b
    Teacher-forced over the file's first 2,048 tokens, without a chat template: each token but the
    first is scored given all before it.
    """
    from sparkcode.bench.peer import peer_command
    from sparkcode.bench.threads import use_threads

    command = peer_command(others["peer_python"]) if others["peer"] else None
    count = use_threads(threads)
    from sparkcode.bench.machine import load_target
    from sparkcode.bench.text import MAX_TOKENS, peer_score, read_ids, require_file, score

    require_file(file)
    target = load_target(configured_model(model), count, say)
    limit = min(MAX_TOKENS, target.model.config.context_length)
    ids = read_ids(file, target.model.tokenizer.encode, limit=limit)
    found = score(target.model, ids)
    facts: dict[str, Any] = {
        "model": target.name,
        "kernel": target.kernel,
        "tokens": found.tokens,
        "nll_per_token": found.nll_per_token,
    }
    if others["against"]:
        facts["against"] = _against(target.path, ids, found)
    if command is not None:
        facts["peers"] = {"llama.cpp": {"nll_per_token": peer_score(command, target, ids)}}
    click.echo(json.dumps(facts) if as_json else "\n".join(_lines(facts)))
    return 0


def _against(path: Path, ids: list[int], found: TextScore) -> dict[str, Any]:
    import os

    from sparkcode.bench.text import agreement, score
    from sparkcode.config import cache_root
    from sparkcode.model.language_model import load

    environ = {**os.environ, "SPARKCODE_KERNEL": "numpy"}
    reference = load(path, cache_root=cache_root(os.environ), say=say, environ=environ)
    other = score(reference, ids)
    return {
        "kernel": "numpy",
        "nll_per_token": other.nll_per_token,
        "top1_agreement": agreement(found, other),
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"{facts['nll_per_token']:.4f} nats a token over {facts['tokens']} tokens"]
    if "against" in facts:
        other = facts["against"]
        lines.append(
            f"{other['nll_per_token']:.4f} with the {other['kernel']} kernel; "
            f"the same choice at {other['top1_agreement']:.1%} of the places"
        )
    for name, peer in facts.get("peers", {}).items():
        lines.append(f"{peer['nll_per_token']:.4f} by {name}")
    return lines
