"""The buffer, the prompt and the conversation under keys, mouse and resizing."""

from __future__ import annotations

from pathlib import Path

from textual import events
from textual.geometry import Offset

from sparkcode.syntax.lines import Region
from tests.tui.support import PATCH, Table, table, virtually


async def mouse(
    screen: Table, kind: type[events.MouseEvent], row: int, *, shift: bool = False
) -> None:
    """A mouse event on a row of the screen."""
    event = kind(None, 10, row, 0, 0, 1, shift, False, False, screen_x=10, screen_y=row)
    screen.app.post_message(event)
    await screen.wait(0.05)


def test_the_cursor_chooses_the_region(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            assert "edit calc.py:1-12" in screen.text()
            await screen.press("tab", "down", "down", "down", "down")
            await screen.wait()
            assert "edit calc.py:4-5" in screen.text()
            await screen.press("shift+down", "shift+down")
            await screen.wait()
            assert "edit calc.py:5-7" in screen.text()
            await screen.press("end", "right", "left", "home")
            await screen.wait()
            assert "edit calc.py:1-12" in screen.text()

    virtually(work)


def test_the_mouse_selects_lines(folder: Path) -> None:
    async def work() -> None:
        async with table(folder) as screen:
            await mouse(screen, events.MouseMove, 3)
            await mouse(screen, events.MouseUp, 3)
            await mouse(screen, events.MouseDown, 3)
            await mouse(screen, events.MouseMove, 5)
            await mouse(screen, events.MouseUp, 5)
            pane = screen.app.panes.current
            assert pane is not None
            assert pane.selection == Region(3, 5)

    virtually(work)


def test_a_long_file_scrolls_and_is_coloured(folder: Path) -> None:
    lines = [f"value_{at} = {at}" for at in range(5000)]
    (folder / "long.py").write_text("\n".join(lines) + "\n")

    async def work() -> None:
        async with table(folder, paths=("long.py", "calc.py")) as screen:
            await screen.press("tab", "pagedown", "pagedown")
            await screen.wait()
            assert screen.stage.buffer.top > 0
            await screen.press("end")
            await screen.wait()
            assert "value_4999 = 4999" in screen.text()
            assert "long.py" in screen.text()
            await screen.wait(3)
            assert not screen.stage.buffer.unfinished
            top = screen.stage.buffer.top
            await screen.press("ctrl+o", "ctrl+o")
            await screen.wait()
            assert screen.stage.buffer.top == top
            await screen.press("pageup", "up")
            await screen.wait()
            assert "value_4999" not in screen.text()

    virtually(work)


def test_wide_lines_and_tabs(folder: Path) -> None:
    (folder / "wide.c").write_text("\tint x;" + " " * 60 + "/* far away to the right */\n\0"[:-1])

    async def work() -> None:
        async with table(folder, paths=("wide.c",)) as screen:
            assert "        int x;" in screen.text().replace("▶  1   ", "▶   1    ")
            assert "right" not in screen.text()
            await screen.press("tab", *["right"] * 5)
            assert "far away to the right */" in screen.text()
            await screen.press(*["left"] * 6)
            assert "int x;" in screen.text()

    virtually(work)


def test_a_long_edit_is_followed_until_the_user_reads_elsewhere(folder: Path) -> None:
    grown = "".join(f"+    step_{at} = '''{at}\n" for at in range(60))
    patch = PATCH.replace('+    """The', grown + '+    """The')

    async def work() -> None:
        async with table(folder) as screen:
            await screen.press("tab")
            await screen.press("tab")
            await screen.ask("long")
            stage = screen.stage
            half = patch.index("step_30")
            await screen.stream_patch(patch[:half], pieces=9)
            await screen.wait()
            assert "step_29" in screen.text()
            assert "+     ▏" in screen.text()
            await screen.press("tab", "home")
            assert stage.buffer.top == 0
            assert not stage.buffer.following
            for at in range(half, len(patch), 9):
                await screen.engine.patch(patch[at : at + 9])
                await screen.wait(0.01)
            assert stage.buffer.top == 0
            await screen.engine.completed("resp_1")
            await screen.wait()
            await screen.press("j")
            await screen.wait()
            assert stage.buffer.top > 0
            await screen.press("end", "k", "up", "down", "j", "k", "k")
            await screen.wait()
            assert "def total" in screen.text()
            await mouse(screen, events.MouseDown, 3)

    virtually(work)


def test_the_wheel_stops_following(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, paths=()) as screen:
            await screen.ask("hello")
            await screen.engine.created()
            await screen.engine.send(
                "response.output_item.added",
                output_index=0,
                item={"type": "message", "id": "msg_1", "status": "in_progress", "content": []},
            )
            for at in range(300):
                await screen.engine.text(f"line {at}\n")
            await screen.wait()
            assert "line 299" in screen.text()
            await mouse(screen, events.MouseScrollUp, 5)
            assert not screen.stage.transcript.following
            await screen.engine.text("line 300\n" * 40)
            await screen.wait()
            assert "more below" in screen.text()
            for _ in range(40):
                await mouse(screen, events.MouseScrollDown, 5)
            assert screen.stage.transcript.following

    virtually(work)


def test_many_turns_are_kept_and_resized(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            for number in range(4):
                await screen.ask(f"q{number}")
                await screen.engine.answer(text=f"answer {number} " + "and more " * 12)
                await screen.wait()
            wide = screen.stage.transcript.count
            screen.app.post_message(_resize(screen, 70, 20))
            await screen.wait(0.5)
            assert screen.app.size == (70, 20)
            assert screen.stage.transcript.count != wide
            assert "wall:" in screen.text()
            screen.app.post_message(_resize(screen, 120, 40))
            await screen.wait(0.5)
            text = screen.text()
            assert screen.stage.transcript.count == wide
            assert [f"answer {number}" in text for number in range(4)] == [True] * 4

    virtually(work)


def _resize(screen: Table, width: int, height: int) -> events.Resize:
    from textual.geometry import Size

    driver = screen.app._driver
    assert driver is not None
    driver._size = (width, height)
    return events.Resize(Size(width, height), Size(width, height))


def test_prompt_keys(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, paths=()) as screen:
            prompt = screen.stage.prompt
            await screen.press("enter")
            assert screen.session.turn is None
            await screen.type("a")
            await screen.press("ctrl+j")
            await screen.type("b\\")
            await screen.press("enter")
            await screen.type("c")
            await screen.press("shift+enter")
            assert prompt.text == "a\nb\nc\n"
            await screen.press("up", "up", "up", "up", "down")
            assert prompt.text == "a\nb\nc\n"
            await screen.press("down", "down", "down", "enter")
            await screen.engine.next()
            await screen.engine.answer(text="ok")
            await screen.wait()
            await screen.type("draft")
            await screen.press("up")
            assert prompt.text == "a\nb\nc\n"
            await screen.press("down")
            assert prompt.text == "draft"

    virtually(work)


def test_a_paste_is_text_and_does_not_send(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, paths=()) as screen:
            screen.app.post_message(events.Paste("one\r\n\x1b[31mtwo\rthree"))
            await screen.wait()
            assert screen.stage.prompt.text == "one\ntwo\nthree"
            assert screen.session.turn is None

    virtually(work)


def test_a_region_that_is_gone_is_said(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            await screen.press("tab", "end", "tab")
            (folder / "calc.py").write_text("x = 1\n")
            await screen.type("go")
            await screen.press("enter")
            await screen.wait()
            assert "lie outside" in screen.text()
            assert screen.stage.prompt.text == "go"

    virtually(work)


def test_offset_of_a_click_outside_the_lines(folder: Path) -> None:
    async def work() -> None:
        async with table(folder, size=(120, 40)) as screen:
            assert screen.app.screen.get_offset(screen.stage.buffer) == Offset(0, 1)
            await mouse(screen, events.MouseDown, 30)
            await mouse(screen, events.MouseUp, 30)
            pane = screen.app.panes.current
            assert pane is not None
            assert pane.cursor == pane.last

    virtually(work)
