"""What the status lines say, as parts: a text and the name of a :class:`Paint` style.

Numbers have a fixed width, so that a line does not shiver while they change, and an unknown one is
``-``. Wall time and simulated time are on lines of their own, each with its name in front. Colour
only repeats what the text says.

Bands, in seconds, are human ones: up to 0.1 feels instant, up to 0.4 keeps the thread (Doherty and
Thadani, 1982), beyond that it is a wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from sparkcode.assistant.flight import Link
from sparkcode.assistant.meter import StreamStats
from sparkcode.tui.cells import clip, visible

Part = tuple[str, str]
"""A text and the name of a style of :class:`~sparkcode.tui.paint.Paint`."""
Parts = list[Part]

INSTANT_SECONDS: Final = 0.1
DOHERTY_SECONDS: Final = 0.4
KEEPING_UP: Final = 0.95
"""Display efficiency from which the screen is no bottleneck."""

LATE_SECONDS: Final = 0.005
"""From here on it is said that the computation could not keep the simulated chip's pace."""

WIDE_CELLS: Final = 100
"""Width from which the wall line spells out its names."""
ENGINE_CELLS: Final = 114
"""Width from which the wall line tells how much of the TTFT the engine took."""
ACCEPTED_CELLS: Final = 122
"""Width from which the wall line tells how many tokens the engine's passes brought."""

_STATES: Final = {
    "connecting": ("◌", "fair"),
    "ready": ("●", "good"),
    "reconnecting": ("◌", "fair"),
    "down": ("✗", "bad"),
    "closed": ("○", "muted"),
}
_KINDS: Final = {"websocket": "ws", "sse": "sse", "memory": "memory", "tape": "tape"}


def milliseconds(seconds: float | None, width: int = 5) -> str:
    """``seconds`` as ``  85ms`` or ``  1.2s`` in ``width`` + 2 cells; ``-`` when unknown.

    Up to 99.9 s a cell stays free on the left, so that the figure never touches its label.
    """
    if seconds is None:
        return "-".rjust(width) + "  "
    thousandths = seconds * 1000
    if thousandths < 9.95:
        return f"{thousandths:.1f}".rjust(width) + "ms"
    if thousandths < 999.5:
        return f"{thousandths:.0f}".rjust(width) + "ms"
    digits = 1 if seconds < 99.95 else 0
    return f"{min(seconds, 9999):.{digits}f}".rjust(width + 1) + "s"


def rate(tokens_per_second: float | None, width: int = 5) -> str:
    """Tokens a second in ``width`` cells; ``-`` when unknown."""
    if tokens_per_second is None:
        return "-".rjust(width)
    digits = 1 if tokens_per_second < 9.95 else 0
    return f"{tokens_per_second:.{digits}f}".rjust(width)


def latency_band(seconds: float | None) -> str:
    """The style of a time to first token or paint."""
    if seconds is None:
        return "muted"
    if seconds <= INSTANT_SECONDS:
        return "good"
    return "fair" if seconds <= DOHERTY_SECONDS else "bad"


