"""Requests to prompts: which kind of turn it is, and the exact text the model sees.

The rule that chooses is plain and visible: a turn is an **edit** when the newest user message marks
a region in a file block and the client offers ``apply_patch``; it is a **completion** when that
message marks a cursor in a file block (:mod:`sparkcode.engine.fim`); every other turn is **chat**.

Small models rewrite a marked region well and write patches badly, so an edit prompt holds the
region and the instruction, before them what the region needs of its file where the model is large
enough to profit, and the engine turns the rewritten region into a patch. The head of the
edit prompt never changes: its KV cache is computed once and kept. Wordings are those that did best
of twelve on 80 everyday edits.

A prompt is a sequence of plain text and :class:`Control` tokens, never one string: text that a user
or a file brings cannot spell a control token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sparkcode.engine.base import GenerateRequest, Item, Message, ToolCall, ToolOutput
from sparkcode.engine.examples import EXAMPLES, Example
from sparkcode.errors import EngineError
from sparkcode.protocol.blocks import FileBlock, split
from sparkcode.protocol.variants import PromptStyle
from sparkcode.syntax.lines import Region, disjoint, line_count
from sparkcode.syntax.outline import Context, context

CHAT_SYSTEM = "You are a coding assistant in a terminal. Answer briefly and to the point."

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
class Control:
    """One control token of the chat format, by its spelling."""

    spelling: str


Prompt = tuple[str | Control, ...]
"""Text and control tokens in turn; no two strings stand side by side."""

_START, END = Control("<|im_start|>"), Control("<|im_end|>")


@dataclass(frozen=True, slots=True)
class EditTask:
    """A region to rewrite."""

    block: FileBlock
    """With this region only."""
    instruction: str
    alone: bool = False
    """Whether the region says all that the model needs: then the rest of the file is not shown."""

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
    return tuple(
        EditTask(replace(same[0], region=(region.first, region.last), also=()), instruction)
        for same in files.values()
        for region in disjoint(_regions(same))
    )


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
    return (*_turn("system", EDIT_SYSTEM), *(part for one in shown for part in _example(one)))


def _example(example: Example) -> Prompt:
    known = Context(example.context, "")
    asked = _asked(example.before, example.language, example.instruction, known)
    return (
        *_turn("user", asked),
        *_turn("assistant", f"```{example.language}\n{example.after}\n```"),
    )


def edit_prompt(task: EditTask, style: Style, count: Callable[[str], int]) -> Prompt:
    """The whole edit prompt; the assistant's turn is prefilled with the opening fence.

    ``count`` gives the tokens of a text: as much of the file's rest is shown as its budget allows.
    """
    fence = fence_for(task.region_text)
    block = task.block
    known = Context("", "")
    if style == "rich" and not task.alone:
        text = block.text.replace("\r\n", "\n")
        region = Region(*task.region)
        known = context(text, block.language, region, wanted=task.instruction, count=count)
    body = _asked(task.region_text, block.language, task.instruction, known)
    return (
        *edit_head(style),
        *_turn("user", body),
        _START,
        f"assistant\n{fence}{block.language}\n",
    )


def _asked(region: str, language: str, instruction: str, known: Context) -> str:
    """The user's turn; up to the instruction, or what it names, nothing depends on it."""
    rest = _fenced(f"{_REST}\n", known.region, language) if known.region else ""
    more = _fenced(f"{_MORE}\n", known.instruction, language) if known.instruction else ""
    return f"{rest}{_fenced('', region, language)}{more}Instruction: {instruction}"


def _fenced(title: str, text: str, language: str) -> str:
    fence = fence_for(text)
    return f"{title}{fence}{language}\n{text}\n{fence}\n\n"


def fence_for(text: str) -> str:
    """A backtick fence that no line of ``text`` can close."""
    fence = "```"
    while any(line.strip().startswith(fence) for line in text.split("\n")):
        fence += "`"
    return fence


def chat_prompt(items: Sequence[Item]) -> Prompt:
    """ChatML for a conversation, ending where the assistant's answer begins."""
    has_system = any(isinstance(item, Message) and item.role == "system" for item in items)
    head = () if has_system else _turn("system", CHAT_SYSTEM)
    turns = (part for item in items for part in _item_turn(item))
    return (*head, *turns, _START, "assistant\n")


def _item_turn(item: Item) -> Prompt:
    match item:
        case Message(role=role, text=text):
            return _turn(role, text)
        case ToolCall(name=name, input=text):
            return _turn("assistant", f"{name}\n{text}")
        case ToolOutput(output=output):
            return _turn("user", f"Tool output:\n{output}")


def _turn(role: str, text: str) -> Prompt:
    return (_START, f"{role}\n{text}", END, "\n")
