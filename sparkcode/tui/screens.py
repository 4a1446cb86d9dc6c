"""Screens above the main one."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from sparkcode.tui.keys import help_rows


def help_text() -> Text:
    """Every key and what it does, from the binding table."""
    text = Text()
    for group, rows in help_rows():
        text.append(f"{group}\n", style="bold")
        for keys, meaning in rows:
            text.append(f"  {keys:<14}", style="bold")
            text.append(f"{meaning}\n")
    return text


class HelpScreen(ModalScreen[None]):
    """The keys. Any of the keys that people press to leave leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,question_mark,enter", "dismiss", "Close", show=False)
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(help_text())
