"""The ``.spark`` language: a person at the keyboard, and what that person expects to feel.

One statement a line; ``#`` starts a comment line. Keywords are not case-sensitive.

    Set Size 120x40                 columns x rows (default 120x40)
    Set Clock virtual               virtual (default) or real
    Set Workspace fixtures/demo     a folder that is copied, so that nothing here changes
    Set Script fixtures/demo.jsonl  lines of the scripted engine
    Set Tape session.sparklog       a recorded wire instead of an engine
    Set Pace sim                    live, sim or max
    Set Theme spark-dark
    Open calc.py                    files of the screen, before the first statement below

    Type "Raise a ValueError"       keys, one after another
    Enter  Escape  Tab  Up  Ctrl+J  a key by its name
    Sleep 250ms
    Wait /\\+.*raise/ 5s             until the screen shows the pattern (default 10 s)
    WaitTurn 30s                    until the newest turn is over
    Mark name                       a named instant with its screen

    Expect screen /2 hunks/         also: ExpectNot screen /error/
    Expect file calc.py /ValueError/
    Expect file calc.py == expected/calc.py
    Expect ttft <= 120ms sim        wall unless it says sim
    Expect toks >= 900 sim

Relative paths in ``Set`` are relative to the script. The parser is pure: it opens nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from sparkcode.errors import ScriptError

DEFAULT_WAIT_SECONDS = 10.0
DEFAULT_TURN_SECONDS = 60.0
_MAX_SECONDS = 3600.0

Comparison = Literal["<=", ">=", "<", ">"]
Axis = Literal["wall", "sim"]
Figure = Literal["ttft", "toks"]


@dataclass(frozen=True, slots=True)
class Type:
    text: str


@dataclass(frozen=True, slots=True)
class Press:
    key: str
    """Textual's name of the key, such as ``enter`` or ``ctrl+j``."""


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class Wait:
    pattern: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class WaitTurn:
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class ExpectScreen:
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ExpectFile:
    path: str
    pattern: str = ""
    """Searched in the file when not empty."""
    equals: str = ""
    """A file with the expected bytes, relative to the script, when not empty."""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ExpectFigure:
    figure: Figure
    comparison: Comparison
    bound: float
    """Seconds for ``ttft``, tokens per second for ``toks``."""
    axis: Axis = "wall"


Expect = ExpectScreen | ExpectFile | ExpectFigure
Action = Type | Press | Sleep | Wait | WaitTurn | Mark | Expect


@dataclass(frozen=True, slots=True)
class Statement:
    """An action and where it stands."""

    line: int
    source: str
    action: Action


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``Set`` and ``Open`` chose."""

    size: tuple[int, int] = (120, 40)
    """Columns and rows."""
    clock: Literal["virtual", "real"] = "virtual"
    workspace: str = ""
    script: str = ""
    tape: str = ""
    pace: Literal["live", "sim", "max"] = "sim"
    theme: str = ""
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    settings: Settings = field(default_factory=Settings)
    statements: tuple[Statement, ...] = ()


KEYS = {
    "enter": "enter",
    "escape": "escape",
    "esc": "escape",
    "tab": "tab",
    "space": "space",
    "backspace": "backspace",
    "delete": "delete",
    "up": "up",
    "down": "down",
    "left": "left",
    "right": "right",
    "home": "home",
    "end": "end",
    "pageup": "pageup",
    "pagedown": "pagedown",
    **{f"f{number}": f"f{number}" for number in range(1, 13)},
}
"""Key statement to Textual's key name; ``Ctrl+X``, ``Alt+X`` and ``Shift+X`` besides."""

_CHORD = re.compile(r"(ctrl|alt|shift)\+(\w+|\S)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)?")
_PATTERN = re.compile(r"/((?:[^/\\]|\\.)*)/")
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")


def parse(text: str, name: str) -> Script:
    """The script in ``text``; ScriptError names the line and what would be right."""
    settings = Settings()
    statements: list[Statement] = []
    for number, raw in enumerate(text.splitlines(), 1):
        source = raw.strip()
        if not source or source.startswith("#"):
            continue
        keyword, _, rest = source.partition(" ")
        try:
            if keyword.lower() in ("set", "open"):
                if statements:
                    raise ScriptError(f"{keyword} belongs before the first action")
                settings = _setting(settings, keyword.lower(), rest.strip())
            else:
                statements.append(Statement(number, source, _action(keyword, rest.strip())))
        except (ScriptError, ValueError) as error:
            raise ScriptError(f"{name}:{number}: {error}: {source!r}") from error
    return Script(name, settings, tuple(statements))


