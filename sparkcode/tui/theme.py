"""Themes: TOML files that map one to one on Textual's theme fields, plus syntax and diff colours.

They are looked for in the package (or, in a source tree, in the ``themes`` folder beside it) and
then in the user's data folder; a later file replaces an earlier one of the same name. A file that
cannot be used is reported and skipped. Every colour is ``#rrggbb``, so that contrast can be
computed rather than hoped for.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import platformdirs
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme

from sparkcode.errors import ConfigError, UsageError
from sparkcode.tui.contrast import CHROME_BAR, TEXT_BAR, contrast, is_hex

DEFAULT_THEME: Final = "spark-dark"

COLOURS: Final = (
    "primary",
    "secondary",
    "accent",
    "warning",
    "error",
    "success",
    "foreground",
    "background",
    "surface",
    "panel",
)
VARIABLES: Final = ("muted", "line")
DIFF: Final = (
    "added",
    "added-background",
    "removed",
    "removed-background",
    "region-background",
    "cursor-background",
)
_TABLES: Final = ("variables", "syntax", "diff")


@dataclass(frozen=True, slots=True)
class SparkTheme:
    """One theme, checked: every colour is there and is ``#rrggbb``."""

    name: str
    origin: str
    """The file it came from."""
    dark: bool
    colours: Mapping[str, str]
    """The keys of ``COLOURS`` and ``VARIABLES``."""
    syntax: Mapping[str, str]
    """Pygments token name, such as ``Name.Function``, to a style such as ``bold #73d0ff``."""
    diff: Mapping[str, str]
    """The keys of ``DIFF``."""

    def textual(self) -> Theme:
        """The part that Textual's own widgets use."""
        fields: dict[str, Any] = {key: self.colours[key] for key in COLOURS}
        variables = {key: self.colours[key] for key in VARIABLES}
        return Theme(name=self.name, dark=self.dark, variables=variables, **fields)


@dataclass(frozen=True, slots=True)
class ThemeSet:
    """What was found, and one line for each file that cannot be used."""

    themes: Mapping[str, SparkTheme]
    problems: Sequence[str] = field(default_factory=tuple)

    def get(self, name: str) -> SparkTheme:
        """The theme called ``name``; UsageError that lists what exists."""
        if name not in self.themes:
            raise UsageError(f"no theme is called {name!r}; there are {', '.join(self.themes)}")
        return self.themes[name]


@dataclass(frozen=True, slots=True)
class Reading:
    """The contrast of one pair of a theme's colours."""

    what: str
    foreground: str
    background: str
    ratio: float
    bar: float

    @property
    def passed(self) -> bool:
        return self.ratio >= self.bar


def user_folder() -> Path:
    """Where a user's own themes are; it need not exist."""
    return platformdirs.user_data_path("sparkcode") / "themes"


def load_themes(folders: Iterable[Path] | None = None) -> ThemeSet:
    """The shipped themes, then those of ``folders`` (by default the user's own folder)."""
    themes: dict[str, SparkTheme] = {}
    problems: list[str] = []
    places: list[Traversable] = [_shipped()]
    places += [user_folder()] if folders is None else list(folders)
    for place in places:
        for file in _files(place):
            try:
                theme = parse_theme(file.read_bytes(), origin=os.path.normpath(str(file)))
            except (OSError, ConfigError) as error:
                problems.append(str(error))
                continue
            themes[theme.name] = theme
    return ThemeSet(themes, tuple(problems))


