"""Pygments colours, line by line, without ever colouring a whole file in one go.

A lexer's token stream is a generator, so a file is lexed only as far down as somebody has looked,
and only so many tokens at a time: a frame has a bounded cost, whatever the file's length. Lines
that are not reached yet are painted plain and get their colours a frame later.

Added lines have no place in that stream, and the newest of them grows with every token. Most lines
start in the lexer's first state, so each is lexed alone. Where the line before ended inside a
string or a comment, which the type of its line break tells, a finished line is lexed with its lead,
and a growing one takes that type until it is finished. After the edit is accepted the
file is lexed anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pygments.lexer import Lexer

TOKENS_PER_FRAME: Final = 4000
"""About 6 ms of lexing."""
LEAD_LINES: Final = 12
LONGEST_LINE: Final = 2000
"""Characters; longer lines are painted plain."""

Token = tuple[str, ...]
"""A Pygments token type as its path, such as ``("Name", "Function")``."""
Piece = tuple[str, Token]
Line = tuple[list[Piece], Token]
"""The pieces of a line, and the type of the token that holds its line break."""


def find_lexer(language: str, path: str) -> Lexer | None:
    """The lexer for a fence's language name, else for the file's name, else None."""
    from pygments.lexers import find_lexer_class_for_filename, get_lexer_by_name
    from pygments.util import ClassNotFound

    options = {"stripnl": False, "ensurenl": False}
    if language:
        try:
            return get_lexer_by_name(language, **options)
        except ClassNotFound:
            pass
    found = find_lexer_class_for_filename(path)
    return None if found is None else found(**options)


def pieces_of(lexer: Lexer, text: str) -> Iterator[Line]:
    """The coloured pieces of each line of ``text``, which ends in a line break."""
    line: list[Piece] = []
    for _, token, value in lexer.get_tokens_unprocessed(text):
        kind = tuple(token)
        first, *others = value.split("\n")
        if first:
            line.append((first, kind))
        for part in others:
            yield line, kind
            line = [(part, kind)] if part else []


def carries(token: Token) -> bool:
    """Whether a line break of this type is inside something that goes on."""
    return token[:2] == ("Literal", "String") or token[:2] == ("Comment", "Multiline")


class Colours:
    """The pieces of one file's lines, made as far as they are needed."""

    def __init__(self, lines: Sequence[str], lexer: Lexer | None) -> None:
        self._lines = lines
        self._lexer = lexer
        self._ready: list[list[Piece]] = []
        self._source: Iterator[Line] | None = None
        if lexer is not None and all(len(line) <= LONGEST_LINE for line in lines):
            self._source = pieces_of(lexer, "".join(f"{line}\n" for line in lines))

    def __getitem__(self, line: int) -> list[Piece]:
        """The pieces of a 0-based line; one plain piece while it is not reached."""
        if line < len(self._ready):
            return self._ready[line]
        text = self._lines[line]
        return [(text, ())] if text else []

    def reached(self, line: int) -> bool:
        """Whether the colours of ``line`` are final."""
        return self._source is None or line < len(self._ready)

    def advance(self, line: int, *, budget: int = TOKENS_PER_FRAME) -> bool:
        """Lex towards ``line`` for at most ``budget`` tokens; whether anything was added."""
        before = len(self._ready)
        while self._source is not None and len(self._ready) <= line and budget > 0:
            found = next(self._source, None)
            if found is None:
                self._source = None
                break
            self._ready.append(found[0])
            budget -= len(found[0]) + 1
        return len(self._ready) > before

    def alone(self, text: str, lead: Sequence[str] = ()) -> Line:
        """A line that is not part of the file, with the lines before it that matter."""
        texts = [*lead, text]
        if self._lexer is None or any(len(each) > LONGEST_LINE for each in texts):
            return plain_line(text)
        *_, last = pieces_of(self._lexer, "".join(f"{each}\n" for each in texts))
        return last


def plain_line(text: str, token: Token = ()) -> Line:
    """``text`` as one piece, inside a ``token`` that goes on."""
    return ([(text, token)] if text else []), token
