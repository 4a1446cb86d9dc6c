from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.errors import ConfigError, UsageError
from sparkcode.tui.paint import make_paint
from sparkcode.tui.theme import load_themes, parse_theme, readings, user_folder

SHIPPED = load_themes([]).themes
GOOD = Path(SHIPPED["spark-dark"].origin).read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_pair_of_a_shipped_theme_can_be_read(name: str) -> None:
    pairs = readings(SHIPPED[name])
    assert len(pairs) > 90
    assert [pair for pair in pairs if not pair.passed] == []


def test_high_contrast_is_high() -> None:
    assert min(pair.ratio for pair in readings(SHIPPED["high-contrast"]) if pair.bar > 4) >= 7


def test_a_pair_that_cannot_be_read_is_found() -> None:
    dim = parse_theme(GOOD.replace('"#d9dee8"', '"#333333"').encode(), origin="dim")
    assert {pair.what for pair in readings(dim) if not pair.passed} == {"foreground"}


def test_shipped_themes() -> None:
    assert list(SHIPPED) == ["spark-dark", "high-contrast", "spark-light"]
    textual = SHIPPED["spark-light"].textual()
    assert textual.dark is False
    assert textual.variables["muted"] == SHIPPED["spark-light"].colours["muted"]


def test_a_users_theme_is_added_and_a_bad_one_reported(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace('"spark-dark"', '"mine"'))
    (tmp_path / "bad.toml").write_text("name = ")
    (tmp_path / "other.txt").write_text("no theme")
    found = load_themes([tmp_path, tmp_path / "absent"])
    assert "mine" in found.themes
    assert len(found.problems) == 1
    assert "bad.toml" in found.problems[0]
    with pytest.raises(UsageError, match=r"'nope'; there are spark-dark, .*mine"):
        found.get("nope")


def test_the_user_folder_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    user_folder().mkdir(parents=True)
    (user_folder() / "mine.toml").write_text(GOOD.replace('"spark-dark"', '"mine"'))
    assert "mine" in load_themes().themes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "spark-dark"', "name = 3", "name is 3"),
        ("dark = true", "dark = 1", "dark is 1"),
        ('"#ffb454"', '"orange"', "primary is 'orange'; it must be #rrggbb"),
        ('muted = "#8b96a8"\n', "", "muted is None"),
        ('added = "#8fd7ff"\n', "", "added is None"),
        ('"italic #929fb5"', '"#zz"', r"\[syntax\] Comment is '#zz'"),
        ('"italic #929fb5"', '"red"', r"\[syntax\] Comment is 'red'"),
        ('"italic #929fb5"', "3", r"\[syntax\] Comment is 3"),
        ("dark = true", "dark = true\nbright = 1", "theme has no 'bright'"),
        ("[diff]", "[diff]\nmoved = 1", r"\[diff\] has no 'moved'"),
        ("[variables]", "[variables]\nx = 1", r"\[variables\] has no 'x'"),
        ("dark = true", 'dark = true\nsyntax = "x"', "Cannot declare|overwrite|syntax is 'x'"),
    ],
)
def test_a_bad_file_is_an_error_that_names_the_key(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=message):
        parse_theme(GOOD.replace(old, new, 1).encode(), origin="x.toml")


def test_a_table_must_be_one() -> None:
    top = GOOD.split("[syntax]")[0] + "[diff]" + GOOD.split("[diff]")[1]
    with pytest.raises(ConfigError, match="syntax is 'x'; it must be a table"):
        parse_theme(('syntax = "x"\n' + top).encode(), origin="x.toml")


def test_no_utf8_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"x\.toml"):
        parse_theme(b"\xff", origin="x.toml")


def test_paint_falls_back_to_the_parent_token() -> None:
    paint = make_paint(SHIPPED["spark-dark"])
    assert paint.token(("Keyword", "Reserved")) == paint.tokens["Keyword",]
    assert paint.token(("Literal", "String", "Doc")).italic
    assert paint.token(("Text",)) == paint.text
    assert paint.token(("Text",)) is paint.token(("Text",))
