"""Edit tasks: everyday edits with a check that says whether the edited file is right.

A task is an edit of :mod:`sparkcode.bench.workload` with ``klass``, its kind, and ``check``:

``tests``     ``tests`` is Python that runs after the edited text, in one module, with the edited
              text also in the string ``SOURCE``; exit status 0 passes
``contains``  ``tests`` is an object: every regular expression of its list ``must``, and none of
              ``must_not``, is found in the text

``after``, if given, is one right answer: lines that it keeps are lines the edit should leave alone.
"""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from sparkcode.assistant.sandbox import Limits, run_limited
from sparkcode.bench.workload import Edit, builtin_text, parse_lines, read_text
from sparkcode.errors import WorkspaceError

LIMITS: Final = Limits(seconds=20.0)
_MODULE: Final = "edited.py"


class Patterns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Regular expressions that the edited text has to contain, or must not."""

    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.must or self.must_not):
            raise ValueError("neither 'must' nor 'must_not' says what to look for")
        for pattern in (*self.must, *self.must_not):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


class Task(Edit, frozen=True):
    """One edit and its check."""

    check: Literal["tests", "contains"]
    tests: str | Patterns
    klass: str = "other"
    after: str | None = None

    def __post_init__(self) -> None:
        form, wanted = ("a string", str) if self.check == "tests" else ("an object", Patterns)
        if not isinstance(self.tests, wanted):
            raise ValueError(f"the check {self.check!r} needs {form} as 'tests'")


def builtin_tasks() -> list[Task]:
    """The tasks that come with the package."""
    return parse_lines(builtin_text(), "edits.jsonl", Task)


def read_tasks(path: Path) -> list[Task]:
    """The tasks of a file; WorkspaceError when it cannot be read or a line is no task."""
    tasks = parse_lines(read_text(path), str(path), Task)
    twice = {task.id for n, task in enumerate(tasks) if task.id in {t.id for t in tasks[:n]}}
    if twice:
        raise WorkspaceError(f"{str(path)!r} names a task twice: {min(twice)!r}")
    return tasks


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an edited text is right, and in one line why not."""

    passed: bool
    reason: str = ""


def judge(task: Task, text: str, folder: Path, limits: Limits = LIMITS) -> Verdict:
    """Check an edited text; ``folder`` is empty, and what runs stays in it."""
    if isinstance(task.tests, Patterns):
        return _contains(task.tests, text)
    source = f"{text}\n\nSOURCE = {text!r}\n{task.tests}"
    (folder / _MODULE).write_text(source, encoding="utf-8", newline="")
    outcome = run_limited([sys.executable, "-B", _MODULE], folder, limits)
    if outcome.ok:
        return Verdict(True)
    if outcome.status is None:
        return Verdict(False, f"its tests were not done after {limits.seconds:g} s")
    lines = [line for line in outcome.output.splitlines() if line.strip()]
    shown = (line.strip() for line in reversed(lines) if line.startswith("    "))
    place = next((line for line in shown if line.strip("~^ ")), "")
    error = lines[-1].strip() if lines else f"exit status {outcome.status}"
    return Verdict(False, f"{error} ({place})" if place else error)


def _contains(patterns: Patterns, text: str) -> Verdict:
    for pattern in patterns.must:
        if not re.search(pattern, text):
            return Verdict(False, f"{pattern!r} is not found")
    for pattern in patterns.must_not:
        if re.search(pattern, text):
            return Verdict(False, f"{pattern!r} is found")
    return Verdict(True)


def untouched(task: Task, text: str) -> bool | None:
    """Whether every line that the right answer keeps is kept, in order and byte for byte.

    None where no right answer is known.
    """
    if task.after is None:
        return None
    before, right = task.before.split("\n"), task.after.split("\n")
    matcher = difflib.SequenceMatcher(None, before, right, autojunk=False)
    kept = [
        line
        for start, _, count in matcher.get_matching_blocks()
        for line in before[start : start + count]
    ]
    rest = iter(text.split("\n"))
    return all(any(line == other for other in rest) for line in kept)
