"""A theme as ready-made Rich styles, so that no colour is parsed while something streams."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.style import Style

from sparkcode.tui.highlight import Token
from sparkcode.tui.theme import SparkTheme


@dataclass(frozen=True, slots=True)
class Paint:
    """The styles of one theme; ``ground`` styles carry a background, the others only ink."""

    text: Style
    muted: Style
    line: Style
    accent: Style
    primary: Style
    good: Style
    fair: Style
    bad: Style
    added: Style
    removed: Style
    ground: Style
    """Background of code and conversation."""
    panel: Style
    """Background of the HUD and the key line."""
    added_ground: Style
    removed_ground: Style
    region_ground: Style
    cursor_ground: Style
    tokens: dict[Token, Style]
    _cache: dict[Token, Style] = field(default_factory=dict)

    def token(self, token: Token) -> Style:
        """The style of a Pygments token: its own, else its nearest ancestor's, else plain text."""
        style = self._cache.get(token)
        if style is None:
            parent = token
            while parent and parent not in self.tokens:
                parent = parent[:-1]
            style = self._cache[token] = self.tokens.get(parent, self.text)
        return style


def make_paint(theme: SparkTheme) -> Paint:
    """The styles of ``theme``."""
    ink = {name: Style(color=colour) for name, colour in theme.colours.items()}
    diff = theme.diff

    def ground(colour: str) -> Style:
        return Style(color=theme.colours["foreground"], bgcolor=colour)

    return Paint(
        text=ink["foreground"],
        muted=ink["muted"],
        line=ink["line"],
        accent=ink["accent"],
        primary=ink["primary"],
        good=ink["success"],
        fair=ink["warning"],
        bad=ink["error"],
        added=Style(color=diff["added"]),
        removed=Style(color=diff["removed"]),
        ground=ground(theme.colours["background"]),
        panel=ground(theme.colours["panel"]),
        added_ground=ground(diff["added-background"]),
        removed_ground=ground(diff["removed-background"]),
        region_ground=ground(diff["region-background"]),
        cursor_ground=ground(diff["cursor-background"]),
        tokens={tuple(name.split(".")): Style.parse(text) for name, text in theme.syntax.items()},
    )