def wall_line(stats: StreamStats, width: int) -> Parts:
    """Latencies and rates as they were here, at this socket and this screen."""
    wide = width >= WIDE_CELLS
    live = stats.live_tokens_per_second
    shown = stats.tokens_per_second if live is None else live
    itl = f"{_itl(stats.itl_p50)}/{_itl(stats.itl_p95)}ms"
    efficiency = stats.display_efficiency
    percent = "  -" if efficiency is None else f"{efficiency * 100:3.0f}"
    behind = "muted" if efficiency is None else "good" if efficiency >= KEEPING_UP else "bad"
    gap = "  " if wide else " "
    engine: Parts = []
    if width >= ENGINE_CELLS:
        engine = [(" of it engine", "muted"), (milliseconds(stats.engine_ttft, 4), "text")]
    accepted: Parts = []
    if width >= ACCEPTED_CELLS and stats.accepted_per_step is not None:
        accepted = [(f"  {min(stats.accepted_per_step, 99.9):4.1f}", "text"), ("/pass", "muted")]
    return [
        ("wall ", "primary"),
        ("TTFT", "muted"),
        (milliseconds(stats.ttft, 4), latency_band(stats.ttft)),
        *engine,
        (f"{gap}TTFP", "muted"),
        (milliseconds(stats.ttfp, 4), latency_band(stats.ttfp)),
        (f"{gap}ITL p50/p95 " if wide else f"{gap}ITL ", "muted"),
        (itl, "text"),
        (gap, "muted"),
        (rate(shown), "text"),
        (" tok/s", "muted"),
        (f"{gap}backlog" if wide else f"{gap}lag", "muted"),
        (f"{min(stats.backlog, 9999):4d}", "text" if stats.backlog < 100 else "fair"),
        (f"{gap}display " if wide else f"{gap}disp ", "muted"),
        (f"{percent}%", behind),
        *accepted,
    ]


def sim_line(stats: StreamStats, link: Link, width: int) -> Parts:
    """Simulated time on the left; on the right who answers, over what, and how the link is."""
    peer = link.peer
    profile = visible(peer.profile) if peer and peer.profile else "-"
    left: Parts = [
        ("sim  ", "accent"),
        ("TTFT", "muted"),
        (milliseconds(stats.sim_ttft, 4), latency_band(stats.sim_ttft)),
        ("  " if width >= WIDE_CELLS else " ", "muted"),
        (rate(stats.sim_tokens_per_second), "text"),
        (" tok/s ", "muted"),
    ]
    if (stats.sim_lag or 0.0) >= LATE_SECONDS:
        left.append((f"late {milliseconds(stats.sim_lag, 1).strip()} ", "fair"))
    sign, style = _STATES[link.state]
    right: Parts = [(f"{sign} {link.state}", style)]
    if link.reconnects:
        right.append((f" x{link.reconnects + 1}", "muted"))
    if peer:
        right.append((f" {_KINDS[peer.kind]}", "text"))
        room = width - cells(left) - cells(right) - 2
        right.append((clip(f" {visible(peer.engine)} {visible(peer.model)}", max(room, 0)), "text"))
    room = width - cells(left) - cells(right) - 2
    left.append((clip(profile, room) if room >= 3 else "", "text"))
    return spread(left, right, width)


def tab_line(paths: Sequence[str], index: int, notes: Sequence[str], width: int) -> Parts:
    """The open files; the shown one is marked, and kept on the line however many there are."""
    parts: Parts = []
    room = width - 6
    names = [visible(path) for path in paths]
    first = index
    used = cell_len(names[index]) + 4 if names else 0
    while first > 0 and used + cell_len(names[first - 1]) + 4 <= room // 2:
        first -= 1
        used += cell_len(names[first]) + 4
    if first > 0:
        parts.append(("‹ ", "muted"))
    for at in range(first, len(names)):
        note = f" {notes[at]}" if notes[at] else ""
        text = f"▌{names[at]}{note} " if at == index else f" {names[at]}{note} "
        if at > index and cells(parts) + cell_len(text) > width - 2:
            parts.append(("›", "muted"))
            break
        parts.append((clip(text, width - 2), "primary" if at == index else "muted"))
    return parts


def cells(parts: Parts) -> int:
    """Cells that ``parts`` take."""
    return sum(cell_len(text) for text, _ in parts)


def spread(left: Parts, right: Parts, width: int) -> Parts:
    """``left`` and ``right`` at the two ends of ``width`` cells."""
    gap = max(1, width - cells(left) - cells(right))
    return [*left, (" " * gap, "muted"), *right]


def _itl(seconds: float | None) -> str:
    if seconds is None:
        return "   -"
    value = seconds * 1000
    return f"{value:4.1f}" if value < 99.95 else f"{min(value, 9999):4.0f}"
