"""Drafts by looking up: what the model is about to copy is proposed before it is computed. Pure.

An edit repeats most of its region, so the region's own tokens are the best draft there is (Saxena
2023, "prompt lookup decoding"; Yang et al. 2023, "Inference with reference"). A :class:`Drafter`
keeps a pointer into the original: while the output matches it, the pointer moves along and what
follows it is proposed. After a divergence the last tokens of the output are looked for in the
original, longest run first and forward first, because an edit goes through its region in order.
Where the original has nothing to offer, the continuation of the same last tokens elsewhere in
prompt and output is proposed.

How many tokens are worth proposing depends on how often they were right and on what a pass over
more rows costs: :class:`DraftLength` maximises expected tokens a second. With acceptance *a* a
draft of *k* brings ``1 + a + ... + a**k`` tokens and costs ``cost(k + 1)``. Proposals that were
not verified count as well, since the token that came tells whether the first would have been right:
so drafting stops when it does not pay, and begins again when it would.

A draft never changes what is said, only how soon: see :mod:`sparkcode.engine.speculation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

MAX_DRAFT: Final = 15
"""Tokens proposed at once, at most: with the known one they fill the widest tile of rows."""

Source = Literal["aligned", "resynced", "ngram", "none"]

_RUNS: Final = (4, 3, 2, 1)
"""Lengths of the run of last tokens that is looked for in the original."""
_NEAR: Final = 24
"""How far ahead of the pointer a run of one token counts, in tokens."""
_NGRAMS: Final = (4, 3, 2)
"""Lengths of the run that is looked for in prompt and output."""
_STEADY: Final = 4
"""Matches in a row after which the pointer is trusted."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Proposed tokens and where they came from; ``none`` when there are none."""

    tokens: tuple[int, ...] = ()
    source: Source = "none"


class Drafter:
    """Proposes the next tokens of one answer. ``original`` is what it probably copies."""

    def __init__(self, prompt: Sequence[int], original: Sequence[int] = ()) -> None:
        self._original = tuple(original)
        self._pointer: int | None = 0 if original else None
        """Index in the original of the token that should come next; None while it is lost."""
        self._reached = 0
        """Index behind the last token that matched."""
        self._streak = 0
        self._output: list[int] = []
        self._places = _places(self._original)
        self._history: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        """Every run of the history to the index behind its last occurrence but the final one."""
        self._latest: dict[tuple[int, ...], int] = {}
        for token in prompt:
            self._remember(token)

    def accept(self, tokens: Sequence[int]) -> None:
        """The output goes on with ``tokens``."""
        for token in tokens:
            self._output.append(token)
            self._remember(token)
            self._follow(token)

    def propose(self, limit: int) -> Draft:
        """At most ``limit`` tokens that probably come next."""
        if limit < 1:
            return Draft()
        if self._pointer is not None and self._pointer < len(self._original):
            tokens = self._original[self._pointer : self._pointer + limit]
            return Draft(tokens, "aligned" if self._streak >= _STEADY else "resynced")
        for length in _NGRAMS:
            at = self._ends.get(tuple(self._history[-length:]))
            if at is not None and len(self._history) >= length:
                return Draft(tuple(self._history[at : at + limit]), "ngram")
        return Draft()

    def _remember(self, token: int) -> None:
        """Index the runs that end with ``token``."""
        self._history.append(token)
        behind = len(self._history)
        for length in _NGRAMS:
            if behind < length:
                continue
            run = tuple(self._history[-length:])
            if run in self._latest:
                self._ends[run] = self._latest[run]
            self._latest[run] = behind

    def _follow(self, token: int) -> None:
        """Move the pointer along, or find its place again."""
        at = self._pointer
        if at is not None and at < len(self._original) and self._original[at] == token:
            self._pointer = self._reached = at + 1
            self._streak += 1
            return
        self._streak = 0
        self._pointer = self._found()
        if self._pointer is not None:
            self._reached = self._pointer

    def _found(self) -> int | None:
        """Where in the original the output's last tokens end: nearest ahead, else nearest behind.

        A single token is looked for only shortly ahead: elsewhere it says little.
        """
        for length in _RUNS:
            run = tuple(self._output[-length:])
            if len(run) < length:
                continue
            places = [
                at + 1
                for at in self._places.get(run[-1], ())
                if at + 1 >= length and self._original[at + 1 - length : at + 1] == run
            ]
            ahead = [at for at in places if at > self._reached]
            if length == 1:
                ahead = [at for at in ahead if at <= self._reached + _NEAR]
                places = []
            if ahead:
                return ahead[0]
            if places:
                return places[-1]
        return None


def _places(tokens: Sequence[int]) -> dict[int, list[int]]:
    """Indexes of each token, ascending."""
    places: dict[int, list[int]] = {}
    for at, token in enumerate(tokens):
        places.setdefault(token, []).append(at)
    return places


_DECAY: Final = 0.97
"""What an older token's success still counts after each newer one."""
_PRIOR: Final = {"aligned": (20.0, 0.7), "resynced": (4.0, 1.0), "ngram": (1.5, 1.5)}
"""Right and wrong tokens assumed before any were seen."""


class DraftLength:
    """Chooses draft lengths from what was accepted lately; one of them for each answer."""

    def __init__(self) -> None:
        self._counts = dict(_PRIOR)

    def acceptance(self, source: Source) -> float:
        """Estimated probability that a drafted token is right, given that those before it are."""
        right, wrong = self._counts.get(source, (0.0, 1.0))
        return right / (right + wrong)

    def observe(self, draft: Draft, accepted: int) -> None:
        """``accepted`` of the draft's tokens were right, the one behind them, if any, was not."""
        if draft.source == "none" or not draft.tokens:
            return
        right, wrong = self._counts[draft.source]
        missed = accepted < len(draft.tokens)
        fade = _DECAY ** (accepted + missed)
        self._counts[draft.source] = (
            right * fade + accepted + _FLOOR,
            wrong * fade + missed + _FLOOR,
        )

    def choose(self, source: Source, limit: int, cost: Callable[[int], float]) -> int:
        """Tokens to verify, 0 to ``limit``: as many as bring the most tokens a second.

        ``cost(n)`` is what a pass over n rows costs, on any scale; a draft of k takes k + 1.
        """
        chance = self.acceptance(source)
        best, best_rate = 0, 1.0 / cost(1)
        expected = power = 1.0
        for length in range(1, limit + 1):
            power *= chance
            expected += power
            rate = expected / cost(length + 1)
            if rate > best_rate:
                best, best_rate = length, rate
        return best


_FLOOR: Final = 0.02
"""Keeps both counts above zero, so that an estimate never becomes certain."""
