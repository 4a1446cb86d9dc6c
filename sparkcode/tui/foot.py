"""What stands below the newest turn: its edit, how it ended, how fast it was, and the link."""

from __future__ import annotations

from typing import Final

from sparkcode.assistant.meter import StreamStats
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


def foot(session: Session, stats: StreamStats, notice: str) -> list[Part]:
    """The rows as text and style; the transcript wraps them."""
    rows: list[Part] = []
    turn = session.turn
    if turn is not None:
        rows += _edit(session)
        rows += _ending(turn, stats)
    rows += _link(session)
    if notice:
        rows.append((visible(notice), "fair"))
    return rows


def _edit(session: Session) -> list[Part]:
    label, style = _EDITS[session.edit]
    rows = [
        (f"± {visible(path)}  {counts(preview)}  {label}", style)
        for path, preview in session.previews.items()
    ]
    if session.edit_note:
        rows.append((f"! {visible(session.edit_note)}", "fair"))
    if session.edit_error:
        rows.append((f"✗ {visible(session.edit_error)}", "bad"))
    return rows


def _ending(turn: Turn, stats: StreamStats) -> list[Part]:
    match turn.phase:
        case "waiting":
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