def _setting(settings: Settings, keyword: str, rest: str) -> Settings:
    if keyword == "open":
        return replace(settings, open=(*settings.open, *shlex.split(rest)))
    key, _, value = rest.partition(" ")
    key, value = key.lower(), " ".join(shlex.split(value))
    choices = {"clock": ("virtual", "real"), "pace": ("live", "sim", "max")}
    if key == "size":
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ScriptError("a size is COLUMNSxROWS, such as 120x40")
        return replace(settings, size=(int(match[1]), int(match[2])))
    if key not in ("clock", "pace", "workspace", "script", "tape", "theme"):
        raise ScriptError(
            "unknown setting; there are Size, Clock, Workspace, Script, Tape, Pace, Theme"
        )
    if key in choices and value not in choices[key]:
        raise ScriptError(f"{key} is one of {', '.join(choices[key])}")
    if not value:
        raise ScriptError(f"{key} needs a value")
    changes: dict[str, str] = {key: value}
    return replace(settings, **changes)  # type: ignore[arg-type]  # checked against choices above


def _action(keyword: str, rest: str) -> Action:
    word = keyword.lower()
    maker = _ACTIONS.get(word)
    if maker is not None:
        return maker(rest)
    if rest:
        raise ScriptError(f"a key statement stands alone; {keyword!r} is no action")
    return Press(_key(word))


def _key(word: str) -> str:
    if word in KEYS:
        return KEYS[word]
    chord = _CHORD.fullmatch(word)
    if chord is None:
        raise ScriptError(
            "unknown statement; there are Type, Sleep, Wait, WaitTurn, Mark, Expect, ExpectNot "
            "and keys such as Enter, Escape, Ctrl+J, F1"
        )
    return f"{chord[1]}+{KEYS.get(chord[2], chord[2])}"


def _type(rest: str) -> Action:
    words = shlex.split(rest)
    if len(words) != 1:
        raise ScriptError('Type takes one quoted text: Type "..."')
    return Type(words[0])


def _sleep(rest: str) -> Action:
    return Sleep(_seconds(rest))


def _wait(rest: str) -> Action:
    pattern, tail = _pattern(rest)
    return Wait(pattern, _seconds(tail) if tail else DEFAULT_WAIT_SECONDS)


def _wait_turn(rest: str) -> Action:
    return WaitTurn(_seconds(rest) if rest else DEFAULT_TURN_SECONDS)


def _mark(rest: str) -> Action:
    if not re.fullmatch(r"[\w.-]{1,64}", rest):
        raise ScriptError("a mark's name has letters, digits, '.', '_' and '-' only")
    return Mark(rest)


def _expect(rest: str) -> Action:
    return _expectation(rest, negated=False)


def _expect_not(rest: str) -> Action:
    return _expectation(rest, negated=True)


_ACTIONS: dict[str, Callable[[str], Action]] = {
    "type": _type,
    "sleep": _sleep,
    "wait": _wait,
    "waitturn": _wait_turn,
    "mark": _mark,
    "expect": _expect,
    "expectnot": _expect_not,
}


def _expectation(rest: str, *, negated: bool) -> Expect:
    subject, _, tail = rest.partition(" ")
    match subject.lower():
        case "screen":
            pattern, after = _pattern(tail)
            if after:
                raise ScriptError("nothing follows the pattern")
            return ExpectScreen(pattern, negated)
        case "file":
            return _expect_file(tail.strip(), negated=negated)
        case ("ttft" | "toks") as figure:
            if negated:
                raise ScriptError(f"turn the comparison of {figure} around instead")
            return _expect_figure(figure, tail.split())
        case _:
            raise ScriptError("expects screen, file, ttft or toks")


def _expect_file(rest: str, *, negated: bool) -> ExpectFile:
    path, _, tail = rest.partition(" ")
    tail = tail.strip()
    if tail.startswith("=="):
        (fixture,) = shlex.split(tail.removeprefix("==")) or ("",)
        if not path or not fixture:
            raise ScriptError("Expect file PATH == EXPECTED_FILE")
        return ExpectFile(path, equals=fixture, negated=negated)
    pattern, after = _pattern(tail)
    if after or not path:
        raise ScriptError("Expect file PATH /pattern/")
    return ExpectFile(path, pattern=pattern, negated=negated)


def _expect_figure(figure: Figure, words: list[str]) -> ExpectFigure:
    if len(words) not in (2, 3) or (len(words) == 3 and words[2] not in ("sim", "wall")):
        raise ScriptError(f"Expect {figure} <= NUMBER [sim|wall]")
    comparison, amount = words[0], words[1]
    axis: Axis = "sim" if words[2:] == ["sim"] else "wall"
    bound = _seconds(amount) if figure == "ttft" else float(amount)
    match comparison:
        case "<=" | ">=" | "<" | ">":
            return ExpectFigure(figure, comparison, bound, axis)
        case _:
            raise ScriptError("a comparison is <=, >=, < or >")


def _pattern(text: str) -> tuple[str, str]:
    """The /pattern/ at the start of ``text``, and what follows it."""
    match = _PATTERN.match(text)
    if match is None:
        raise ScriptError("needs a /pattern/")
    pattern = match[1].replace("\\/", "/")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ScriptError(f"no regular expression ({error})") from error
    return pattern, text[match.end() :].strip()


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ScriptError("a duration is a number with ms or s, such as 250ms")
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
    if seconds > _MAX_SECONDS:
        raise ScriptError(f"a duration is at most {_MAX_SECONDS:.0f} s")
    return seconds
