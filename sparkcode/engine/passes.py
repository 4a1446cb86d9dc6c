"""Edits in passes: a small model rewrites one piece well, so a large or wide edit is made of many.

:func:`pieces_of` cuts what is too long at its definitions and leaves out what the instruction
cannot concern; :func:`one_answer` makes the passes over the pieces one answer, whose times and
counts go on from pass to pass. What the passes say is one patch
(:class:`~sparkcode.engine.sinks.PatchSink`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from sparkcode.engine.base import Step, TokenUsage
from sparkcode.engine.prompt import EditTask
from sparkcode.engine.sinks import PatchSink
from sparkcode.syntax.instruction import rename_in
from sparkcode.syntax.lines import Region
from sparkcode.syntax.names import names_in
from sparkcode.syntax.pieces import pieces

Pass = Callable[[int], Generator[Step, None, None]]
"""Begins one pass, given how many tokens those before it have brought."""


def pieces_of(tasks: Iterable[EditTask]) -> tuple[EditTask, ...]:
    """``tasks`` with the long ones in pieces, in order.

    A rename leaves out each piece without the name, unless none has it. One that asks for nothing
    else is said so that it fits any piece, and needs nothing of the rest of the file: of ten
    renames in the standard library the 1.5B then does nine without a wrong line of code, else two.
    """
    found = tuple(piece for task in tasks for piece in _pieces(task))
    rename = rename_in(found[0].instruction) if found else None
    if rename is None or rename.old is None:
        return found
    named = tuple(task for task in found if rename.old in names_in(task.region_text))
    if not rename.alone:
        return named or found
    said = f"Replace {rename.old} with {rename.new}. Change nothing else."
    return tuple(replace(task, instruction=said, alone=True) for task in named) or found


def _pieces(task: EditTask) -> list[EditTask]:
    block = task.block
    text = block.text.replace("\r\n", "\n")
    return [
        replace(task, block=replace(block, region=(piece.first, piece.last)))
        for piece in pieces(text, block.language, Region(*task.region))
    ]


def sinks_for(tasks: Sequence[EditTask]) -> Iterator[PatchSink]:
    """A sink for each pass; together they write one patch.

    Each is to be taken when its pass begins: it goes on where the one before has ended.
    """
    sink = None
    for number, task in enumerate(tasks, 1):
        sink = PatchSink(task, sink, last=number == len(tasks))
        yield sink


def one_answer(passes: Sequence[Pass]) -> Generator[Step, None, None]:
    """The steps of all ``passes``, one pass after the other; one that is cut short is the last."""
    sim_time, usage = 0.0, None
    for number, begin in enumerate(passes, 1):
        step = Step(sim_time)
        with closing(begin(usage.output_tokens if usage is not None else 0)) as steps:
            for each in steps:
                step = _later(each, sim_time, usage)
                over = number == len(passes) or each.finish_reason == "length"
                yield step if over else replace(step, finish_reason=None)
        if step.finish_reason == "length":
            return
        sim_time, usage = step.sim_time, step.usage


def _later(step: Step, sim_time: float, usage: TokenUsage | None) -> Step:
    """``step`` of a pass that begins at ``sim_time``, after ``usage``."""
    if usage is None:
        return step
    counted = None if step.usage is None else usage.then(step.usage)
    return replace(step, sim_time=sim_time + step.sim_time, usage=counted)
