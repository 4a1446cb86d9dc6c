"""``sparkcode themes``, the options of the screen, and what an import of the screen costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparkcode.cli.reach import Reach
from sparkcode.cli.screen import run_screen
from sparkcode.cli.themes import themes
from sparkcode.config import Config
from sparkcode.errors import UsageError, WorkspaceError

HEAVY = {"numpy", "llvmlite", "websockets", "httpx", "tiktoken", "uvicorn", "gguf"}
"""Textual's text area loads the bare ``tree_sitter`` binding by itself (3 ms), but no grammar."""


def test_an_import_brings_nothing_heavy() -> None:
    code = "import sparkcode.tui.app, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith("tree_sitter_")]


def test_themes_list_and_check() -> None:
    run = CliRunner()
    listed = json.loads(run.invoke(themes, ["list", "--json"]).output)
    assert listed["themes"][0]["name"] == "spark-dark"
    assert "spark-light" in run.invoke(themes, ["list"]).output
    checked = run.invoke(themes, ["check"])
    assert checked.exit_code == 0, checked.output
    assert "spark-dark       130 pairs" in checked.output
    one = json.loads(run.invoke(themes, ["check", "high-contrast", "--json"]).output)
    assert [row["name"] for row in one["themes"]] == ["high-contrast"]


def test_a_bad_theme_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "sparkcode" / "themes"
    folder.mkdir(parents=True)
    run = CliRunner()
    listed = json.loads(run.invoke(themes, ["list", "--json"]).output)
    good = Path(listed["themes"][0]["path"]).read_text()
    dim = good.replace('"spark-dark"', '"dim"').replace('"#d9dee8"', '"#333333"')
    (folder / "dim.toml").write_text(dim)
    (folder / "bad.toml").write_text("name")
    checked = run.invoke(themes, ["check"])
    assert checked.exit_code == 1
    assert "foreground: #333333 on #11151c is" in checked.output
    assert "skipped: theme" in checked.output
    assert "skipped: theme" in run.invoke(themes, ["list"]).output
    report = json.loads(run.invoke(themes, ["check", "dim", "--json"]).output)
    assert report["themes"][0]["failed"]
    wrong = run.invoke(themes, ["check", "nope"])
    assert isinstance(wrong.exception, UsageError)


def test_the_screen_needs_a_terminal() -> None:
    with pytest.raises(UsageError, match="needs a terminal"):
        run_screen([], reach=Reach(), config=Config())
    with pytest.raises(WorkspaceError, match="does not exist"):
        run_screen(["no-such-file.py"], reach=Reach(), config=Config())
    with pytest.raises(UsageError, match="'modles' is neither a file here nor a command"):
        run_screen(["modles"], reach=Reach(), config=Config())
