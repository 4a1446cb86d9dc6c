"""Continuous batching: the sequences of one model share its forward passes (Yu et al. 2022, Orca).

A pass reads every weight once, whatever the number of its rows, and reading is what it waits for:
several answers at once cost little more than one. Each answer is a plain generator and knows
nothing of the others. It takes a :class:`Seat`, asks for tokens to be evaluated *before* it yields
what the last pass brought, and fetches the result when it is pulled again. Whoever fetches first
finds no result, so its pull runs one pass for every seat that waits; the others find theirs ready.
There is no thread, no queue and no clock: whoever pulls the generators in turn makes the batches.

Rows of answers come first. A prompt is evaluated in chunks beside them, small ones while somebody
waits for tokens, and several prompts share a chunk with the shortest served first: a short request
gets its first token while a long one is still being read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sparkcode.engine.speculation import MAX_ROWS, PassCosts
from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.language_model import chunk_of
from sparkcode.model.transformer import Segment

MAX_SEATS: Final = 8
"""Sequences that profit from sharing a pass."""
ALONE_TOKENS: Final = 256
"""Prompt tokens a pass evaluates while no answer waits: full speed, a second between stops."""
BESIDE_TOKENS: Final = 48
"""The same beside answers: what their next token waits for."""


class Batched(Protocol):
    """A model that evaluates several sequences at once."""

    def step(self, segments: Sequence[Segment]) -> list[F32]: ...


@dataclass(frozen=True, slots=True)
class Served:
    """What a pass brought one seat."""

    done: int
    """Tokens evaluated."""
    rows: F32
    """Logits of an answer's rows, or of a prompt's last token once it is reached."""
    seconds: float
    """Wall time of the whole pass."""


@dataclass(eq=False, slots=True)
class Seat:
    """One sequence's place. ``cache`` is its own while it sits here."""

    cache: KVCache
    todo: list[int] = field(default_factory=list)
    answering: bool = False
    """Whether every row of ``todo`` is to be scored, in one pass; else it is a prompt."""
    served: Served | None = None
    error: EngineError | ValueError | MemoryError | None = None

    @property
    def waits(self) -> bool:
        """Whether a pass would bring it further."""
        return bool(self.todo) and self.served is None and self.error is None

    def read(self, prompt: Sequence[int]) -> None:
        """Ask for a prompt, which may take several passes."""
        self.todo, self.answering = list(prompt), False

    def score(self, tokens: Sequence[int]) -> None:
        """Ask for logits after each of ``tokens``."""
        self.todo, self.answering = list(tokens), True


class Scheduler:
    """Runs passes for all seats. ``timer`` gives wall seconds.

    With ``exact`` a row's logits do not depend on the others of its pass. Without, answers would
    depend on who else is being answered: then each seat's passes are its own. Without ``drafts``
    every answer is decoded token by token.
    """

    def __init__(
        self,
        model: Batched,
        timer: Callable[[], float],
        *,
        exact: bool = True,
        drafts: bool = True,
    ) -> None:
        self._model = model
        self._timer = timer
        self._exact = exact
        self._drafts = drafts and exact
        self._seats: list[Seat] = []
        self.costs = PassCosts()

    def join(self, cache: KVCache) -> Seat:
        """A place for a sequence; give it back with :meth:`leave`."""
        seat = Seat(cache)
        self._seats.append(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """The sequence asks for nothing more."""
        self._seats.remove(seat)

    @property
    def answering(self) -> int:
        """Seats whose answers have begun."""
        return sum(seat.answering for seat in self._seats)

    def draft_room(self) -> int:
        """Tokens that each answer may draft so that all of them fit one pass."""
        return max(0, MAX_ROWS // max(1, self.answering) - 1) if self._drafts else 0

    def cost(self, rows: int) -> float:
        """What a pass costs when each answer brings ``rows``, on an arbitrary scale."""
        return self.costs.cost(max(1, self.answering) * rows)

    def fetch(self, seat: Seat) -> Served:
        """What was asked for, or a prompt's next chunk; runs a pass if there is none yet.

        Raises what the model raised for this seat: EngineError, ValueError or MemoryError. Its
        cache is as it was before that pass.
        """
        if seat.waits:
            self._run([other for other in self._seats if other.waits] if self._exact else [seat])
        if seat.error is not None:
            error, seat.error, seat.todo = seat.error, None, []
            raise error
        served, seat.served = seat.served, None
        assert served is not None, "a seat asks before it fetches"
        return served

    def _run(self, seats: Sequence[Seat]) -> None:
        """One pass; where it fails, each seat alone, so that an error meets only its own."""
        try:
            self._pass(seats)
        except (EngineError, ValueError, MemoryError) as error:
            if len(seats) == 1:
                seats[0].error = error
                return
            for seat in seats:
                self._run([seat])

    def _pass(self, seats: Sequence[Seat]) -> None:
        answers = [seat for seat in seats if seat.answering]
        prompts = [seat for seat in seats if not seat.answering]
        wanted = [len(seat.todo) for seat in prompts]
        beside = self.answering and self._exact
        budget = BESIDE_TOKENS if beside else chunk_of(sum(wanted), ALONE_TOKENS)
        chunks = share(wanted, budget)
        taken = [(seat, len(seat.todo)) for seat in answers]
        taken += [(seat, count) for seat, count in zip(prompts, chunks, strict=True) if count]
        began = self._timer()
        results = self._model.step([_segment(seat, count) for seat, count in taken])
        seconds = self._timer() - began
        if not prompts:
            self.costs.observe(sum(count for _, count in taken), seconds)
        for (seat, count), rows in zip(taken, results, strict=True):
            del seat.todo[:count]
            seat.served = Served(count, rows, seconds)


def _segment(seat: Seat, count: int) -> Segment:
    if seat.answering:
        return Segment(seat.cache, seat.todo, "all")
    ends = count == len(seat.todo)
    return Segment(seat.cache, seat.todo[:count], "last" if ends else "none")


def share(wanted: Sequence[int], budget: int) -> list[int]:
    """Divides ``budget`` rows: equal parts, and what one does not need goes to the longer ones.

    Where there are fewer rows than takers, the shortest come first.
    """
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for place, index in enumerate(order):
        takers = min(len(order) - place, max(1, budget))
        given[index] = min(wanted[index], budget // takers)
        budget -= given[index]
    return given
