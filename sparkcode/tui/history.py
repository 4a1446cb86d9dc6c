"""Prompts that were sent, to be recalled; what was being typed is never lost."""

from __future__ import annotations


class History:
    """A list of prompts and a place in it; the place after the last one is the draft's."""

    def __init__(self) -> None:
        self._items: list[str] = []
        self._at = 0
        self._draft = ""

    def push(self, text: str) -> None:
        """``text`` was sent, or put away; the place is the draft's again."""
        if text.strip() and self._items[-1:] != [text]:
            self._items.append(text)
        self._at = len(self._items)
        self._draft = ""

    def earlier(self, current: str) -> str | None:
        """The prompt before this place; None at the oldest. ``current`` is what was typed."""
        if self._at == 0:
            return None
        if self._at == len(self._items):
            self._draft = current
        self._at -= 1
        return self._items[self._at]

    def later(self) -> str | None:
        """The prompt after this place, at last the draft; None when at the draft."""
        if self._at == len(self._items):
            return None
        self._at += 1
        return self._items[self._at] if self._at < len(self._items) else self._draft
