from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkcode.assistant import toolbox
from sparkcode.assistant.checkpoints import Contents
from sparkcode.assistant.toolbox import Toolbox
from sparkcode.assistant.tools import NAMES, TOOLS, Found, command_of
from sparkcode.assistant.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/shop.py").write_text("def price(x):\n    return x\n\n\nPRICE = price(1)\n")
    (tmp_path / "notes.md").write_text("price\r\nlist")
    (tmp_path / "data.bin").write_bytes(b"\0price")
    (tmp_path / ".gitignore").write_text("*.key\n")
    (tmp_path / "a.key").write_text("price\n")
    return tmp_path


def ask(root: Path, name: str, staged: Contents | None = None, **arguments: Any) -> Found:
    return Toolbox(Workspace(root)).answer(name, json.dumps(arguments), staged or {})


def test_a_file_is_read_whole_or_in_part(root: Path) -> None:
    whole = ask(root, "read_file", path="src/shop.py")
    assert whole.text == (
        "src/shop.py, lines 1-5 of 5:\ndef price(x):\n    return x\n\n\nPRICE = price(1)"
    )
    assert whole.said == "read src/shop.py: 5 lines"
    part = ask(root, "read_file", path="./src/shop.py", first_line="2", last_line=2)
    assert part.text == "src/shop.py, lines 2-2 of 5:\n    return x"
    assert part.said == "read src/shop.py:2-2: 1 line"
    beyond = ask(root, "read_file", path="notes.md", first_line=9)
    assert beyond.text == "error: 'notes.md' has 2 lines"


def test_reading_is_bounded(root: Path) -> None:
    (root / "long.txt").write_text("".join(f"{number}\n" for number in range(1000)))
    assert ask(root, "read_file", path="long.txt").said == "read long.txt:1-500: 500 lines"
    (root / "wide.txt").write_text(f"{'x' * 20_000}\n" * 3)
    assert ask(root, "read_file", path="wide.txt").said == "read wide.txt:1-1: 1 line"
    (root / "huge.txt").write_text("x" * 40_000)
    assert "line 1 of 'huge.txt' is longer" in ask(root, "read_file", path="huge.txt").text
    (root / "empty.txt").write_text("")
    assert ask(root, "read_file", path="empty.txt").text == "error: 'empty.txt' has 0 lines"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../victim", "outside the workspace"),
        ("/etc/passwd", "outside the workspace"),
        (".git/config", "not shown to a model"),
        ("a.key", "a .gitignore names it"),
        ("absent.py", "does not exist"),
        ("src", "not a regular file"),
        ("data.bin", "binary"),
        ("a\nb", "no path"),
    ],
)
def test_what_may_not_be_read_is_refused(root: Path, path: str, reason: str) -> None:
    (root / ".git").mkdir()
    (root / ".git/config").write_text("token")
    found = ask(root, "read_file", path=path)
    assert found.text.startswith("error: ")
    assert reason in found.text
    assert "\n" not in found.said


def test_a_search_names_lines(root: Path) -> None:
    found = ask(root, "search", pattern=r"\bprice\b")
    assert found.text == (
        "notes.md:1: price\nsrc/shop.py:1: def price(x):\nsrc/shop.py:5: PRICE = price(1)"
    )
    assert found.said == r"searched /\bprice\b/: 3 matches"
    assert ask(root, "search", pattern="^list$").text == "notes.md:2: list"
    assert ask(root, "search", pattern="price", glob="*.py").said.endswith("*.py: 2 matches")
    assert ask(root, "search", pattern="price", folder="src/").said.endswith("src/: 2 matches")
    alone = ask(root, "search", pattern="price", folder="notes.md")
    assert alone.text == "notes.md:1: price"
    assert ask(root, "search", pattern="nowhere").text == "no matches"
    assert ask(root, "search", pattern="x", folder="..").text.startswith("error: '..' is outside")
    assert "not shown" in ask(root, "search", pattern="x", folder=".git").text


def test_a_search_is_bounded(root: Path) -> None:
    (root / "many.txt").write_text("hit and hit\n" * 500)
    found = ask(root, "search", pattern="hit")
    assert found.text.count("many.txt:") == toolbox.MATCHES
    assert found.text.endswith("... there may be more; narrow the search")
    late = Toolbox(Workspace(root)).answer("search", '{"pattern": "p"}', {}, lambda: True)
    assert "there may be more" in late.text
    assert "no regular expression" in ask(root, "search", pattern="(").text


def test_a_pattern_that_takes_too_long_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolbox, "PATTERN_SECONDS", 1e-9)
    (root / "slow.txt").write_text("a" * 20_000)
    found = ask(root, "search", pattern="(a+)+(a+)+$x", folder="slow.txt")
    assert "takes too long" in found.text


def test_files_are_listed(root: Path) -> None:
    assert ask(root, "list_files").text == ".gitignore\ndata.bin\nnotes.md\nsrc/shop.py"
    assert ask(root, "list_files", glob="*.py").said == "listed *.py: 1 file"
    assert ask(root, "list_files", folder="src", glob="shop.*").text == "src/shop.py"
    assert ask(root, "list_files", glob="*.rs").text == "no files"
    for number in range(toolbox.FILES + 5):
        (root / f"src/{number}.txt").touch()
    assert ask(root, "list_files", folder="src").text.endswith("... and 6 more")


def test_patches_of_the_turn_count(root: Path) -> None:
    staged: Contents = {"src/new.py": b"price = 2\n", "notes.md": None, "b/c.py": b""}
    assert ask(root, "list_files", staged).text == (
        ".gitignore\nb/c.py\ndata.bin\nsrc/new.py\nsrc/shop.py"
    )
    assert ask(root, "list_files", staged, folder="src").text == "src/new.py\nsrc/shop.py"
    assert "src/new.py:1: price = 2" in ask(root, "search", staged, pattern="price").text
    assert ask(root, "read_file", staged, path="src/new.py").text.endswith("price = 2")
    assert "deleted by this task" in ask(root, "read_file", staged, path="notes.md").text


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("shell", "{}", "no tool 'shell' here"),
        ("read_file", "{}", "missing required field"),
        ("read_file", "{", "no arguments of read_file"),
        ("read_file", "", "no arguments of read_file"),
        ("search", '{"pattern": 3}', "no arguments of search"),
        ("search", "[" * 100_000, "no arguments of search"),
        ("run_command", '{"command": "ls"}', "nothing is run here"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_so(
    root: Path, name: str, arguments: str, reason: str
) -> None:
    found = Toolbox(Workspace(root)).answer(name, arguments, {})
    assert found.text.startswith("error: ")
    assert reason in found.text


def test_commands_are_one_line_that_a_user_can_read() -> None:
    assert command_of('{"command": " pytest -q "}') == "pytest -q"
    for bad in ("", " ", "a\nb", "a\x1b[2K", "x" * 1001, "a\u202eb"):
        found = command_of(json.dumps({"command": bad}))
        assert isinstance(found, Found)
        assert "one printable line" in found.text
    assert isinstance(command_of("{}"), Found)


def test_every_tool_is_described() -> None:
    for tool in TOOLS:
        parameters = tool["parameters"]
        assert set(parameters["required"]) <= set(parameters["properties"])
        assert tool["description"]
    assert set(NAMES) == {"list_files", "search", "read_file", "run_command"}
