from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sparkcode.assistant.flight import Link
from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.session import Session
from sparkcode.assistant.tries import Try
from sparkcode.assistant.workspace import Workspace
from sparkcode.checks.fault import Fault
from sparkcode.clock import LoopClock
from sparkcode.link.transport import Peer
from sparkcode.protocol.events import InputTokensDetails, Usage
from sparkcode.tui.foot import foot
from tests.assistant.server import Engine

NOTHING = StreamStats()


async def test_the_link_is_told_only_when_it_matters(folder: Path) -> None:
    session = Session(dialer=Engine(), clock=LoopClock(), workspace=Workspace(folder))
    assert foot(session, NOTHING, "") == []
    assert foot(session, NOTHING, "note") == [("note", "fair")]
    session.link = Link("ready", Peer("sse", "u", note="SSE: refused"))
    assert ("SSE: refused", "muted") in foot(session, NOTHING, "")
    session.link = Link("reconnecting")
    assert foot(session, NOTHING, "") == [("the link was lost, reconnecting ...", "fair")]
    session.link = Link("down", None, 0, "no engine \x1b[0m")
    assert foot(session, NOTHING, "")[-1] == ("✗ no engine ␛[0m", "bad")


async def test_a_turn_that_waits_for_the_link(folder: Path) -> None:
    session = Session(dialer=Engine(), clock=LoopClock(), workspace=Workspace(folder))
    session.submit("go")
    rows = [text for text, _ in foot(session, NOTHING, "")]
    assert rows[0] == "..."
    assert rows[1].startswith("connecting to the engine")
    session.link = Link("ready", Peer("sse", "u", note="SSE: refused"))
    assert foot(session, NOTHING, "") == [("...", "muted")]


async def test_what_was_mended_is_said(folder: Path) -> None:
    session = Session(dialer=Engine(), clock=LoopClock(), workspace=Workspace(folder))
    session.submit("go")
    session.improving.shown = (Try(1, "m", (), chosen=True, mended=("added import \x1b[1mre",)),)
    assert ("✓ mended: added import ␛[1mre", "muted") in foot(session, NOTHING, "")
    first = Try(1, "m", (Fault("lint", "bad"),))
    session.improving.shown = (first, Try(2, "m", (), chosen=True))
    assert ("✓ answer 2 of 2; the first: bad", "muted") in foot(session, NOTHING, "")


async def test_what_the_engine_was_given_to_read_is_said(folder: Path) -> None:
    session = Session(dialer=Engine(), clock=LoopClock(), workspace=Workspace(folder))
    session.submit("go")
    assert session.turn is not None
    usage = Usage(input_tokens=1240, input_tokens_details=InputTokensDetails(cached_tokens=980))
    session._turn = replace(session.turn, usage=usage)
    assert foot(session, NOTHING, "")[1] == ("context: 1,240 tokens, 980 cached", "muted")
    session._turn = replace(session.turn, reads=tuple("abcde"))
    said = "context: 1,240 tokens, 980 cached; with a, b, c +2 more"
    assert foot(session, NOTHING, "")[1] == (said, "muted")
    session._turn = replace(session.turn, usage=None, reads=("a\x1b",))
    assert foot(session, NOTHING, "")[1] == ("context: with a␛", "muted")
