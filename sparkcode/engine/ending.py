"""Where a completion ends. Pure.

A model that fills in a middle often goes on: with what stands behind the cursor already, or with
the next function. A completion is of **one line** when something stands behind the cursor on its
line, or when that was asked for; else it is a **block**. Each ends where the model says so, and

* before a closing bracket that belongs to one which was open at the cursor and has its own closing
  one behind it; behind the line that such a bracket begins, where it has none;
* one line: at its end; what it repeats of the text behind the cursor is left out;
* a block: before a line that equals the next line which is not blank;
* a block: before a line that is indented less than the cursor's (less or as much, where the
  cursor's line began a block of its own), outside brackets and strings;
* a block: at blank lines before another definition and its comment, once something has been said;
* a block: before a line with which it has said the same four lines again.

The model does not read a space just before the cursor, since a word and the space before it are one
token: it says that space itself, and here it is left out.

Text is taken one character at a time, so that chunks cannot matter. What is said is never taken
back: a line, or a part of it, is held until it is certain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from sparkcode.engine.base import Channel
from sparkcode.engine.brackets import Scan, scan
from sparkcode.engine.fim import spoken_again

BLANK_LINES: Final = 2
"""More of them in a row end a block."""

AGAIN_LINES: Final = 4
"""As many lines, said again, are a loop; error handling repeats three."""

_TAB: Final = 4

_CLAUSE: Final = re.compile(
    r"\s*(?:elif|else|elsif|except|finally|catch|rescue|ensure|then|do|done|fi|esac|end)\b"
)
"""Goes on with the block of a line that is indented as much."""

_DEFINITION: Final = re.compile(
    r"""\s*(?:
    (?:(?:export|default|pub(?:\(\w+\))?|public|private|protected|static|abstract|async|unsafe
        |extern|const)\s+)*
    (?:def|class|func|function|fn|struct|enum|trait|impl|mod|module|interface|namespace|type)\b
    | @\w | \#\[ | /\*\* | ///
    | if\s+__name__\b
    | [\w-]+\s*\(\)\s*\{?\s*$
    | (?:export\s+)?(?:const|let|var)\s+\w+\s*=.*(?:=>|\bfunction\b).*\{\s*$
    | (?!.*\b(?:if|for|while|switch|return|else|with|match|loop)\b)[\w\s*<>:,]+\([^;]*\)[^;]*\{\s*$
    )""",
    re.VERBOSE,
)
_COMMENT: Final = re.compile(r"#|//|/\*|--")


@dataclass(frozen=True, slots=True)
class Place:
    """What matters of the text around the cursor."""

    language: str = ""
    head: str = ""
    """The cursor's line before it."""
    tail: str = ""
    """The cursor's line behind it, without white space at its end."""
    below: str = ""
    """The next line that is not blank, without white space at its end."""
    spare: int = 0
    """Brackets that are open at the cursor and closed nowhere behind it."""
    inside: str = ""
    """What opened the string or comment around the cursor; "" in code."""
    line_only: bool = False
    """Whether one line was asked for."""


def place_between(prefix: str, suffix: str, language: str, *, line_only: bool = False) -> Place:
    """The place between two parts of a file, with LF as endings."""
    before = scan(prefix, language)
    tail, _, below = suffix.partition("\n")
    lines = (line.rstrip() for line in below.split("\n"))
    return Place(
        language,
        prefix.rpartition("\n")[2],
        tail.rstrip(),
        next((line for line in lines if line), ""),
        max(0, before.opens - len(scan(suffix, language, before.inside).closes)),
        before.inside,
        line_only,
    )


class _Rule(Protocol):
    full: bool

    def take(self, char: str) -> str:
        """What is certain with one more character."""
        ...

    def end(self) -> str:
        """The rest, when the model says no more."""
        ...


class CompletionSink:
    """A completion: a message that ends where the module says."""

    def __init__(self, place: Place) -> None:
        one_line = place.line_only or bool(place.tail)
        self._rule: _Rule = _OneLine(place) if one_line else _Block(place)
        self._owed = spoken_again(place.head)
        """What the model says and the file has."""

    @property
    def full(self) -> bool:
        return self._rule.full

    def feed(self, text: str) -> tuple[Channel, str]:
        said = ""
        for char in text:
            if self._rule.full:
                break
            owed, self._owed = self._owed, ""
            if char == owed:
                continue
            said += self._rule.take(char)
        return Channel(), said

    def finish(self, *, complete: bool) -> tuple[Channel, str]:
        return Channel(), "" if self._rule.full else self._rule.end()


class _Brackets:
    """The text so far, as far as its brackets go."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._text = ""
        self._closed = 0
        self.depth = 0
        """Its own brackets that were open when the line began."""
        self.in_block = place.inside != ""
        """Whether the line began in a string or comment."""

    def take(self, char: str) -> Literal["none", "spare", "foreign"]:
        """One more character: does it close a bracket from before the cursor, and may it?"""
        self._text += char
        if char == "\n":
            found = self._scan()
            self.depth, self.in_block = found.opens, found.in_block
        elif char in ")]}" and len(self._scan().closes) > self._closed:
            self._closed += 1
            return "spare" if self._closed <= self._place.spare else "foreign"
        return "none"

    def _scan(self) -> Scan:
        return scan(self._text, self._place.language, self._place.inside)


class _OneLine:
    """See the module. Blank lines before the one line are said, where the cursor's is finished."""

    def __init__(self, place: Place) -> None:
        self.full = False
        self._tail = place.tail
        self._brackets = _Brackets(place)
        self._text = ""
        self._said = 0

    def take(self, char: str) -> str:
        if char == "\n" and (self._tail or self._text.strip()):
            self.full = True
            return self.end()
        if self._brackets.take(char) == "foreign":
            self.full = True
            repeated = self._repeated()
            follows = self._tail[repeated:].startswith(char)
            return self._say(repeated if follows else 0)
        self._text += char
        return self._say(self._repeated() if self._text.strip() else len(self._text))

    def end(self) -> str:
        if not self._text.strip():
            return ""
        whole = self._tail and self._text.endswith(self._tail)
        return self._say(len(self._tail) if whole and not self._belongs() else 0)

    def _say(self, hold: int) -> str:
        """What is new, but for the last ``hold`` characters."""
        new = self._text[self._said : len(self._text) - hold]
        self._said += len(new)
        return new

    def _repeated(self) -> int:
        """Characters of the tail's beginning that the text ends with."""
        most = min(len(self._tail), len(self._text))
        return next((n for n in range(most, 0, -1) if self._text.endswith(self._tail[:n])), 0)

    def _belongs(self) -> bool:
        """Whether a tail at the text's end is the text's own: brackets and quotes come in pairs."""
        mark = self._tail[0]
        return mark in ")]}" or (mark in "\"'`" and self._text.count(mark) % 2 == 0)


class _Block:
    """See the module."""

    def __init__(self, place: Place) -> None:
        self.full = False
        self._place = place
        self._brackets = _Brackets(place)
        self._line = place.head
        """The line so far, from its first column."""
        self._first = True
        """Whether it is the cursor's."""
        self._going = place.head.strip() != ""
        """Whether it is known to belong to the completion."""
        self._held = ""
        self._spoken = False
        self._blank = False
        """Whether a blank line stands before it, or before the comment that does."""
        self._blanks = 0
        self._closing = False
        """Whether a spare bracket begins it."""
        self._base = _indent(place.head) if place.head else None
        """Indentation of the cursor's line; where that is empty, of the first that is not blank."""
        self._lines: list[str] = []
        """Those that were said, but for blank ones."""
        self._opened: bool | None = None if self._going else False
        """Whether the cursor's line began a block; None until a line below it tells."""

    def take(self, char: str) -> str:
        if char == "\n":
            return self._newline()
        self._line += char
        self._held += char
        closes = self._brackets.take(char)
        if closes == "foreign":
            self.full = True
            return "" if self._line.strip() == char else self._held[:-1]
        if closes == "spare" and self._line.strip() == char:
            self._closing = True
        if not self._going and self._line.strip():
            self._look()
        return self._flush() if self._going else ""

    def end(self) -> str:
        if not self._going and (not self._line.strip() or self._ends() or self._waits()):
            return ""
        return self._flush()

    def _newline(self) -> str:
        blank = not self._line.strip()
        waits = not blank and not self._going and self._waits()
        if not blank and not self._going:
            self.full = self._ends()
            self._going = not self.full and not waits
        said = self._flush() if self._going else ""
        if self._going:
            self._lines.append(self._line.rstrip())
        self._brackets.take("\n")
        self._spoken = self._spoken or bool(said.strip())
        done = self._closing and self._brackets.depth == 0
        self._blanks = self._blanks + 1 if blank else 0
        self.full = self.full or done or self._blanks > BLANK_LINES
        self._held += "\n"
        self._blank, self._line = blank or waits, ""
        self._first = self._going = self._closing = False
        return said

    def _flush(self) -> str:
        said, self._held = self._held, ""
        self._spoken = self._spoken or bool(said.strip())
        return said

    def _look(self) -> None:
        """Decide about a line that has begun, or leave it until more of it is known."""
        indent = _indent(self._line)
        if self._base is None:
            self._base = indent
        if self._opened is None and not self._first:
            self._opened = indent > self._base
        if self._place.below.startswith(self._line) and not self._brackets.depth:
            return
        if any(line.startswith(self._line) for line in self._again()):
            return
        if self._free or self._closing:
            self._going = True
        elif indent < self._base:
            self.full = True
        else:
            self._going = indent > self._base or not (self._opened or self._blank)

    @property
    def _free(self) -> bool:
        """Whether the line began where indentation says nothing."""
        return self._brackets.depth > 0 or self._brackets.in_block

    def _ends(self) -> bool:
        """Whether the completion ends before this line, which is whole."""
        line = self._line.rstrip()
        repeats = line == self._place.below and not self._brackets.depth
        if repeats or line in self._again():
            return True
        if self._free or self._closing or self._base is None:
            return False
        indent = _indent(line)
        if indent < self._base or (self._opened and indent <= self._base):
            return indent < self._base or _CLAUSE.match(line) is None
        return indent == self._base and self._blank and self._spoken and _begins_another(line)

    def _waits(self) -> bool:
        """Whether the line is a comment that belongs to what follows it, so that this decides."""
        after = self._blank and self._spoken and not self._free
        level = after and _indent(self._line) == self._base
        return level and _COMMENT.match(self._line.strip()) is not None

    def _again(self) -> list[str]:
        """The lines with which the completion would have said as many lines again."""
        lines, run = self._lines, AGAIN_LINES - 1
        last = lines[-run:]
        return [lines[at + run] for at in range(len(lines) - run) if lines[at : at + run] == last]


def _begins_another(line: str) -> bool:
    """Whether ``line`` begins another definition, or at the top level its comment."""
    if _DEFINITION.match(line):
        return True
    return _indent(line) == 0 and _COMMENT.match(line) is not None


def _indent(line: str) -> int:
    wide = line.expandtabs(_TAB)
    return len(wide) - len(wide.lstrip())
