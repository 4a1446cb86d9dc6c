"""Judges of an edit: what can be told by looking, and what a command says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from sparkcode.assistant.edit import Plan
from sparkcode.checks.fault import Fault
from sparkcode.checks.review import review
from sparkcode.syntax.languages import language_of


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Looks at the files before and after; nothing is run."""

    async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        # A long file takes a good part of a second.
        return await asyncio.to_thread(reviewed, plan, instruction)


def reviewed(plan: Plan, instruction: str) -> tuple[Fault, ...]:
    """The faults of every file that ``plan`` writes."""
    return tuple(_reviewed(plan, instruction))


def _reviewed(plan: Plan, instruction: str) -> Iterator[Fault]:
    if all(before == after for before, after in plan.pairs.values()):
        yield Fault("unchanged", "the answer changes nothing")
        return
    several = len(plan.after) > 1
    for path, (before, after) in plan.pairs.items():
        if after is None or before == after:
            continue
        old, new = (before or b"").decode(), after.decode()
        for fault in review(old, new, language_of(path), instruction):
            yield Fault(fault.kind, f"{path}: {fault.message}") if several else fault
