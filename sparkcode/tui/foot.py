"""What stands below the newest turn: its edit, how it ended, how fast it was, and the link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkcode.assistant.edits import EditState
from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.preview import EditPreview
from sparkcode.assistant.session import Session
from sparkcode.assistant.turn import Turn
from sparkcode.tui.cells import visible
from sparkcode.tui.panes import counts
from sparkcode.tui.status import Part, milliseconds, rate

_EDITS: Final = {
    "streaming": ("streaming", "accent"),
    "pending": ("y accept, n reject", "fair"),
    "accepted": ("accepted", "good"),
    "rejected": ("rejected, nothing was written", "muted"),
    "undone": ("undone", "muted"),
    "failed": ("cannot be applied", "bad"),
    "none": ("partial, nothing was written", "muted"),
}
_LINKS: Final = {
    "connecting": "connecting to the engine ... (what you send goes out when it is ready)",
    "reconnecting": "the link was lost, reconnecting ...",
    "down": "no engine, still trying",
}
_DROPPED: Final = ("dropped, nothing was written", "muted")


FILES_SHOWN: Final = 3
"""Files of the context that are named; of more, only how many."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is known of a turn's edit and speed just before the next turn replaces both."""

    edit: EditState
    previews: Mapping[str, EditPreview]
    error: str
    stats: StreamStats


def leaving(session: Session, stats: StreamStats) -> Leaving:
    """The newest turn's, now."""
    return Leaving(session.edit, session.previews, session.edit_error, stats)


def settled(turn: Turn, left: Leaving) -> list[Part]:
    """The foot of a turn that is not the newest any more: an open edit of it was dropped."""
    open_edit = left.edit in ("streaming", "pending")
    label, style = _DROPPED if open_edit else _EDITS[left.edit]
    rows = _files(left.previews, label, style)
    if left.error and left.edit == "failed":
        rows.append((f"✗ {visible(left.error)}", "bad"))
    return rows + _ending(turn, left.stats)


def foot(session: Session, stats: StreamStats, notice: str) -> list[Part]:
    """The rows as text and style; the transcript wraps them."""
    rows: list[Part] = []
    turn = session.turn
    if turn is not None:
        rows += _edit(session)
        rows += _asking(session) or _ending(turn, stats)
        rows += _context(turn)
    rows += _link(session)
    if notice:
        rows.append((visible(notice), "fair"))
    return rows


def _edit(session: Session) -> list[Part]:
    label, style = _EDITS[session.edit]
    if session.edit == "pending" and session.asking:
        label = "so far"
    rows = _files(session.previews, label, style)
    for note in (session.edits.note, session.edits.unfit):
        rows += [(f"! {visible(note)}", "fair")] if note else []
    if session.edit in ("pending", "none", "failed"):
        rows += _tries(session)
    if session.edit_error and session.edit != "rejected":
        way_out = "; n rejects the edit" if session.edit == "pending" else ""
        rows.append((f"✗ {visible(session.edit_error)}{way_out}", "bad"))
    return rows


def _asking(session: Session) -> list[Part]:
    """The command that waits for the user's word, whole."""
    if not session.asking:
        return []
    return [
        ("? The model asks to run this in a copy of the folder:", "fair"),
        (f"  {visible(session.asking)}", "text"),
        ("  y runs it, n does not", "fair"),
    ]


def _tries(session: Session) -> list[Part]:
    """What the checks said of the answer, and whether another took its place."""
    improving = session.improving
    if not improving.shown:
        return []
    first, faults = improving.shown[0], improving.faults or ()
    wrong = visible("; ".join(fault.message for fault in (faults or first.faults)))
    count, chosen = len(improving.shown), next(one for one in improving.shown if one.chosen)
    if improving.active and faults:
        return [(f"↻ {wrong}; asking again ({count} of {improving.limit})", "fair")]
    if faults:
        return [(f"! may be wrong: {wrong} (best of {count})", "fair")]
    rows: list[Part] = []
    if chosen.number > 1:
        rows.append((f"✓ answer {chosen.number} of {count}; the first: {wrong}", "muted"))
    if chosen.mended:
        rows.append((f"✓ mended: {visible('; '.join(chosen.mended))}", "muted"))
    return rows


def _files(previews: Mapping[str, EditPreview], label: str, style: str) -> list[Part]:
    return [
        (f"± {visible(path)}  {counts(preview)}  {label}", style)
        for path, preview in previews.items()
    ]


def _ending(turn: Turn, stats: StreamStats) -> list[Part]:
    match turn.phase:
        case "waiting" | "working":
            return [("...", "muted")]
        case "interrupted":
            return [("■ stopped", "fair")]
        case "failed":
            return [(f"✗ {visible(turn.error)}", "bad")]
        case "completed" if stats.ttft is not None and stats.elapsed is not None:
            speed = rate(stats.tokens_per_second, 1)
            text = (
                f"wall: {milliseconds(stats.ttft, 1).strip()} to first token, {speed} tok/s,"
                f" {milliseconds(stats.elapsed, 1).strip()} in all"
            )
            return [(text, "muted")]
        case _:
            return []


def _context(turn: Turn) -> list[Part]:
    """What the engine was given to read, in tokens and in files besides the target's."""
    said: list[str] = []
    known = turn.usage
    if known is not None and known.input_tokens:
        cached = known.input_tokens_details.cached_tokens
        said.append(f"{known.input_tokens:,} tokens, {cached:,} cached")
    if turn.reads:
        more = len(turn.reads) - FILES_SHOWN
        names = ", ".join(turn.reads[:FILES_SHOWN])
        said.append(f"with {names}" + (f" +{more} more" if more > 0 else ""))
    return [(visible(f"context: {'; '.join(said)}"), "muted")] if said else []


def _link(session: Session) -> list[Part]:
    state = session.link.state
    if state not in _LINKS or (state == "connecting" and session.turn is None):
        return [] if state in _LINKS else _peer_note(session)
    style = "bad" if state == "down" else "fair"
    rows = [(_LINKS[state], style)]
    if session.link.error:
        rows.append((f"✗ {visible(session.link.error)}", style))
    return rows


def _peer_note(session: Session) -> list[Part]:
    peer = session.link.peer
    if session.turn is not None or peer is None or not peer.note:
        return []
    return [("", "text"), (visible(peer.note), "muted")]
