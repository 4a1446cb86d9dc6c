"""Conversations as prompts: questions about code are shown the code that they are about.

A message may carry whole files. What is read of them has a budget: the selected lines with what
they need of their file, else a file that is short, else what exists in it. An older message says of
a file only that it was there, when a newer one shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sparkcode.engine.base import Item, Message, ToolCall, ToolOutput
from sparkcode.engine.chatml import START, Prompt, fenced, turn
from sparkcode.engine.excerpts import Count, outlines, selection
from sparkcode.protocol.blocks import FileBlock, split

CHAT_SYSTEM: Final = "You are a coding assistant in a terminal. Answer briefly and to the point."
EXPLAIN_SYSTEM: Final = (
    "You explain code to a developer in a terminal. Say in a few short sentences what the selected "
    "lines do and why, then what is easily missed. Don't repeat the code."
)
FILE_TOKENS: Final = 1500
"""Longest file that a question is shown whole."""


def chat_prompt(items: Sequence[Item], count: Count) -> Prompt:
    """ChatML for a conversation, ending where the assistant's answer begins."""
    has_system = any(isinstance(item, Message) and item.role == "system" for item in items)
    newest = _newest(items)
    head = (
        () if has_system else turn("system", EXPLAIN_SYSTEM if _explains(newest) else CHAT_SYSTEM)
    )
    last: dict[str, int] = {}
    for at, item in enumerate(items):
        if isinstance(item, Message) and item.role == "user":
            last |= {block.path: at for block in split(item.text)[0]}
    turns = (part for at, item in enumerate(items) for part in _item_turn(item, at, last, count))
    return (*head, *turns, START, "assistant\n")


def _explains(message: Message | None) -> bool:
    """Whether selected lines are to be explained; a question about them is answered."""
    if message is None or message.text.rstrip().endswith("?"):
        return False
    return any(block.selected for block in split(message.text)[0])


def _newest(items: Sequence[Item]) -> Message | None:
    users = (item for item in reversed(items) if isinstance(item, Message) and item.role == "user")
    return next(users, None)


def _item_turn(item: Item, at: int, last: dict[str, int], count: Count) -> Prompt:
    match item:
        case Message(role="user", text=text):
            return turn("user", _read(text, at, last, count))
        case Message(role=role, text=text):
            return turn(role, text)
        case ToolCall(name=name, input=text):
            return turn("assistant", f"{name}\n{text}")
        case ToolOutput(output=output):
            return turn("user", f"Tool output:\n{output}")


def _read(text: str, at: int, last: dict[str, int], count: Count) -> str:
    """A user's message with as much of its files as is read."""
    blocks, said = split(text)
    if not blocks:
        return text
    shown = [
        _file(block, count) if last[block.path] == at else f"(File `{block.path}`: see below.)\n\n"
        for block in blocks
    ]
    return "".join([*shown, said])


def _file(block: FileBlock, count: Count) -> str:
    if block.selected is not None:
        return selection(block, count)
    text = block.text.replace("\r\n", "\n").removesuffix("\n")
    if count(text) <= FILE_TOKENS:
        return fenced(f"File `{block.path}`:\n", text, block.language)
    return outlines([block], "", count) or fenced(
        f"The beginning of `{block.path}`:\n", text[: 3 * FILE_TOKENS], block.language
    )
