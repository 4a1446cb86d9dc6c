"""What ``sparkcode exec`` prints: text and a unified diff, or JSON lines.

The JSON lines are ``turn.started``, then ``text.delta`` and ``patch.delta`` as they come, ``try``
for each answer that was checked, ``patch.replaced`` when another than the first is taken or several
patches become one, ``tool`` for each tool that the model has used, perhaps ``note`` and ``error``,
and last ``turn.completed`` or ``turn.failed``. Times are in seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from sparkcode.assistant.plain import one_line, plain
from sparkcode.assistant.unified import unified_diff

if TYPE_CHECKING:
    from sparkcode.assistant.improving import Improving
    from sparkcode.assistant.meter import StreamStats
    from sparkcode.assistant.session import Session
    from sparkcode.assistant.tries import Try
    from sparkcode.assistant.turn import Turn

Output = Literal["text", "diff", "json"]

SCHEMA: Final = 1
"""Version of the JSON lines; grows when a key changes its meaning or goes."""


SAID: Final = 200
"""Characters of an answer in words that stand for it where only an edit is printed."""


class Printer:
    """Turns the growing turn into lines on stdout."""

    def __init__(self, output: Output, turn: Turn) -> None:
        self._output = output
        self._text = 0
        self._patch = ""
        self._round = 1
        self._uses = 0
        self._tries = 0
        self._found = ""
        """What was wrong with the answer that was checked last."""
        self._diffs: dict[str, str] = {}
        """Unified diff of each file that a pending edit changes."""
        self._event(
            "turn.started",
            schema=SCHEMA,
            instruction=turn.instruction,
            target=turn.target,
            reads=turn.reads,
        )

    def show(self, turn: Turn | None) -> None:
        """Whatever is new."""
        if turn is None:
            return
        if len(turn.text) > self._text:
            delta = turn.text[self._text :]
            self._text = len(turn.text)
            self._event("text.delta", delta=delta)
            if self._output == "text":
                click.echo(delta, nl=False)
        for use in turn.uses[self._uses :]:
            self._event("tool", said=use.said)
            progress(use.said)
        self._uses = len(turn.uses)
        if turn.round != self._round:
            self._round, self._patch = turn.round, ""
        if turn.patch == self._patch:
            return
        whole = turn.final and turn.round > 1
        if turn.patch.startswith(self._patch) and not whole:
            self._event("patch.delta", delta=turn.patch[len(self._patch) :])
        else:
            self._event("patch.replaced", patch=turn.patch)
        self._patch = turn.patch

    def tried(self, improving: Improving) -> None:
        """Whatever answers were checked since."""
        shown = improving.shown
        for one, row in list(zip(shown, try_rows(shown), strict=True))[self._tries :]:
            self._event("try", **{key: row[key] for key in row if key != "chosen"})
            found = "; ".join(fault.message for fault in one.faults)
            if improving.limit > 1 and (found or one.number > 1):
                same = one.number > 1 and found == self._found
                progress(f"try {one.number}: {'the same' if same else found or 'no fault'}")
            if one.mended:
                progress(f"mended: {'; '.join(one.mended)}")
            self._found = found
        self._tries = len(shown)

    def pending(self, session: Session) -> None:
        """There is an edit that fits: what it changes, before anything is written."""
        self._diffs = {
            path: unified_diff(path, before, after)
            for path, (before, after) in session.edits.plan().pairs.items()
        }

    def diff(self) -> None:
        """The pending edit, unless JSON was asked for."""
        if self._output == "json":
            return
        self._end_text()
        text = "".join(self._diffs.values())
        if sys.stdout.isatty():
            text = plain(text)
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

    def completed(self, session: Session, error: str) -> None:
        """The last line, and what became of the files."""
        self._end_text()
        if error:
            self._event("error", message=error)
            progress(f"error: {error}")
        files = file_rows(session, self._diffs)
        if self._output == "diff" and not files and not error and session.turn is not None:
            said = one_line(session.turn.text)[:SAID]
            progress(f"no edit: {said}" if said else "no edit")
        if self._output != "json":
            for row in files:
                counts = f"{row['path']} (+{row['added']} -{row['removed']})"
                progress(f"{'applied' if row['applied'] else 'not applied'}: {counts}")
            return
        turn, peer = session.turn, session.link.peer
        assert turn is not None
        stats = session.meter.stats(asyncio.get_running_loop().time())
        engine = peer.engine if peer is not None else ""
        model = turn.model or (peer.model if peer is not None else "")
        self._event(
            "turn.completed",
            schema=SCHEMA,
            engine=engine or "responses",
            model=model,
            **figures(stats),
            usage=usage(turn),
            files=files,
            tries=try_rows(session.improving.shown),
        )

    def note(self, message: str) -> None:
        """Something about the edit that is no failure."""
        self._event("note", message=message)
        progress(f"note: {message}")

    def failed(self, error: str) -> None:
        self._end_text()
        self._event("turn.failed", schema=SCHEMA, error=error)
        progress(f"error: {error}")

    def _end_text(self) -> None:
        if self._text and self._output == "text":
            click.echo()
            self._text = 0

    def _event(self, kind: str, **fields: Any) -> None:
        if self._output == "json":
            click.echo(json.dumps({"type": kind, **fields}, ensure_ascii=False))


def figures(stats: StreamStats) -> dict[str, Any]:
    """Times in seconds and rates in tokens a second; simulated ones apart.

    An answer that came in one piece has no rate between its tokens; then it is the rate of the
    whole turn, request included, which can only be lower. null where there is none either.
    """
    rate, sim_rate = stats.tokens_per_second, stats.sim_tokens_per_second
    return {
        "ttft": stats.ttft,
        "tokens_per_second": stats.turn_rate if rate is None else rate,
        "sim": {
            "ttft": stats.sim_ttft,
            "tokens_per_second": stats.sim_turn_rate if sim_rate is None else sim_rate,
        },
    }


def try_rows(tries: Sequence[Try]) -> list[dict[str, Any]]:
    """The answers that were checked, oldest first."""
    return [
        {
            "number": one.number,
            "model": one.model,
            "faults": [fault.message for fault in one.faults],
            "output_tokens": one.output_tokens,
            "chosen": one.chosen,
            "mended": list(one.mended),
        }
        for one in tries
    ]


def usage(turn: Turn) -> dict[str, int]:
    """Token counts as the engine gave them; 0 where it gave none."""
    known = turn.usage
    return {
        "input_tokens": known.input_tokens if known else 0,
        "cached_tokens": known.input_tokens_details.cached_tokens if known else 0,
        "output_tokens": known.output_tokens if known else 0,
    }


def file_rows(session: Session, diffs: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row a file that the edit names; lines are counted in its diff where it has one."""
    return [
        {
            "path": path,
            "applied": session.edit == "accepted",
            "added": changed_lines(diffs[path], "+") if path in diffs else preview.added,
            "removed": changed_lines(diffs[path], "-") if path in diffs else preview.removed,
        }
        for path, preview in session.previews.items()
    ]


def changed_lines(diff: str, sign: str) -> int:
    """Lines that a unified diff of one file adds (``+``) or removes (``-``)."""
    _, _, *body = diff.split("\n") if diff else ["", ""]
    return sum(line.startswith(sign) for line in body)


def progress(line: str) -> None:
    """One line for the user, apart from the data."""
    click.echo(line, err=True)
