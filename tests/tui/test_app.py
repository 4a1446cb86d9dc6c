from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkcode.errors import UsageError, WorkspaceError
from tests.tui.support import CALC, EDITED, PATCH, Table, table, virtually


async def to_total(screen: Table) -> None:
    """Put the cursor into the function ``total``."""
    await screen.press("tab", *["down"] * 8, "tab")


def test_an_edit_is_seen_growing_in_at_least_five_states(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(100, 30)) as screen:
            await to_total(screen)
            await screen.ask("shorter")
            seen: list[str] = []
            await screen.engine.created()
            await screen.engine.open_call()
            for char in PATCH:
                await screen.engine.patch(char)
                await screen.wait(0.02)
                grown = [row.split("│")[0].rstrip() for row in screen.rows()]
                state = "\n".join(row for row in grown if row[4:7].strip() in ("+", "-"))
                if not seen or seen[-1] != state:
                    seen.append(state)
        whole = '+     """The sum of all items.'
        states = [state for state in seen if state]
        assert len(states) > 20
        assert any(state.splitlines()[-1].endswith('+     """The s▏') for state in states)
        assert whole in states[-1]
        assert states[-1].count(" - ") == 4
        assert states[-1].count(" + ") + states[-1].count(" +\n") == 5

    virtually(work)


