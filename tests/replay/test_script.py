from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import ScriptError
from sparkcode.replay.script import (
    Action,
    ExpectFigure,
    ExpectFile,
    ExpectScreen,
    Mark,
    Press,
    Settings,
    Sleep,
    Type,
    Wait,
    WaitTurn,
    parse,
)


def action(line: str) -> Action:
    (statement,) = parse(line, "demo").statements
    return statement.action


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Type \"say 'hi'\"", Type("say 'hi'")),
        ("Enter", Press("enter")),
        ("esc", Press("escape")),
        ("Ctrl+J", Press("ctrl+j")),
        ("Shift+Up", Press("shift+up")),
        ("F1", Press("f1")),
        ("Sleep 250ms", Sleep(0.25)),
        ("Sleep 2", Sleep(2.0)),
        ("Wait /a\\/b/", Wait("a/b", 10.0)),
        ("wait /x/ 1.5s", Wait("x", 1.5)),
        ("WaitTurn", WaitTurn(60.0)),
        ("WaitTurn 5s", WaitTurn(5.0)),
        ("Mark first-edit", Mark("first-edit")),
        ("Expect screen /2 hunks/", ExpectScreen("2 hunks")),
        ("ExpectNot screen /error/", ExpectScreen("error", negated=True)),
        ("Expect file a.py /x/", ExpectFile("a.py", pattern="x")),
        ("Expect file a.py == b.py", ExpectFile("a.py", equals="b.py")),
        ("ExpectNot file a.py == b.py", ExpectFile("a.py", equals="b.py", negated=True)),
        ("Expect ttft <= 120ms sim", ExpectFigure("ttft", "<=", 0.12, "sim")),
        ("Expect toks > 900", ExpectFigure("toks", ">", 900.0, "wall")),
    ],
)
def test_statements(line: str, expected: Action) -> None:
    assert action(line) == expected


def test_settings_and_comments() -> None:
    script = parse(
        "# a demo\nSet Size 80x24\nSet Clock real\nSet Pace max\nSet Theme spark-light\n"
        'Set Workspace "my demo"\nSet Script a.jsonl\nSet Tape b.sparklog\n'
        "Open one.py 'two words.py'\n\nEnter\n",
        "demo",
    )
    assert script.settings == Settings(
        size=(80, 24),
        clock="real",
        workspace="my demo",
        script="a.jsonl",
        tape="b.sparklog",
        pace="max",
        theme="spark-light",
        open=("one.py", "two words.py"),
    )
    assert [statement.line for statement in script.statements] == [11]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Frobnicate", "unknown statement"),
        ("Enter twice", "stands alone"),
        ("Type hello there", "one quoted text"),
        ('Type "open', "No closing quotation"),
        ("Sleep soon", "duration"),
        ("Sleep 9999s", "at most"),
        ("Wait x", "/pattern/"),
        ("Wait /(/", "regular expression"),
        ("Mark a b", "mark's name"),
        ("Expect", "screen, file, ttft or toks"),
        ("Expect screen /a/ b", "nothing follows"),
        ("Expect file a.py", "/pattern/"),
        ("Expect file a.py ==", "EXPECTED_FILE"),
        ("Expect file a.py /x/ y", "Expect file PATH"),
        ("Expect ttft", "NUMBER"),
        ("Expect ttft <= 1s later", "NUMBER"),
        ("Expect toks == 3", "comparison"),
        ("Expect toks <= many", "could not convert"),
        ("ExpectNot toks <= 3", "turn the comparison"),
        ("Set Size big", "COLUMNSxROWS"),
        ("Set Clock lunar", "virtual, real"),
        ("Set Colour red", "unknown setting"),
        ("Set Theme", "needs a value"),
    ],
)
def test_mistakes_name_the_line(line: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=r"demo:2: .*" + reason):
        parse("# first\n" + line, "demo")


def test_settings_come_first() -> None:
    with pytest.raises(ScriptError, match="before the first action"):
        parse("Enter\nSet Size 80x24", "demo")


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(ScriptError):
        assert parse(text, "demo").name == "demo"
