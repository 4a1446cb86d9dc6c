"""What a turn sends: the whole conversation as input items, built anew each time. Pure.

A request is always made in full; whether only its new part goes over the wire is the link's affair
(:mod:`sparkcode.link.chain`). For that to work the history must stay what the server has seen, so
an exchange, once answered, is never rewritten: each call the model made is followed by what became
of it, then by the next question.

Files travel as plain text inside the question. A file that is only context is sent again when its
content has changed; the one to be edited is always sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

import msgspec

from sparkcode.assistant.tools import NAMES, TOOLS
from sparkcode.assistant.turn import PATCH_TOOL
from sparkcode.protocol.blocks import FileBlock, render
from sparkcode.protocol.events import (
    CustomToolCallItem,
    FunctionCallItem,
    OutputItem,
    ReasoningItem,
    ResponseCreate,
)

Item = dict[str, Any]
"""One input item, as JSON."""

INSTRUCTIONS: Final = (
    "You are a coding assistant in a terminal. Make the smallest edit that does what is asked, "
    "within the marked region, and change nothing else. Edit files only through apply_patch. Run "
    "nothing. Answer questions briefly."
)

ABLE_INSTRUCTIONS: Final = (
    "You are a coding assistant in a terminal. Make the smallest edit that does what is asked and "
    "change nothing else. Lines marked as the edit region are where the user points; touch others "
    "only where the task needs it. Edit files only through apply_patch, with everything that "
    "belongs together in one patch. What you need and was not given, look up with list_files, "
    "search and read_file. Run a command only if the task asks for it. Answer questions briefly."
)
"""For a model that is able to use tools."""

REJECTED: Final = "rejected by the user"
UNANSWERED: Final = "not done: the user has stopped the turn"

_GRAMMAR: Final = r"""start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
"""

PATCH_TOOLS: Final[tuple[Item, ...]] = (
    {
        "type": "custom",
        "name": PATCH_TOOL,
        "description": "Edit files with a patch. The input is the patch itself, not JSON.",
        "format": {"type": "grammar", "syntax": "lark", "definition": _GRAMMAR},
    },
)


_DROPPED: Final = "(The user did not take that edit: the files are as they were before it.)\n"


@dataclass(slots=True)
class Exchange:
    """One question and what came of it."""

    user: Item
    output: tuple[OutputItem, ...] = ()
    """The response's whole items."""
    outcome: str = REJECTED
    """What is told about the patch of ``output``, if it has one."""
    earlier: list[Item] = field(default_factory=list)
    """The turn's earlier responses, each with what its calls brought."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Path to version of the files that the question carried."""
    blocks: tuple[FileBlock, ...] = ()
    """These files."""

    @property
    def dropped(self) -> bool:
        """Whether the model was told of patches that the user has then refused."""
        patched = any(item.get("name") == PATCH_TOOL for item in self.earlier)
        return patched and self.outcome == REJECTED

    def items(self) -> list[Item]:
        """The exchange as input items of a later request."""
        return [self.user, *self.earlier, *history_items(self.output), *self._outcomes({})]

    def answered(self, told: Mapping[str, str]) -> None:
        """The calls of ``output`` brought ``told``, by call id: the model goes on from there."""
        self.earlier += [*history_items(self.output), *self._outcomes(told)]
        self.output = ()

    def _outcomes(self, told: Mapping[str, str]) -> Iterable[Item]:
        for item in self.output:
            match item:
                case CustomToolCallItem(call_id=call_id, name=name):
                    own = self.outcome if name == PATCH_TOOL else _unanswered(name)
                    kind = "custom_tool_call_output"
                case FunctionCallItem(call_id=call_id, name=name):
                    own, kind = _unanswered(name), "function_call_output"
                case _:
                    continue
            yield {"type": kind, "call_id": call_id, "output": told.get(call_id, own)}


def _unanswered(name: str) -> str:
    return UNANSWERED if name in NAMES else f"no tool {name!r} here"


