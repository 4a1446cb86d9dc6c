"""``sparkcode eval edits``: everyday edits, end to end, each with a check."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from sparkcode.assistant.unified import unified_diff
from sparkcode.cli.evaluated import json_option, say
from sparkcode.cli.exec_output import try_rows
from sparkcode.cli.reach import LateDialer, Reach, reaches_engine, settings
from sparkcode.cli.trying import LargerModel, tries_option
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.bench.edit_eval import Attempt
    from sparkcode.bench.tasks import Task


@click.command("edits")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="JSONL", help="Tasks; default: built in."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N tasks.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Every answer, as JSON lines."
)
@click.option(
    "--check", is_flag=True, help="Judge every try by the task's own check, as `exec --check`."
)
@json_option
@tries_option
@reaches_engine
def edits(
    data: Path | None,
    limit: int | None,
    out: Path | None,
    *,
    as_json: bool,
    api_key: str,
    script: str | None,
    **flags: Any,
) -> int:
    """Carry out edit tasks and check the edited files.

    \b
    Each task goes the whole road of `exec --apply`, on a file of its own. Its check runs in a
    process with limits on time, memory and files. The first answer is decoded greedily and further
    ones have fixed seeds: the same model gives the same.
    """
    from sparkcode.bench.tasks import builtin_tasks, read_tasks

    tasks = (builtin_tasks() if data is None else read_tasks(data))[:limit]
    check = flags.pop("check")
    config, reach = settings(api_key, script, **flags)
    try:
        # Opened before minutes are spent on what it should hold.
        file = None if out is None else out.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {str(out)!r} cannot be written: {error.strerror}") from error
    try:
        attempts = asyncio.run(_attempts(tasks, reach, Budget(config.tries, own_check=check), file))
    finally:
        if file is not None:
            file.close()
    _report(attempts, as_json)
    return 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What each task may cost."""

    tries: int
    own_check: bool
    """Whether the task's check judges every try."""


async def _attempts(
    tasks: list[Task], reach: Reach, budget: Budget, out: TextIO | None
) -> list[Attempt]:
    from sparkcode.assistant.judges import Reviewer
    from sparkcode.assistant.tries import Tries
    from sparkcode.bench.edit_eval import OwnCheck, attempt

    dialer, larger = LateDialer(reach, say), LargerModel(reach)
    attempts = []
    try:
        for number, task in enumerate(tasks, 1):
            judge = OwnCheck(task) if budget.own_check else Reviewer()
            tries = Tries(budget.tries, dialer, judge, larger)
            one = await attempt(task, dialer, reach.asked_model, tries)
            attempts.append(one)
            say(f"{number} of {len(tasks)}: {task.id}: {one.reason or 'passed'}")
            if out is not None:
                out.write(json.dumps(_row(one), ensure_ascii=False) + "\n")
                out.flush()
    finally:
        await larger.close()
        await dialer.close()
    return attempts


def _row(one: Attempt) -> dict[str, Any]:
    return {
        "id": one.task.id,
        "klass": one.task.klass,
        "applied": one.applied,
        "passed": one.passed,
        "reason": one.reason,
        "untouched": one.untouched,
        "ttft": one.ttft_seconds,
        "seconds": one.total_seconds,
        "tokens_per_second": one.tokens_per_second,
        "output_tokens": one.output_tokens,
        "model": one.model,
        "tries": try_rows(one.tries),
        "text": one.text,
        "diff": _diff(one),
    }


def _diff(one: Attempt) -> str:
    return unified_diff(one.task.path, one.task.before.encode(), one.text.encode())


def _report(attempts: list[Attempt], as_json: bool) -> None:
    from sparkcode.bench.edit_eval import summary

    facts = summary(attempts)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for one in attempts:
        if not one.passed:
            click.echo(f"--- {one.task.id}: {one.reason}\n{one.task.instruction}\n{_diff(one)}")
    width = max(len(klass) for klass in facts["per_class"])
    for klass, row in facts["per_class"].items():
        click.echo(f"{klass:{width}}  {row['passed']:3} of {row['n']}")
    total = f"{facts['passed']} of {facts['n']} passed, {facts['applied']} applied"
    if facts["untouched_of"]:
        total += f"; other lines as they were in {facts['untouched']} of {facts['untouched_of']}"
    click.echo(total)
    click.echo(", ".join([*_means(facts), f"{facts['tries']} answers"]))


def _means(facts: dict[str, Any]) -> list[str]:
    """The means that are known, in words."""
    shown = [
        ("mean_ttft", "TTFT {:.3f} s"),
        ("mean_seconds", "an edit {:.2f} s"),
        ("mean_tokens_per_second", "{:.0f} tok/s"),
    ]
    return [form.format(facts[key]) for key, form in shown if facts[key] is not None]
