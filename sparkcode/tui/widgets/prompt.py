"""Where instructions are typed: a small text area that sends on Enter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from sparkcode.assistant.plain import plain
from sparkcode.tui.history import History

Shortcut = Callable[[str], str | None]
"""A key, pressed while nothing is typed, to the action that it means then; None to type it."""


class Prompt(TextArea):
    """Enter sends; Ctrl+J, Shift+Enter and a backslash before Enter make a new line."""

    @dataclass
    class Sent(Message):
        """The user sent ``text``."""

        text: str

    @dataclass
    class Typed(Message):
        """The user changed the draft with the keyboard."""

    def __init__(self, *, shortcut: Shortcut, history: History, id: str) -> None:
        super().__init__(id=id, soft_wrap=True, tab_behavior="focus", show_line_numbers=False)
        self._shortcut = shortcut
        self._history = history
        self._entitled = ""
        self.cursor_blink = False
        self.highlight_cursor_line = False

    async def _on_key(self, event: events.Key) -> None:
        if not self.text and (action := self._shortcut(event.key)) is not None:
            event.stop()
            event.prevent_default()
            await self.app.run_action(action)
        elif self._special(event.key):
            event.stop()
            event.prevent_default()
        else:
            if event.is_printable:
                self.post_message(self.Typed())
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        """Pasted text is text: escapes in it reach neither the screen nor the engine."""
        event.prevent_default()
        event.stop()
        self.post_message(self.Typed())
        self.insert(plain(event.text.replace("\r\n", "\n").replace("\r", "\n")))

    def entitle(self, title: str) -> None:
        """What a sent prompt would do, on the border; painted only when it changes."""
        if title != self._entitled:
            self._entitled = title
            self.border_title = title.replace("[", r"\[")

    def put(self, text: str) -> None:
        """Replace the draft, with the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def _special(self, key: str) -> bool:
        """Handle a key that is no text; whether it was one."""
        row = self.cursor_location[0]
        match key:
            case "enter":
                self._enter()
            case "ctrl+j" | "shift+enter":
                self.insert("\n")
            case "up" if row == 0:
                self._recall(self._history.earlier(self.text))
            case "down" if row == self.document.line_count - 1:
                self._recall(self._history.later())
            case _:
                return False
        return True

    def _enter(self) -> None:
        row, column = self.cursor_location
        if column and self.document.get_line(row)[column - 1] == "\\":
            self.replace("\n", (row, column - 1), (row, column))
        elif self.text.strip():
            self.post_message(self.Sent(self.text))

    def _recall(self, text: str | None) -> None:
        if text is not None:
            self.put(text)
