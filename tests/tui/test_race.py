from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sparkcode.clock import LoopClock
from sparkcode.tui.race import RaceApp, figures, verdict
from sparkcode.tui.track import Track
from sparkcode.wafer.timeline import Timeline
from tests.tui.support import virtually

FAST = Track(Timeline("wse3/gpt-oss-120b", [0.1 + at / 1000 for at in range(100)]), ["word "])
SLOW = Track(Timeline("h100/gpt-oss-120b", [0.2 + at / 50 for at in range(100)]), ["word "])


def rows(app: RaceApp) -> list[str]:
    lines = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in line) for line in lines]


def racing(work: Callable[[RaceApp], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = RaceApp([FAST, SLOW], "race: a prompt", clock=LoopClock())
        async with app.run_test(size=size):
            await work(app)

    virtually(run)


def test_both_lanes_write_at_their_own_pace() -> None:
    async def work(app: RaceApp) -> None:
        await asyncio.sleep(0.5 + 1.0)
        shown = rows(app)
        assert "wse3/gpt-oss-120b" in shown[1]
        assert "h100/gpt-oss-120b" in shown[1]
        assert "199ms ✓" in shown[-3]
        assert "/100" in shown[-3]
        assert shown[-2].strip() == ""
        await asyncio.sleep(2.0)
        assert "2.2s ✓" in rows(app)[-3]
        assert "wse3/gpt-oss-120b: 9 % of the next one's time, 20x its pace" in rows(app)[-2]

    racing(work)


def test_again_slower_and_leave() -> None:
    async def work(app: RaceApp) -> None:
        await asyncio.sleep(5)
        await app.run_action("again")
        await asyncio.sleep(0.55)
        assert "0/100" in rows(app)[-3]
        await app.run_action("speed(0.5)")
        await app.run_action("speed(0.5)")
        await asyncio.sleep(0.6)
        assert "0.25x real time" in rows(app)[0]
        assert "✓" not in rows(app)[-3].split("TTFT")[2]
        await app.run_action("speed(2)")
        assert app.speed == 0.5
        await app.run_action("quit")

    racing(work, (120, 40))


def test_changing_the_speed_moves_nothing() -> None:
    async def work(app: RaceApp) -> None:
        await asyncio.sleep(0.5 + 0.7)
        before = app._at(app._clock.now())
        app.action_speed(0.5)
        assert abs(app._at(app._clock.now()) - before) < 1e-6

    racing(work)


def test_figures_are_told_once_they_are_known() -> None:
    early = "".join(text for text, _ in figures(SLOW, 0.1, 40))
    assert early.split() == ["TTFT", "-", "-", "tok/s", "0/100"]
    late = "".join(text for text, _ in figures(SLOW, 10.0, 40))
    assert late.split() == ["TTFT", "200ms", "50", "tok/s", "2.2s", "✓"]


def test_a_narrow_lane_tells_the_pace_and_then_the_time() -> None:
    early, late = ("".join(text for text, _ in figures(SLOW, at, 20)) for at in (1.0, 10.0))
    assert early.split()[1:] == ["tok/s", "41/100"]
    assert late.split() == ["TTFT", "200ms", "2.2s", "✓"]


def test_the_clock_stops_with_the_last_lane() -> None:
    async def work(app: RaceApp) -> None:
        await asyncio.sleep(30)
        assert "2.2s at real time" in rows(app)[0]

    racing(work)


def test_verdicts() -> None:
    assert verdict([SLOW, SLOW]) == "a dead heat"
    assert verdict([SLOW, FAST]).startswith("wse3/gpt-oss-120b: 9 % of")
