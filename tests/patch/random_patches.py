"""Random trees of files with a random patch for each, right or wrong in every way we know of.

A case depends on its seed only. About half of the patches apply; the others fail at any point, some
of them after a few sections have been applied.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sparkcode.patch.apply import split_lines
from sparkcode.patch.grammar import BEGIN_PATCH, END_OF_FILE, END_PATCH
from sparkcode.patch.writer import Endings, PatchWriter
from tests.patch.random_texts import misremembered, random_line, random_lines, random_text

_NAMES: Final = [
    "a", "b.py", "src/a.py", "src/deep/er/c.txt", "with space.md", "naïve/日本.txt", "-dash", "@@",
]  # fmt: skip
_NEW_NAMES: Final = [*_NAMES, "new", "n/e/w", "src/new.py", "./dot", "src/../up", "x//y"]
_BAD_NAMES: Final = [
    "missing", "src", ".", "src/", "a/below-a-file", "../outside", "no/../../outside", "", " ",
    "\t", "ret\rurn", "tab\there", "link", "folder-link/a.py", "n" * 300, "folder-link", "dangling",
]  # fmt: skip


Kind = Literal["file", "folder", "link"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link of a tree; ``data`` is a link's target."""

    kind: Kind
    data: bytes = b""


Tree = dict[str, Entry]
"""Entries by their path; the folders that files need are not listed."""


@dataclass(frozen=True, slots=True)
class Case:
    """A tree of files and the patch that is to be applied to it."""

    tree: Tree
    patch: bytes


def random_case(seed: int) -> Case:
    """The case number ``seed``."""
    rng = random.Random(seed)
    tree = _random_tree(rng)
    if rng.random() < 0.2:
        path = rng.choice([path for path, entry in tree.items() if entry.kind == "file"])
        text = _written(rng, path, tree[path].data.decode(errors="replace")) or _wrapped(rng, [])
    else:
        left = dict(tree)
        lines = [line for _ in range(rng.choice([1, 1, 2, 3, 5])) for line in _section(rng, left)]
        text = _wrapped(rng, lines)
    if rng.random() < 0.2:
        for _ in range(rng.choice([1, 1, 2, 4])):
            text = _with_fault(rng, text)
    data = text.encode() or b"\n"
    return Case(tree, data + b"\xff" if rng.random() < 0.003 else data)


def _random_tree(rng: random.Random) -> Tree:
    tree = {
        path: Entry("file", random_text(rng).encode())
        for path in rng.sample(_NAMES, rng.randrange(1, 5))
    }
    if rng.random() < 0.05:
        path = rng.choice(list(tree))
        tree[path] = Entry(
            "file", tree[path].data + rng.choice([b"\xff\n", b"\xc3\n", b"\xed\xa0"])
        )
    if rng.random() < 0.15:
        tree["link"] = Entry("link", rng.choice(list(tree)).encode())
    if rng.random() < 0.1:
        tree["folder-link"] = Entry("link", b"src")
    if rng.random() < 0.05:
        tree["dangling"] = Entry("link", rng.choice([b"nowhere", b"no/where", b"dangling"]))
    if rng.random() < 0.1:
        tree["empty"] = Entry("folder")
    return tree


def _section(rng: random.Random, tree: Tree) -> list[str]:
    """One file section; what it takes away goes from ``tree``: later ones seldom name it."""
    kind = rng.random()
    if kind < 0.15 or not tree:
        added = [f"+{line}" for line in random_lines(rng, 5)]
        return [f"*** Add File: {_new_path(rng)}", *added]
    path = _old_path(rng, tree)
    entry = tree.get(path, Entry("file", random_text(rng).encode()))
    if kind < 0.4 and rng.random() < 0.9:
        tree.pop(path, None)
    if kind < 0.25:
        return [f"*** Delete File: {path}"]
    lines = _codex_lines(entry.data.decode(errors="replace"))
    header = [f"*** Update File: {path}"]
    if kind < 0.4:
        header.append(f"*** Move to: {path if rng.random() < 0.03 else _new_path(rng)}")
    return header + _chunks(rng, lines)


def _old_path(rng: random.Random, tree: Tree) -> str:
    return rng.choice(_BAD_NAMES if rng.random() < 0.06 else list(tree))


def _new_path(rng: random.Random) -> str:
    return rng.choice(_BAD_NAMES if rng.random() < 0.06 else _NEW_NAMES)


def _codex_lines(text: str) -> list[str]:
    return [line for line, _ in split_lines(text, lone_cr=True)]


def _chunks(rng: random.Random, lines: list[str]) -> list[str]:
    """The chunks of an update of ``lines``, in the order of the file but for a fault."""
    count = rng.choice([1, 1, 1, 2, 2, 3])
    starts = sorted(rng.randrange(len(lines) + 1) for _ in range(count))
    if rng.random() < 0.05:
        rng.shuffle(starts)
    chunks: list[str] = []
    done = 0
    for number, start in enumerate(starts):
        follows = starts[number + 1] if number + 1 < count else len(lines)
        end = max(start, min(start + rng.randrange(6), len(lines)))
        if rng.random() < 0.9:
            end = min(end, max(start, follows))
        if number > 0 or rng.random() < 0.8:
            chunks += _context(rng, lines[done if rng.random() < 0.9 else 0 : start])
        done = end
        chunks += _changed(rng, lines[start:end])
        if rng.random() < (0.5 if end == len(lines) else 0.05):
            chunks.append(rng.choice([END_OF_FILE, END_OF_FILE, f"{END_OF_FILE} ", ""]))
    return chunks