def parse_theme(data: bytes, *, origin: str) -> SparkTheme:
    """The theme in a TOML file; ConfigError names what is missing, unknown or no colour."""
    try:
        table = tomllib.loads(data.decode())
    except ValueError as error:
        raise ConfigError(f"theme {origin}: {error}") from error
    _refuse_unknown(origin, "theme", table, ("name", "dark", *COLOURS, *_TABLES))
    name, dark = table.get("name"), table.get("dark", True)
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ConfigError(f"theme {origin}: name is {name!r}; it must be a word")
    if not isinstance(dark, bool):
        raise ConfigError(f"theme {origin}: dark is {dark!r}; it must be true or false")
    variables, syntax, diff = (_table(origin, table, key) for key in _TABLES)
    colours = _colours(origin, table, COLOURS) | _colours(origin, variables, VARIABLES)
    _refuse_unknown(origin, "[variables]", variables, VARIABLES)
    _refuse_unknown(origin, "[diff]", diff, DIFF)
    for token, style in syntax.items():
        _check_style(origin, token, style)
    return SparkTheme(name, origin, dark, colours, syntax, _colours(origin, diff, DIFF))


def readings(theme: SparkTheme) -> list[Reading]:
    """Every pair of colours that the screen puts on each other."""
    colours, diff = theme.colours, theme.diff
    code = [colours["background"], diff["region-background"], diff["cursor-background"]]
    pairs = [("foreground", colours["foreground"], ground, TEXT_BAR) for ground in _grounds(theme)]
    pairs += [
        (name, colours[name], colours[ground], TEXT_BAR)
        for name in ("primary", "secondary", "accent", "warning", "error", "success", "muted")
        for ground in ("background", "surface", "panel")
    ]
    pairs += [("line", colours["line"], ground, CHROME_BAR) for ground in code]
    for kind in ("added", "removed"):
        ground = diff[f"{kind}-background"]
        pairs.append((kind, diff[kind], ground, TEXT_BAR))
        pairs.append((f"muted on {kind}", colours["muted"], ground, CHROME_BAR))
        code.append(ground)
    for token, style in theme.syntax.items():
        colour = _foreground(style)
        pairs += [(token, colour, ground, TEXT_BAR) for ground in code if colour]
    return [
        Reading(what, above, below, contrast(above, below), bar)
        for what, above, below, bar in pairs
    ]


def _grounds(theme: SparkTheme) -> list[str]:
    plain = [theme.colours[key] for key in ("background", "surface", "panel")]
    return plain + [colour for key, colour in theme.diff.items() if key.endswith("-background")]


def _foreground(style: str) -> str:
    return next((word for word in style.split() if is_hex(word)), "")


def _shipped() -> Traversable:
    package = resources.files("sparkcode")
    inside = package.joinpath("themes")
    return inside if inside.is_dir() else package.joinpath("..", "themes")


def _files(place: Traversable) -> list[Traversable]:
    try:
        found = [file for file in place.iterdir() if file.name.endswith(".toml")]
    except OSError:
        return []
    # The default leads, the rest follow by name: the order in which they are listed.
    return sorted(found, key=lambda file: (file.name != f"{DEFAULT_THEME}.toml", file.name))


def _table(origin: str, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"theme {origin}: {key} is {value!r}; it must be a table")
    return value


def _colours(origin: str, table: Mapping[str, Any], keys: Sequence[str]) -> dict[str, str]:
    for key in keys:
        value = table.get(key)
        if not isinstance(value, str) or not is_hex(value):
            raise ConfigError(f"theme {origin}: {key} is {value!r}; it must be #rrggbb")
    return {key: table[key] for key in keys}


def _check_style(origin: str, token: str, style: object) -> None:
    try:
        # Named colours depend on the terminal's palette, so their contrast is unknown.
        colour = Style.parse(style if isinstance(style, str) else "").color
        usable = isinstance(style, str) and (colour is None or bool(_foreground(style)))
    except StyleSyntaxError:
        usable = False
    if not usable:
        raise ConfigError(
            f"theme {origin}: [syntax] {token} is {style!r}; it must be like 'bold #73d0ff'"
        )


def _refuse_unknown(
    origin: str, where: str, table: Mapping[str, Any], known: Sequence[str]
) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"theme {origin}: {where} has no {key!r}; it has {', '.join(known)}")
