"""Requests to prompts: which kind of turn it is, and the exact text the model sees.

The rule that chooses is plain and visible: a turn is an **edit** when the newest user message marks
a region in a file block and the client offers ``apply_patch``; it is a **completion** when that
message marks a cursor in a file block (:mod:`sparkcode.engine.fim`); every other turn is **chat**.

Small models rewrite a marked region well and write patches badly, so an edit prompt holds the
region and the instruction, before them what the region needs of its file where the model is large
enough to profit, and the engine turns the rewritten region into a patch. The head of the
edit prompt never changes: its KV cache is computed once and kept. Wordings are those that did best
of twelve on 80 everyday edits.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sparkcode.engine.base import GenerateRequest, Message
from sparkcode.engine.chatml import START, Prompt, fence_for, fenced, turn
from sparkcode.engine.examples import EXAMPLES, Example
from sparkcode.engine.excerpts import defined_elsewhere
from sparkcode.errors import EngineError
from sparkcode.protocol.blocks import FileBlock, split
from sparkcode.protocol.variants import PromptStyle
from sparkcode.syntax.lines import Region, disjoint, line_count
from sparkcode.syntax.outline import Context, context

EDIT_SYSTEM = (
    "You edit code. You are given a piece of code and an instruction. Reply with the complete "
    "edited piece of code. Change only what the instruction asks for; copy every other line "
    "unchanged. No explanations."
)

_REST = "The rest of the file, which stays as it is:"
_MORE = "More of the file, which stays as it is:"

Style = Literal["bare", "rich"]
"""How much an edit prompt says: the region and one example, or the rest of the file and more."""

RICH_PARAMETERS = 1_000_000_000
"""Smallest model that more to read makes better."""

EDIT_TOOL = "apply_patch"
"""The custom tool whose input is the edit."""


@dataclass(frozen=True, slots=True)
class EditTask:
    """A region to rewrite."""

    block: FileBlock
    """With this region only."""
    instruction: str
    alone: bool = False
    """Whether the region says all that the model needs: then the rest of the file is not shown."""
    others: tuple[FileBlock, ...] = ()
    """Other files of the conversation, each as it was said last."""

    @property
    def writes(self) -> bool:
        """Whether nothing is rewritten: what is asked for is new."""
        first, last = self.region
        return last < first

    @property
    def region_text(self) -> str:
        """The region's lines joined by LF, without the last line's ending."""
        first, last = self.region
        lines = self.block.text.replace("\r\n", "\n").split("\n")
        return "\n".join(lines[first - 1 : last])

    @property
    def region(self) -> tuple[int, int]:
        return self.block.region or (1, 0)


def edit_tasks(request: GenerateRequest) -> tuple[EditTask, ...]:
    """The regions that the request asks to rewrite, those of a file in its order; none for chat.

    EngineError ``invalid_prompt`` when a region lies outside its file, or a file comes in two
    versions.
    """
    if not request.offers(EDIT_TOOL):
        return ()
    blocks, rest = split(request.last_user_text)
    instruction = rest.removeprefix("Instruction:").strip()
    files: dict[str, list[FileBlock]] = {}
    for block in blocks:
        if block.region is not None:
            files.setdefault(block.path, []).append(block)
    others = _others(request, files)
    return tuple(
        EditTask(
            replace(same[0], region=(region.first, region.last), also=()),
            instruction,
            others=others,
        )
        for same in files.values()
        for region in disjoint(_regions(same))
    )


def _others(request: GenerateRequest, edited: Container[str]) -> tuple[FileBlock, ...]:
    """The newest word on each file that is not edited, those said last first."""
    found: dict[str, FileBlock] = {}
    for item in reversed(request.items):
        if isinstance(item, Message) and item.role == "user":
            for block in split(item.text)[0]:
                if block.path not in edited:
                    found.setdefault(block.path, block)
    return tuple(found.values())


def _regions(same: Sequence[FileBlock]) -> Iterator[Region]:
    """The regions of one file's blocks, once they are known to lie in it."""
    text, path = same[0].text, same[0].path
    # As region_text and the client count: other line separators belong to their line.
    count = line_count(text)
    for block in same:
        if block.text != text:
            raise EngineError(f"{path!r} is marked twice, with two texts", "invalid_prompt")
        for first, last in block.regions:
            # An empty region after the last line is where an insertion goes.
            if not (1 <= first <= count + 1 and first - 1 <= last <= max(count, first - 1)):
                raise EngineError(
                    f"edit region {first}-{last} of {path!r} lies outside its {count} lines",
                    "invalid_prompt",
                )
            yield Region(first, last)


def style_for(parameters: int) -> Style:
    """The style that does best with a model of that many weights."""
    return "rich" if parameters >= RICH_PARAMETERS else "bare"


def style_of(wanted: PromptStyle, own: Style) -> Style:
    """What a request asks for; ``own`` is the style that does best with the model."""
    if not wanted:
        return own
    return "bare" if wanted == "other" and own == "rich" else "rich"


def edit_head(style: Style) -> Prompt:
    """The constant start of every edit prompt: everything before the user's own turn."""
    shown = EXAMPLES if style == "rich" else EXAMPLES[:1]
    return (*turn("system", EDIT_SYSTEM), *(part for one in shown for part in _example(one)))


def _example(example: Example) -> Prompt:
    known = Context(example.context, "")
    said = f"Instruction: {example.instruction}"
    asked = _asked(example.before, example.language, said, known)
    return (
        *turn("user", asked),
        *turn("assistant", f"```{example.language}\n{example.after}\n```"),
    )


def edit_prompt(task: EditTask, style: Style, count: Callable[[str], int]) -> Prompt:
    """The whole edit prompt; the assistant's turn is prefilled with the opening fence.

    ``count`` gives the tokens of a text: as much of the file's rest is shown as its budget allows.
    """
    fence = fence_for(task.region_text)
    block = task.block
    known = elsewhere = Context("", "")
    if style == "rich" and not task.alone:
        text = block.text.replace("\r\n", "\n")
        region = Region(*task.region)
        known = context(text, block.language, region, wanted=task.instruction, count=count)
        elsewhere = defined_elsewhere(block, task.others, count, task.instruction)
    asked = f"{elsewhere.instruction}Instruction: {task.instruction}"
    body = elsewhere.region + _asked(task.region_text, block.language, asked, known)
    return (
        *edit_head(style),
        *turn("user", body),
        START,
        f"assistant\n{fence}{block.language}\n",
    )


def _asked(region: str, language: str, asked: str, known: Context) -> str:
    """The user's turn; up to what is ``asked``, or what it names, nothing depends on it."""
    rest = fenced(f"{_REST}\n", known.region, language) if known.region else ""
    more = fenced(f"{_MORE}\n", known.instruction, language) if known.instruction else ""
    return f"{rest}{fenced('', region, language)}{more}{asked}"