class Conversation:
    """The exchanges of a session, oldest first."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.able = False
        """Whether the engine's model is offered the tools that look and run."""
        self._exchanges: list[Exchange] = []

    def ask(self, instruction: str, blocks: Sequence[tuple[FileBlock, int]]) -> Exchange:
        """Add a question with its files and their versions; known context files are left out."""
        files = [
            (block, version)
            for block, version in blocks
            if block.region or block.selected or self._known(block.path) != version
        ]
        last = self._exchanges[-1] if self._exchanges else None
        if last is not None and last.dropped:
            instruction = f"{_DROPPED}{instruction}"
        exchange = Exchange(
            user_message(instruction, [block for block, _ in files]),
            files={block.path: version for block, version in files},
            blocks=tuple(block for block, _ in files),
        )
        self._exchanges.append(exchange)
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """Take out a question that was never answered."""
        self._exchanges = [kept for kept in self._exchanges if kept is not exchange]

    @property
    def long(self) -> bool:
        """Whether there is more than the newest question."""
        return len(self._exchanges) > 1

    def forget_all_but_newest(self) -> None:
        """Start over with the newest question."""
        del self._exchanges[:-1]

    def request(self) -> ResponseCreate:
        """The newest question with everything before it."""
        items = [item for e in self._exchanges for item in e.items()]
        return _request(self.model, items, able=self.able)

    def warm_up(self) -> ResponseCreate:
        """The request that prepares a connection: everything constant, nothing to generate."""
        return msgspec.structs.replace(_request(self.model, [], able=self.able), generate=False)

    def again(self, exchange: Exchange, instruction: str) -> ResponseCreate:
        """The question of ``exchange`` in other words, as if it had not been answered yet."""
        before = takewhile(lambda each: each is not exchange, self._exchanges)
        items = [item for each in before for item in each.items()]
        return build_request(instruction, exchange.blocks, self.model, items)

    def _known(self, path: str) -> int:
        versions = (e.files[path] for e in reversed(self._exchanges) if path in e.files)
        return next(versions, 0)


def only_read(blocks: Iterable[tuple[FileBlock, int]]) -> list[str]:
    """Paths of the files that are context: no line of theirs is marked or selected."""
    return [block.path for block, _ in blocks if not (block.regions or block.selected)]


def build_request(
    instruction: str, files: Sequence[FileBlock], model: str, history: Sequence[Item] = ()
) -> ResponseCreate:
    """The request of one turn with its full context: ``history``, then the question."""
    return _request(model, [*history, user_message(instruction, files)])


def user_message(instruction: str, files: Sequence[FileBlock]) -> Item:
    """The question as an item; with an edit region the text ends in ``Instruction: ...``."""
    edit = any(block.region is not None for block in files)
    asked = f"Instruction: {instruction}" if edit else instruction
    text = "\n".join([*(render(block) for block in files), asked])
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }


def history_items(output: Iterable[OutputItem]) -> list[Item]:
    """A response's items as input, without ids: a server that stores nothing knows none of them.

    Reasoning stays with the server that did it.
    """
    items: list[Item] = []
    for item in output:
        if isinstance(item, ReasoningItem):
            continue
        raw = msgspec.to_builtins(item)
        kept = {key: value for key, value in raw.items() if key not in ("id", "status")}
        if "content" in kept:
            kept["content"] = [
                {key: part[key] for key in part if key not in ("annotations", "logprobs")}
                for part in kept["content"]
            ]
        items.append(kept)
    return items


def updated_files(paths: Iterable[tuple[str, str]]) -> str:
    """What is told about an accepted patch; pairs of letter (A, M, D) and path."""
    listed = "".join(f"\n{letter} {path}" for letter, path in paths)
    return f"Success. Updated the following files:{listed}"


def _request(model: str, items: list[Item], *, able: bool = False) -> ResponseCreate:
    return ResponseCreate(
        model=model,
        instructions=ABLE_INSTRUCTIONS if able else INSTRUCTIONS,
        input=items,
        tools=[*PATCH_TOOLS, *(TOOLS if able else ())],
        tool_choice="auto",
        parallel_tool_calls=False,
        store=False,
        stream=True,
    )
