"""Write the apply_patch text for a new file, while its text streams in."""

from __future__ import annotations

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.grammar import ADD_FILE, BEGIN_PATCH, END_PATCH, WHITESPACE


class AddWriter:
    """Turns the streamed text of a new file into apply_patch text.

    Lines end with ``\\n``, also the last one; a carriage return before it is left out. The output
    does not depend on how the text was cut; it is empty when there is no text.
    Raises :class:`PatchSyntaxError` for a path that no patch can name.
    """

    def __init__(self, path: str) -> None:
        if not path or "\n" in path or path != path.rstrip(WHITESPACE):
            raise PatchSyntaxError(
                f"path {path!r} cannot stand in a patch: it is empty, has a line break or ends "
                "with white space"
            )
        self._path = path
        self._inside = False
        """Whether a line has begun."""
        self._returns = ""
        self.changed = False

    def feed(self, text: str) -> str:
        """The patch text of ``text``, the next piece of the file."""
        if not text:
            return ""
        out = [] if self.changed else [f"{BEGIN_PATCH}\n{ADD_FILE}{self._path}\n"]
        self.changed = True
        pieces = text.split("\n")
        for piece in pieces[:-1]:
            out += [self._line(piece), "\n"]
            self._inside, self._returns = False, ""
        if pieces[-1]:
            out.append(self._line(pieces[-1]))
        return "".join(out)

    def _line(self, piece: str) -> str:
        """More of a line; carriage returns wait, since they may be its end."""
        start = "" if self._inside else "+"
        self._inside = True
        piece = self._returns + piece
        kept = piece.rstrip("\r")
        self._returns = piece[len(kept) :]
        return start + kept

    def end(self) -> str:
        """The rest of the file's text."""
        inside, self._inside = self._inside, False
        return "\n" if inside else ""

    def close(self) -> str:
        """End the file and the patch; empty when there was no text."""
        return self.end() + (f"{END_PATCH}\n" if self.changed else "")
