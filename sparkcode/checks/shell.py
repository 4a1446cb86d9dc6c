"""Faults of a shell script: what was asked for and is plainly not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sparkcode.checks.fault import Fault
from sparkcode.syntax.grammars import parse

if TYPE_CHECKING:
    from tree_sitter import Node

_STOPS: Final = re.compile(
    r"\b(?:exit|stop|abort|fail|quit|bail out)\w*\b[^.;]*\bon (?:any |an |the first |first )?"
    r"(?:error|failure)s?\b|\bfail fast\b",
    re.IGNORECASE,
)
_STOPPING: Final = re.compile(r"^\s*set\s+-\w*e|\bset\s+-o\s+errexit|\|\|\s*(?:exit|\{)", re.M)
_QUOTE: Final = re.compile(r"\bquot(?:e|es|ing)\b", re.IGNORECASE)
_PLAIN: Final = re.compile(rb"\$[#?!$-]|\$\{#.*", re.DOTALL)
"""Values that hold no spaces."""
_VALUES: Final = frozenset({"simple_expansion", "expansion"})


def faults(before: str, after: str, instruction: str) -> Iterator[Fault]:
    """A script that goes on after errors, or values without quotes, against the instruction."""
    if _STOPS.search(instruction) and not _STOPPING.search(after):
        yield Fault("wording", "add the line `set -e`, so that it exits on errors")
    if _QUOTE.search(instruction) and re.search(r"\b(?:variable|expansion|argument)", instruction):
        for name in dict.fromkeys(_bare(after)):
            yield Fault("wording", f"put {name} into double quotes")


def _bare(text: str) -> Iterator[str]:
    """Values in a command's words without quotes, where they are split at their spaces."""
    tree = parse(text, "bash")
    nodes: list[Node] = [] if tree is None else [tree.root_node]
    while nodes:
        node = nodes.pop()
        nodes += reversed(node.named_children)
        word = node.parent
        if word is not None and word.type == "concatenation":
            word = word.parent
        value = node.text or b""
        split = word is not None and word.type == "command" and not _PLAIN.fullmatch(value)
        if split and node.type in _VALUES:
            yield value.decode(errors="replace")
