"""Speculative decoding that changes nothing but the speed.

One pass scores the last known token and a draft behind it (Leviathan et al. 2023; Chen et al.
2023). Row by row a token is chosen as it always is; while it equals the draft's, the next row is
already there. So a pass brings one token more than the draft got right, and the tokens are those of
plain decoding, one for one.

This holds for sampling too. The published rule accepts a drafted token *x* with probability
``p(x)`` (for a draft without randomness of its own) and draws from ``p`` without *x*, renormalised,
where it refuses. Drawing *y* from ``p`` and keeping the draft while ``y == x`` is the same rule:
*x* comes with probability ``p(x)``, and a *y* that is not *x* is a draw from the rest. Since each
token takes one random number, with a draft or without, a seed gives the same answer either way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from sparkcode.engine.draft import MAX_DRAFT, Draft, Drafter, DraftLength

MAX_ROWS: Final = MAX_DRAFT + 1
"""Rows of answers in one pass, all sequences together."""

Row = TypeVar("Row")


def chosen(
    rows: Iterable[Row], draft: Sequence[int], choose: Callable[[Row], int]
) -> Iterator[int]:
    """Tokens that ``rows`` bring, at least one; the row behind each right token of the draft is
    used. Lazy: a caller that has enough leaves the random state as plain decoding would.
    """
    for at, row in enumerate(rows):
        token = choose(row)
        yield token
        if at >= len(draft) or draft[at] != token:
            return


DEFAULT_COSTS: Final[Mapping[int, float]] = {
    1: 1.0,
    2: 1.1,
    4: 1.2,
    6: 1.4,
    8: 1.65,
    12: 2.5,
    16: 3.0,
}
"""Cost of a pass by its rows, relative to one row, before any was measured."""
_KEPT: Final = 9
"""Times kept for each number of rows; their median counts."""
_LEAST: Final = 3
"""Times needed before they count."""


class PassCosts:
    """What a pass costs by its rows: measured as passes go by, a default until then."""

    def __init__(self, default: Mapping[int, float] = DEFAULT_COSTS) -> None:
        self._default = sorted(default.items())
        self._seen: dict[int, deque[float]] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """A pass over ``rows`` rows took ``seconds``."""
        self._seen.setdefault(rows, deque(maxlen=_KEPT)).append(seconds)

    def cost(self, rows: int) -> float:
        """Seconds once passes of about as many rows were measured, else on an arbitrary scale.

        Always above 0, and of one scale between two calls without an ``observe``.
        """
        known = {n: _median(seen) for n, seen in self._seen.items() if len(seen) >= _LEAST}
        known = {n: seconds for n, seconds in known.items() if seconds > 0}
        if not known:
            return self._expected(rows)
        if rows in known:
            return known[rows]
        nearest = min(known, key=lambda n: (abs(n - rows), n))
        return known[nearest] * self._expected(rows) / self._expected(nearest)

    def _expected(self, rows: int) -> float:
        """The default, interpolated; proportional beyond its end."""
        below, above = self._default[0], self._default[-1]
        for point in self._default:
            if point[0] <= rows:
                below = point
            if point[0] >= rows:
                above = point
                break
        if rows >= above[0]:
            return above[1] * rows / above[0]
        share = (rows - below[0]) / (above[0] - below[0])
        return below[1] + share * (above[1] - below[1])


def _median(values: Sequence[float] | deque[float]) -> float:
    return sorted(values)[len(values) // 2]


class Speculator:
    """Drafts for one answer, and learns from what became of them."""

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter
        self._length = DraftLength()
        self._tried = Draft()
        self.drafted = 0
        """Tokens proposed to the model so far."""
        self.accepted = 0
        """Those of them that were right."""

    def propose(self, limit: int, cost: Callable[[int], float]) -> tuple[int, ...]:
        """A draft of at most ``limit`` tokens; empty where it would cost more than it brings.

        ``cost(n)`` is what a pass costs in which this answer has n rows.
        """
        found = self._drafter.propose(max(1, min(limit, MAX_DRAFT)))
        length = self._length.choose(found.source, min(limit, len(found.tokens)), cost)
        # One that is not tried is watched all the same: does its first token come?
        self._tried = Draft(found.tokens[: max(1, length)], found.source)
        self.drafted += length
        return self._tried.tokens[:length]

    def accept(self, tokens: Sequence[int], draft: Sequence[int]) -> None:
        """The answer goes on with ``tokens``, of which ``draft`` had been proposed."""
        right = 0
        for token, proposed in zip(tokens, self._tried.tokens, strict=False):
            if token != proposed:
                break
            right += 1
        self._length.observe(self._tried, right)
        self._tried = Draft()
        self.accepted += min(right, len(draft))
        self._drafter.accept(tokens)
