"""The gate before an approval: a key that lands just as the question appears is no answer.

A hand that types does not stop because an edit became pending. So ``y`` and ``n`` count only once
the question has stood for ``ARMING_SECONDS``, and only when nothing is being typed.
"""

from __future__ import annotations

from typing import Final

ARMING_SECONDS: Final = 0.3
QUIT_SECONDS: Final = 2.0
"""How long a first Ctrl+C waits for the second."""


class Gate:
    """Remembers since when each state of what may be approved has held."""

    def __init__(self) -> None:
        self._state: object = None
        self._since = 0.0
        self._typed = False
        self._clear = float("-inf")

    def see(self, state: object, now: float) -> None:
        """What may be approved is in ``state`` at ``now`` (seconds)."""
        if state != self._state:
            self._state, self._since, self._typed = state, now, False

    def typed(self) -> None:
        """Something was typed into the prompt."""
        self._typed = True

    def armed(self, now: float) -> bool:
        """Whether the state has held long enough for a key to mean it."""
        return now - self._since >= ARMING_SECONDS

    @property
    def offered(self) -> bool:
        """Whether nothing was typed since the state began: an empty prompt then takes its keys."""
        return not self._typed

    def clear(self, now: float) -> bool:
        """A Ctrl+C at ``now``; whether it is the second of two."""
        again = self.leaving(now)
        self._clear = now
        return again

    def leaving(self, now: float) -> bool:
        """Whether a Ctrl+C at ``now`` would be the second of two."""
        return now - self._clear <= QUIT_SECONDS