def _context(rng: random.Random, before: list[str]) -> list[str]:
    """The ``@@`` line of a chunk: bare, a line above it, several, or one that is not there."""
    kind = rng.random()
    if kind < 0.45 or not before:
        return [rng.choice(["@@", "@@", "@@ ", "@@  "])]
    if kind < 0.85:
        return [f"@@ {_quoted(rng, rng.choice(before))}"]
    if kind < 0.93:
        return ["@@ " + " @@ ".join(rng.sample(before, min(2, len(before))))]
    if kind < 0.95:
        return [f"@@ {rng.choice(before)}", f"@@ {rng.choice(before)}"]
    return [f"@@ {random_line(rng)}"]


def _changed(rng: random.Random, old: list[str]) -> list[str]:
    changed = [rng.choice([" ", " ", "-"]) + _quoted(rng, line) for line in old]
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3] if changed else [0, *[1, 2] * 10])):
        changed.insert(rng.randrange(len(changed) + 1), f"+{random_line(rng)}")
    return ["" if line == " " and rng.random() < 0.5 else line for line in changed]


def _quoted(rng: random.Random, line: str) -> str:
    return misremembered(rng, line) if rng.random() < 0.08 else line


def _wrapped(rng: random.Random, lines: list[str]) -> str:
    ending = "\r\n" if rng.random() < 0.1 else "\n"
    if rng.random() < 0.05:
        lines = [rng.choice(["*** Environment ID: x", " *** Environment ID: y "]), *lines]
    lines = [BEGIN_PATCH, *lines, END_PATCH]
    if rng.random() < 0.1:
        start = rng.choice(["<<EOF", "<<'EOF'", '<<"EOF"'] * 3 + ["<<END", "cat <<EOF"])
        lines = [start, *lines, rng.choice(["EOF"] * 8 + ["xEOF", "END"])]
    if rng.random() < 0.05:
        lines = ["", " ", *lines, "", ""]
    return ending.join(lines) + rng.choice([ending, ending, ""])


def _written(rng: random.Random, path: str, text: str) -> str:
    """What our own writer makes of a random rewrite of a random region."""
    lines = text.split("\n")[: text.count("\n") + (not text.endswith("\n") and text != "")]
    first = rng.randrange(len(lines) + 1)
    last = rng.randrange(first, min(first + 8, len(lines)) + 1)
    new = [line for line in lines[first:last] if rng.random() < 0.8]
    for _ in range(rng.randrange(3) if len(new) < last - first else 1):
        new.insert(rng.randrange(len(new) + 1), random_line(rng))
    endings: Endings = "exact" if rng.random() < 0.2 else "follow"
    writer = PatchWriter(path, text, (first + 1, last), endings=endings)
    return writer.feed("".join(f"{line}\n" for line in new)) + writer.close()


def _with_fault(rng: random.Random, text: str) -> str:
    """``text`` with one line lost, doubled, moved, indented, cut, replaced or put in."""
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    if rng.random() < 0.2:
        headers = [number for number, line in enumerate(lines) if line.startswith(("***", "@@"))]
        at = rng.choice(headers or [at])
    fault: Callable[[str], list[str]] = rng.choice(
        [
            lambda line: [],
            lambda line: [line, line],
            lambda line: [f" {line}"],
            lambda line: [line[1:]],
            lambda line: [f"{line} "],
            lambda line: [f"{line}\r"],
            lambda line: [rng.choice("+- @*\\x") + line[1:]],
            lambda line: [line[: rng.randrange(len(line) + 1)]],
            lambda line: [line.swapcase()],
            lambda line: [rng.choice(_STRAY)],
            lambda line: [rng.choice(_STRAY), line],
        ]
    )
    if rng.random() < 0.1:
        return text[: rng.randrange(len(text) + 1)]
    return "\n".join([*lines[:at], *fault(lines[at]), *lines[at + 1 :]])


_STRAY: Final = [
    "", " ", "x", "\t", "@@", "@@ x", "@@x", "@@ ", "+", "-", "***", "*** ", "+++", "---", "EOF",
    BEGIN_PATCH, END_PATCH, END_OF_FILE, f" {END_PATCH}", f" {END_OF_FILE}", f"+{END_PATCH}",
    "*** Add File: n", "*** Delete File: a", "*** Update File: a", " *** Update File: a",
    "*** Move to: n", " *** Move to: n", "*** Add File:", "*** Update File: ", "*** Add File:n",
    "*** Environment ID: x", "*** Environment ID:", "*** Update file: a", "*** Rename File: a",
    "\\ No newline at end of file", "\\ Line ends with CRLF", "\\ Text ends with 1 CR", "\\ x",
]  # fmt: skip
