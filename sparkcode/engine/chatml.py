"""The chat format of Qwen's models (ChatML), and code inside of it.

A prompt is a sequence of plain text and :class:`Control` tokens, never one string: text that a user
or a file brings cannot spell a control token.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Control:
    """One control token of the chat format, by its spelling."""

    spelling: str


Prompt = tuple[str | Control, ...]
"""Text and control tokens in turn; no two strings stand side by side."""

START, END = Control("<|im_start|>"), Control("<|im_end|>")


def fenced(title: str, text: str, language: str) -> str:
    """``text`` in a fence under ``title``, with a blank line below."""
    fence = fence_for(text)
    return f"{title}{fence}{language}\n{text}\n{fence}\n\n"


def fence_for(text: str) -> str:
    """A backtick fence that no line of ``text`` can close."""
    fence = "```"
    while any(line.strip().startswith(fence) for line in text.split("\n")):
        fence += "`"
    return fence


def turn(role: str, text: str) -> Prompt:
    """One turn of the chat format."""
    return (START, f"{role}\n{text}", END, "\n")
