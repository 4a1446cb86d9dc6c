"""Prompts for what is new: a file that does not exist yet, or code that goes into one."""

from __future__ import annotations

from typing import Final

from sparkcode.engine.chatml import START, Prompt, fenced, turn
from sparkcode.engine.excerpts import Count, outlines, selection
from sparkcode.engine.prompt import EditTask
from sparkcode.syntax.lines import Region, line_count
from sparkcode.syntax.outline import context

WRITE_SYSTEM: Final = (
    "You write code. Reply with nothing but the code that is asked for, complete and ready to run. "
    "No explanations."
)


def writing_prompt(task: EditTask, count: Count) -> Prompt:
    """The whole prompt; the assistant's turn is prefilled with the opening fence."""
    block = task.block
    picked = [each for each in task.others if each.selected is not None]
    about = "".join(selection(each, count) for each in picked)
    about = about or outlines(task.others, task.instruction, count)
    text = block.text.replace("\r\n", "\n")
    if not text.strip():
        there = f"Write the file `{block.path}`.\n\n"
    else:
        first = task.region[0]
        end = first > line_count(text)
        known = context(text, block.language, Region(first, first - 1), count=count).region
        place = "at its end" if end else f"before line {first}"
        there = fenced(f"What is in `{block.path}`:\n", known, block.language) if known else ""
        there += f"Write what is added to `{block.path}` {place}, without what is there.\n\n"
    body = f"{about}{there}Instruction: {task.instruction}"
    return (
        *turn("system", WRITE_SYSTEM),
        *turn("user", body),
        START,
        f"assistant\n```{block.language}\n",
    )