def test_accept_writes_and_undo_restores(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await to_total(screen)
            await screen.pending()
            assert (folder / "calc.py").read_text() == CALC
            assert "y accept  n reject" in screen.text()
            await screen.press("y")
            await screen.wait()
            assert screen.edit == "accepted"
            assert (folder / "calc.py").read_text() == EDITED
            assert "┃     return sum(items)" in screen.text()
            await screen.wait(0.3)
            await screen.press("u")
            await screen.wait()
            assert (folder / "calc.py").read_text() == CALC
            assert screen.edit == "undone"

    virtually(work)


def test_reject_leaves_the_file(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await to_total(screen)
            await screen.pending()
            await screen.press("tab", "n")
            await screen.wait()
            assert screen.edit == "rejected"
            assert "rejected" in screen.text()
            assert (folder / "calc.py").read_text() == CALC

    virtually(work)


def test_approvals_are_not_hit_by_typing(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await to_total(screen)
            await screen.ask("shorter")
            response = await screen.stream_patch()
            await screen.type("b")
            await screen.engine.completed(response)
            await screen.wait(0.5)
            await screen.type("yun")
            assert screen.stage.prompt.text == "byun"
            assert screen.edit == "pending"
            await screen.press(*["backspace"] * 4, "y")
            assert screen.edit == "accepted"
            # A word after an accepted edit may begin with u once something was typed.
            await screen.press("x", "backspace", "u")
            assert screen.edit == "accepted"
            assert screen.stage.prompt.text == "u"

    virtually(work)


def test_an_approval_needs_300_ms(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await to_total(screen)
            await screen.ask("shorter")
            response = await screen.stream_patch()
            await screen.engine.completed(response)
            await screen.wait(0.1)
            await screen.type("y")
            assert screen.edit == "pending"
            assert screen.stage.prompt.text == "y"
            await screen.press("backspace")
            await screen.wait(0.3)
            await screen.press("y")
            assert screen.edit == "accepted"

    virtually(work)


@pytest.mark.parametrize("where", ["prompt", "buffer", "help"])
def test_escape_stops_from_anywhere_and_keeps_the_draft(folder: Path, where: str) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await to_total(screen)
            await screen.ask("shorter")
            await screen.stream_patch(PATCH[:200])
            await screen.type("next ")
            await screen.press(*{"prompt": [], "buffer": ["tab"], "help": ["f1"]}[where])
            await screen.press("escape")
            turn = screen.session.turn
            assert turn is not None
            assert turn.phase == "interrupted"
            frame = await screen.engine.next()
            assert frame["type"] == "response.interrupt"
            await screen.engine.interrupted("resp_1")
            if where == "help":
                await screen.press("escape")
            await screen.wait()
            assert screen.stage.prompt.text == "next "
            assert "partial, nothing was written" in screen.text()
            assert "Esc leave" in screen.text()
            await screen.press("escape")
            await screen.wait()
            assert not screen.stage.buffer.editing
            assert "Esc" not in screen.rows()[-1]

    virtually(work)


def test_a_failed_turn_keeps_the_draft_and_says_why(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, paths=()) as screen:
            await screen.ask("why")
            await screen.type("draft")
            response = {"id": "resp_1", "status": "failed"}
            response["error"] = {"code": "server_error", "message": "out of \x1b[31mmemory"}  # type: ignore[assignment] # JSON
            await screen.engine.created("resp_1")
            await screen.engine.send("response.failed", response=response)
            await screen.wait()
            assert "✗ out of memory" in screen.text()
            assert screen.stage.prompt.text == "draft"

    virtually(work)


def test_hostile_output_is_text(folder: Path) -> None:
    evil = "a\x1b[31mred\x1b]0;title\x07 \x9b2J\u202eb\x00c"
    patch = PATCH.replace("Empty: 0.", f"Empty {evil}")

    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            await screen.ask("why")
            await screen.engine.answer(text=f"Say {evil}")
            await screen.wait()
            await screen.ask("edit")
            await screen.stream_patch(patch)
            await screen.wait()
            text = screen.text()
            assert "ared" in text
            assert "Empty ared" in text
            assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e", "\x00"}

    virtually(work)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_whole_screen_fits(folder: Path, size: tuple[int, int]) -> None:
    async def work() -> None:
        async with table(folder, size=size) as screen:
            await to_total(screen)
            await screen.pending()
            rows = screen.rows()
            text = screen.text()
            assert len(rows) == size[1]
            assert rows[0].startswith("▌calc.py +5 -4")
            assert rows[-3].startswith("wall TTFT")
            assert rows[-2].startswith("sim  TTFT")
            assert rows[-2].rstrip().endswith("● ready memory scripted scripted")
            assert "y accept" in rows[-1]
            assert "❯ shorter" in text
            assert "edit calc.py:8-12" in text
            assert "+     return sum(items)" in text

    virtually(work)


def test_a_new_file_opens_while_it_streams_and_goes_when_it_is_rejected(folder: Path) -> None:
    patch = "*** Begin Patch\n*** Add File: new.py\n+x = 1\n*** End Patch\n"

    async def work() -> None:
        async with table(folder, paths=()) as screen:
            await screen.ask("make it")
            response = await screen.stream_patch(patch)
            await screen.engine.completed(response)
            await screen.wait(0.5)
            assert screen.rows()[0].startswith("▌new.py +1 -0")
            await screen.press("n")
            await screen.wait()
            assert "new.py +1" not in screen.rows()[0]
            assert screen.app.panes.current is None
            await screen.ask("again")
            response = await screen.stream_patch(patch)
            await screen.engine.completed(response)
            await screen.wait(0.5)
            await screen.press("y")
            await screen.wait()
            assert (folder / "new.py").read_text() == "x = 1\n"
            assert "x = 1" in screen.text()

    virtually(work)


def test_an_edit_that_a_new_prompt_drops_says_so(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            await screen.pending()
            assert "± calc.py  +5 -4  y accept, n reject" in screen.text()
            await screen.ask("again")
            await screen.wait()
            assert "± calc.py  +5 -4  dropped" in screen.text()
            assert "n reject" not in screen.text()
            await screen.stream_patch(PATCH[:200])
            await screen.ask("once more")
            await screen.wait()
            assert "■ stopped" in screen.text()
            assert "streaming" not in screen.text()

    virtually(work)


def test_an_edit_accepted_just_before_the_next_prompt_is_not_called_dropped(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            await screen.pending()
            screen.app.action_accept()
            screen.app._send("next")
            await screen.wait()
            assert "dropped" not in screen.text()
            assert "± calc.py  +5 -4  accepted" in screen.text()

    virtually(work)


def test_what_is_wrong_is_said_before_the_screen(folder: Path) -> None:
    (folder / "bad.bin").write_bytes(b"\0\1")
    (folder / "latin.txt").write_bytes(b"\xe9")

    async def work() -> None:
        for path, message in (
            ("missing.py", "does not exist"),
            ("bad.bin", "binary"),
            ("latin.txt", "not UTF-8"),
            ("/etc/passwd", "outside"),
        ):
            with pytest.raises(WorkspaceError, match=message):
                async with table(folder, paths=(path,)):
                    pass
        with pytest.raises(UsageError, match="there are spark-dark, high-contrast, spark-light"):
            async with table(folder, theme="nope"):
                pass

    virtually(work)


def test_a_file_that_changed_is_not_overwritten(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            await screen.pending()
            (folder / "calc.py").write_text("mine\n")
            await screen.press("y")
            await screen.wait()
            assert screen.stage.notice == ""
            assert "has changed on disk" in screen.text()
            foot = [text for text, _ in screen.stage._foot]
            assert [row for row in foot if "changed on disk" in row] == [
                "✗ 'calc.py' has changed on disk since it was read; n rejects the edit"
            ]
            assert (folder / "calc.py").read_text() == "mine\n"

    virtually(work)


def test_the_same_script_gives_the_same_frames(folder: Path) -> None:
    def frames() -> list[tuple[float, str]]:
        found: list[tuple[float, str]] = []

        async def work() -> None:
            (folder / "calc.py").write_text(CALC)
            async with table(folder) as screen:
                for step in range(60):
                    if step == 3:
                        await screen.ask("shorter")
                        await screen.stream_patch(gap=0.003)
                    await screen.wait(0.013)
                    found.append((screen.app._clock.now(), screen.text()))

        virtually(work)
        return found

    assert frames() == frames()


def test_a_question_mark_asks_about_the_file_instead_of_editing_it(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await screen.type("is it right")
            assert "edit calc.py" in screen.text()
            await screen.type("?")
            await screen.wait()
            assert "ask about calc.py" in screen.text()
            await screen.press("enter")
            request = await screen.engine.next()
            text = json.dumps(request)
            assert "File: calc.py" in text
            assert "Edit region" not in text

    virtually(work)
