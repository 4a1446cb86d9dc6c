"""Fill in the middle: a file with a cursor in it becomes the prompt of a completion. Pure.

Qwen's coder models were trained to continue this (Hui et al. 2024, "Qwen2.5-Coder Technical
Report"), each other file before the one to be completed:

    <|repo_name|>NAME
    <|file_sep|>OTHER PATH
    ...its text...
    <|file_sep|>PATH
    <|fim_prefix|>...before the cursor...<|fim_suffix|>...behind it...<|fim_middle|>

What does not fit is left out, the part near the cursor last. A file's start is cut at lines whose
numbers are multiples of a stride: while somebody types, the prompt keeps its beginning, and with it
the cache of keys and values. A space or tab just before the cursor is left out, because a word and
the space before it are one token; the model says it again (:mod:`sparkcode.engine.ending`).

The first two lines, and the path, are there where other files are: alone, a file is trained bare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sparkcode.engine.base import GenerateRequest
from sparkcode.engine.chatml import Control, Prompt
from sparkcode.errors import EngineError
from sparkcode.protocol.blocks import COMPLETE_LINE, Cursor, FileBlock, split

DEFAULT_COMPLETION_TOKENS: Final = 256
"""Longest completion of a client that sets no limit."""

PROMPT_TOKENS: Final = 2048
"""What a completion reads at most: half of it before the cursor, an eighth behind, the rest is of
other files."""

STRIDE_LINES: Final = 32

PREFIX, SUFFIX = Control("<|fim_prefix|>"), Control("<|fim_suffix|>")
MIDDLE = Control("<|fim_middle|>")
_REPO, _FILE = Control("<|repo_name|>"), Control("<|file_sep|>")

NEEDED: Final = (PREFIX, SUFFIX, MIDDLE, _REPO, _FILE)
"""Control tokens that a model must have."""

Count = Callable[[str], int]
"""Tokens of a text."""


@dataclass(frozen=True, slots=True)
class CompletionTask:
    """A place to complete. Endings are LF."""

    path: str
    language: str
    prefix: str
    """The file before the cursor."""
    suffix: str
    """The file behind it."""
    others: tuple[FileBlock, ...] = ()
    line_only: bool = False
    """Whether the completion ends with its line, because that was asked for."""


def completion_task(request: GenerateRequest) -> CompletionTask | None:
    """The completion that the request asks for: its newest user message marks a cursor.

    EngineError ``invalid_prompt`` when the cursor lies outside its file.
    """
    blocks, rest = split(request.last_user_text)
    marked = next((block for block in blocks if block.cursor is not None), None)
    if marked is None or marked.cursor is None:
        return None
    at = offset(marked, marked.cursor)
    others = tuple(block for block in blocks if block is not marked)
    return CompletionTask(
        marked.path,
        marked.language,
        marked.text[:at].replace("\r\n", "\n"),
        marked.text[at:].replace("\r\n", "\n"),
        others,
        rest.startswith(COMPLETE_LINE),
    )


def offset(block: FileBlock, cursor: Cursor) -> int:
    """Characters of the block's text before ``cursor``."""
    lines = block.text.split("\n")
    if 1 <= cursor.line <= len(lines):
        line = lines[cursor.line - 1]
        # Between the CR and the LF of an ending there is no place.
        if 1 <= cursor.column <= len(line.removesuffix("\r")) + 1:
            return sum(len(line) + 1 for line in lines[: cursor.line - 1]) + cursor.column - 1
    raise EngineError(
        f"line {cursor.line} column {cursor.column} lies outside {block.path!r}", "invalid_prompt"
    )


def completion_prompt(task: CompletionTask, count: Count, tokens: int = PROMPT_TOKENS) -> Prompt:
    """The whole prompt, of about ``tokens`` tokens at most."""
    behind = tokens // 8
    before = tokens // 2
    spoken = len(spoken_again(task.prefix))
    prefix = near_end(task.prefix[: len(task.prefix) - spoken], before, count)
    suffix = near_start(task.suffix, behind, count)
    around: Prompt = ()
    if task.others:
        others = _other_files(task.others, tokens - before - behind, count)
        around = (_REPO, "workspace\n", *others, _FILE, f"{task.path}\n")
    return (
        *around,
        PREFIX,
        *((prefix,) if prefix else ()),
        SUFFIX,
        *((suffix,) if suffix else ()),
        MIDDLE,
    )


def spoken_again(prefix: str) -> str:
    """The end of ``prefix`` that the model is to say once more: a space, a tab or nothing."""
    return prefix[-1:] if prefix.endswith((" ", "\t")) else ""


def _other_files(files: Sequence[FileBlock], tokens: int, count: Count) -> Iterator[str | Control]:
    """Each file's start, in equal shares: imports and definitions stand there."""
    for block in files:
        text = near_start(block.text.replace("\r\n", "\n"), tokens // len(files), count)
        yield _FILE
        yield f"{block.path}\n{text}" + ("" if text.endswith("\n") else "\n")


def near_end(text: str, tokens: int, count: Count) -> str:
    """The last lines of ``text`` that fit, from a line whose number is a multiple of the stride.

    Where not even the stretch after such a line fits, from the first line that does; of a last line
    that is too long, its end.
    """
    lines = text.split("\n")
    first, used = len(lines), 0
    while first > 0 and used + (cost := count(lines[first - 1] + "\n")) <= tokens:
        first, used = first - 1, used + cost
    if first == len(lines):
        return _shortened(lines[-1], tokens, count, keep="end")
    even = -(-first // STRIDE_LINES) * STRIDE_LINES
    return "\n".join(lines[even if even < len(lines) else first :])


def near_start(text: str, tokens: int, count: Count) -> str:
    """The first lines of ``text`` that fit; of a first line that is too long, its start."""
    lines = text.split("\n")
    end, used = 0, 0
    while end < len(lines) and used + (cost := count(lines[end] + "\n")) <= tokens:
        end, used = end + 1, used + cost
    if end == 0:
        return _shortened(lines[0], tokens, count, keep="start")
    return "\n".join(lines[:end]) + ("\n" if end < len(lines) else "")


def _shortened(line: str, tokens: int, count: Count, *, keep: str) -> str:
    # A token is seldom longer than this, so that little of a long line is counted.
    size = min(len(line), 16 * tokens)
    while True:
        part = line[len(line) - size :] if keep == "end" else line[:size]
        if not size or count(part) <= tokens:
            return part
        size = size * 3 // 4
