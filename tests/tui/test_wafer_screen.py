from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.tui.wafer_screen import WaferScreen, named
from tests.tui.support import Table, table, virtually


async def answered(screen: Table) -> None:
    """Have an answer of some words."""
    await screen.ask("what is this?")
    said = "It adds numbers, one after another, and gives their sum."
    await screen.engine.answer(text=said, pieces=5)
    await screen.wait(0.5)


def panel(screen: Table) -> WaferScreen:
    found = screen.app.screen
    assert isinstance(found, WaferScreen)
    return found


def test_the_panel_shows_the_chip_and_what_a_step_is_made_of(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.press("f2")
            await screen.wait(1.0)
            first = screen.text()
            assert "sim wse3/gpt-oss-120b: 2 wafers of 18 layers" in first
            for cause in ("collectives", "rows", "hops", "wafer hops", "network"):
                assert cause in first
            assert first.count("█ ") >= 1
            await screen.wait(0.5)
            assert screen.text().count("■") != first.count("■")
            await screen.press("escape")
            await screen.wait()
            assert "F2 wafer" in screen.text()

    virtually(work)


def test_without_an_answer_there_is_nothing_to_feel(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.press("f2")
            await screen.wait()
            panel(screen).feel("feel h100")
            await screen.wait()
            assert "there is no answer yet to stream again" in screen.text()
            panel(screen).feel(" ")
            await screen.wait()
            assert "what if on which chip" in screen.text()

    virtually(work)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_answer_streams_again_at_another_pace(folder: Path, size: tuple[int, int]) -> None:
    async def work() -> None:
        async with table(folder, size=size) as screen:
            await answered(screen)
            await screen.press("f2")
            await screen.wait()
            await screen.type("feel 10")
            await screen.press("enter")
            await screen.wait(0.65)
            assert "sim 10 tok/s" in screen.text()
            assert "It adds" in screen.text()
            assert "their sum." not in screen.text()
            await screen.wait(3.0)
            assert "their sum." in screen.text()
            assert "✓" in screen.text()

    virtually(work)


def test_from_the_prompt(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await answered(screen)
            await screen.type("/feel h100/llama-3.1-8b")
            await screen.press("enter")
            await screen.wait(1.0)
            assert "sim h100/llama-3.1-8b" in screen.text()
            assert "their sum." in screen.text()
            panel(screen).feel("feel abacus")
            await screen.wait()
            assert "unknown chip 'abacus'" in screen.text()

    virtually(work)


def test_a_profile_that_is_not_known_here() -> None:
    assert named("scripted") is None
    assert named("50") is None
    found = named("h100/llama-3.1-8b")
    assert found is not None
    assert found.name == "h100/llama-3.1-8b"
