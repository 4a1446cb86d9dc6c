"""Several patches of one turn, each made on top of the ones before, as a single patch."""

from __future__ import annotations

from itertools import groupby

from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.edit import Plan
from sparkcode.patch.apply import split_lines
from sparkcode.patch.grammar import ADD_FILE, BEGIN_PATCH, DELETE_FILE, END_PATCH
from sparkcode.patch.writer import PatchWriter


def together(earlier: Plan | None, later: Plan) -> Plan:
    """What both do to the files on disk; ``later`` starts from what ``earlier`` leaves."""
    if earlier is None:
        return later
    before = {**later.before, **earlier.before}
    after = {**earlier.after, **later.after}
    # What one has added and the other has taken away again was never there.
    changed = [path for path in after if before[path] is not None or after[path] is not None]
    return Plan({path: before[path] for path in changed}, {path: after[path] for path in changed})


def as_patch(before: Contents, after: Contents) -> str:
    """The patch that makes ``after`` of ``before``; "" if nothing changes.

    A file that is added ends its last line.
    """
    bodies = [_body(path, before[path], data) for path, data in after.items()]
    whole = "".join(bodies)
    return f"{BEGIN_PATCH}\n{whole}{END_PATCH}\n" if whole else ""


def _body(path: str, before: bytes | None, after: bytes | None) -> str:
    if after is None:
        return "" if before is None else f"{DELETE_FILE}{path}\n"
    new = after.decode()
    if before is None:
        return f"{ADD_FILE}{path}\n" + "".join(f"+{line}\n" for line, _ in split_lines(new))
    old = before.decode()
    writer = PatchWriter(path, old, (1, len(split_lines(old))), endings="exact")
    patch = writer.feed(new) + writer.close()
    return _removed_first(patch.removeprefix(f"{BEGIN_PATCH}\n").removesuffix(f"{END_PATCH}\n"))


def _removed_first(body: str) -> str:
    """``body`` as people write it; a writer that streams does not know what a new line replaces.

    A backslash line belongs to the line before it.
    """
    lines: list[str] = []
    for line in (f"{each}\n" for each in body.split("\n")[:-1]):
        if line.startswith("\\") and lines:
            lines[-1] += line
        else:
            lines.append(line)
    runs = groupby(lines, key=lambda line: line[0] in "+-")
    return "".join(
        line
        for changed, run in runs
        for line in (sorted(run, key=lambda line: line[0] == "+") if changed else run)
    )
