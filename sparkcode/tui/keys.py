"""The binding table: the one place that says which key does what.

The app's bindings, the key line at the bottom and the help screen are all made from it, so they
cannot disagree. Ids are stable: a key map refers to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """One command of the screen."""

    id: str
    keys: str
    """Textual key names, separated by commas."""
    action: str
    label: str
    """A word or two for the key line; empty keeps it off that line."""
    help: str
    group: str
    shown: str = ""
    """How the keys are written for people."""
    priority: bool = False
    """Whether the key works before the focused widget sees it."""
    bound: bool = True
    """False for a key that a widget handles by itself and that is only listed."""

    def binding(self) -> Binding:
        return Binding(
            self.keys,
            self.action,
            self.label or self.help,
            id=self.id,
            show=False,
            priority=self.priority,
        )


KEYS: Final = (
    Key(
        "interrupt",
        "escape",
        "interrupt",
        "stop",
        "Stop the answer at once; a second time leave its partial edit",
        "Turn",
        "Esc",
        priority=True,
    ),
    Key("send", "enter", "send", "send", "Send the prompt", "Prompt", "Enter", bound=False),
    Key(
        "newline",
        "ctrl+j,shift+enter",
        "newline",
        "",
        "New line in the prompt (also \\ then Enter)",
        "Prompt",
        "Ctrl+J",
        bound=False,
    ),
    Key(
        "history",
        "up,down",
        "history",
        "",
        "Earlier and later prompts, from the first and last line",
        "Prompt",
        "Up Down",
        bound=False,
    ),
    Key("accept", "y", "accept", "accept", "Accept the edit and write it", "Edit", "y"),
    Key("reject", "n", "reject", "reject", "Reject the edit", "Edit", "n"),
    Key("undo", "u", "undo", "undo", "Undo the edit that was accepted last", "Edit", "u"),
    Key(
        "check",
        "ctrl+t",
        "check",
        "check",
        "Run the project's check on the edit, in a copy of the folder",
        "Edit",
        "Ctrl+T",
        priority=True,
    ),
    Key("hunk_next", "j", "hunk(1)", "", "Next changed place (in the file)", "Edit", "j"),
    Key("hunk_previous", "k", "hunk(-1)", "", "Previous changed place", "Edit", "k"),
    Key(
        "focus",
        "tab,shift+tab",
        "switch_focus",
        "switch",
        "Between the prompt and the file",
        "Move",
        "Tab",
        priority=True,
    ),
    Key(
        "next_file",
        "ctrl+o",
        "file(1)",
        "next file",
        "Next open file",
        "Move",
        "Ctrl+O",
        priority=True,
    ),
    Key("file_right", "right_square_bracket", "file(1)", "", "Next open file", "Move", "]"),
    Key("file_left", "left_square_bracket", "file(-1)", "", "Previous open file", "Move", "["),
    Key(
        "cursor",
        "up,down,home,end",
        "cursor",
        "",
        "Move in the file; what is edited is the definition around the cursor",
        "Move",
        "Up Down",
        bound=False,
    ),
    Key(
        "select",
        "shift+up,shift+down",
        "select",
        "",
        "Select the lines to edit (or drag the mouse)",
        "Move",
        "Shift+Up Down",
        bound=False,
    ),
    Key(
        "region",
        "ctrl+r",
        "region",
        "region",
        "Edit the definition, the class around it, the file, or again what the instruction says",
        "Move",
        "Ctrl+R",
        priority=True,
    ),
    Key("page_up", "pageup", "page(-1)", "", "Scroll back", "Move", "PgUp", priority=True),
    Key("page_down", "pagedown", "page(1)", "", "Scroll on", "Move", "PgDn", priority=True),
    Key(
        "palette",
        "ctrl+p",
        "command_palette",
        "commands",
        "All commands, by name",
        "Screen",
        "Ctrl+P",
        priority=True,
    ),
    Key(
        "help",
        "f1,question_mark",
        "help",
        "help",
        "These keys (? where nothing is typed)",
        "Screen",
        "F1",
    ),
    Key(
        "wafer",
        "f2",
        "wafer",
        "wafer",
        "The simulated chip at work, and how the last answer feels on others (also /feel h100)",
        "Screen",
        "F2",
    ),
    Key(
        "clear",
        "ctrl+c",
        "clear",
        "",
        "Stop and clear the prompt; twice to leave",
        "Screen",
        "Ctrl+C",
        priority=True,
    ),
    Key("quit", "ctrl+q", "quit", "quit", "Leave", "Screen", "Ctrl+Q", priority=True),
)

GROUPS: Final = ("Turn", "Edit", "Prompt", "Move", "Screen")


def bindings() -> list[Binding]:
    """The app's bindings."""
    return [key.binding() for key in KEYS if key.bound]


def help_rows() -> list[tuple[str, list[tuple[str, str]]]]:
    """(group, [(keys, help)]) in reading order."""
    return [
        (group, [(key.shown, key.help) for key in KEYS if key.group == group]) for group in GROUPS
    ]


def key_line(working: Iterable[str], width: int) -> list[tuple[str, str]]:
    """(keys, label) of the commands that work now, as many as fit into ``width`` cells.

    ``working`` holds ids in order of importance; what does not fit is left off at the end.
    """
    table = {key.id: key for key in KEYS}
    line: list[tuple[str, str]] = []
    used = 0
    for name in working:
        key = table[name]
        used += len(key.shown) + 1 + len(key.label) + 2
        if used > width:
            break
        line.append((key.shown, key.label))
    return line
