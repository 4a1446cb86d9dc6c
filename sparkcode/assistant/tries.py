"""More than one answer: the first is checked, and while it has faults others are asked for.

    first answer ──mended, no faults──> offered
         └──faults──> three more at once ──faults──> ... ──budget used──> the larger model, once

An answer is *better* when its faults weigh less; the first one stays unless another is better.
Further answers go over links of their own: the conversation's link has one answer at a time. Each
is asked for in another way, since asking in the same way again mostly brings the same mistake.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import msgspec

from sparkcode.assistant.edit import EditStream, Plan
from sparkcode.assistant.mended import mended
from sparkcode.assistant.plain import one_line
from sparkcode.assistant.single import ask
from sparkcode.assistant.turn import Turn, begin
from sparkcode.checks.fault import Fault, total
from sparkcode.clock import Clock
from sparkcode.errors import SparkError
from sparkcode.link.transport import Dialer, Peer
from sparkcode.protocol.events import ResponseCreate
from sparkcode.protocol.variants import Variant, varied

TOGETHER: Final = 3
"""Answers asked for at once: an engine that computes several in one pass does so for little."""
TRY_SECONDS: Final = 120.0
"""Longest wait for one further answer."""
TEMPERATURE: Final = 0.8
TOP_P: Final = 0.95
HINT_CHARACTERS: Final = 1500
"""The most that a further question tells of what was wrong."""


class Judge(Protocol):
    """Finds what is wrong with an edit."""

    async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        """Nothing for an edit that may be offered."""
        ...


@dataclass(frozen=True, slots=True)
class Tries:
    """What may be spent on an edit."""

    limit: int
    """Answers of the model, the first one included."""
    dialer: Dialer
    judge: Judge
    larger: Callable[[Peer], Dialer | None] = lambda peer: None
    """How to reach a larger model than the one behind a peer, if there is one."""


@dataclass(frozen=True, slots=True)
class Try:
    """One answer and what is wrong with it."""

    number: int
    """Counts the answers to a question from 1."""
    model: str
    faults: tuple[Fault, ...]
    output_tokens: int = 0
    chosen: bool = False
    """Whether it is the one that is offered."""
    mended: tuple[str, ...] = ()
    """What was put right in it before it was judged."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the answers are answers to."""

    instruction: str
    request: Callable[[str], ResponseCreate]
    """The whole request, with another wording of the instruction."""
    edit_of: Callable[[str], EditStream]
    """A whole patch as an edit of the files."""
    peer: Peer


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer that was judged."""

    turn: Turn
    edit: EditStream | None
    """None where the answer has no patch."""
    shown: Try
    said: EditStream | None = None
    """The edit before it was mended."""

    @property
    def weight(self) -> int:
        return total(self.shown.faults)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """One way to ask again."""

    wording: Callable[[str, str], str]
    """From the instruction and what was wrong."""
    variant: Variant
    temperature: float


def _care(instruction: str, wrong: str) -> str:
    return f"{instruction} (Take care: {wrong}.)" if wrong else instruction


def _told(instruction: str, wrong: str) -> str:
    return f"{instruction}\nAn earlier answer was wrong: {wrong}." if wrong else instruction


def _same(instruction: str, wrong: str) -> str:
    return instruction


_RECIPES: Final = (
    _Recipe(_care, Variant(""), 0.0),
    _Recipe(_told, Variant("rich"), TEMPERATURE),
    _Recipe(_same, Variant("other"), TEMPERATURE),
)
"""In turn. Measured on everyday edits: what one of these never gets right another often does."""


async def improve(
    tries: Tries,
    question: Question,
    first: Turn,
    clock: Clock,
    tell: Callable[[tuple[Try, ...]], None],
) -> Candidate:
    """The best answer that the budget brings; ``tell`` gets the tries whenever there are more."""
    return await _Improver(tries, question, clock, tell).run(first)


class _Improver:
    def __init__(
        self,
        tries: Tries,
        question: Question,
        clock: Clock,
        tell: Callable[[tuple[Try, ...]], None],
    ) -> None:
        self._tries = tries
        self._question = question
        self._clock = clock
        self._tell = tell
        self._all: list[Candidate] = []

    async def run(self, first: Turn) -> Candidate:
        best = await self._judged(first, first.model or self._question.peer.model)
        self._show(best)
        while best.weight and len(self._all) < self._tries.limit:
            count = min(TOGETHER, self._tries.limit - len(self._all))
            best = await self._round(best, count)
        if best.weight and (dialer := self._tries.larger(self._question.peer)) is not None:
            turn = await self._answer(dialer, self._question.request(self._question.instruction))
            best = self._better(best, [await self._judged(turn, turn.model)])
        self._show(best)
        return best

    async def _round(self, best: Candidate, count: int) -> Candidate:
        wrong = "; ".join(fault.message for fault in best.shown.faults)[:HINT_CHARACTERS]
        first = len(self._all) - 1
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._answer(self._tries.dialer, self._again(number, wrong)))
                for number in range(first, first + count)
            ]
            come: list[Candidate] = []
            for task in asked:
                turn = await task
                come.append(await self._judged(turn, turn.model))
                if not come[-1].weight:
                    break
            # The others are asked to no end.
            for task in asked:
                task.cancel()
        return self._better(best, come)

    def _again(self, number: int, wrong: str) -> ResponseCreate:
        """The request for further answer ``number``, from 0."""
        recipe = _RECIPES[number % len(_RECIPES)]
        # A second round of greedy answers would repeat the first one's.
        hot = TEMPERATURE if number >= len(_RECIPES) else recipe.temperature
        request = self._question.request(recipe.wording(self._question.instruction, wrong))
        request = varied(request, replace(recipe.variant, seed=number))
        sampled = {"temperature": hot, "top_p": TOP_P} if hot else {"temperature": 0.0}
        return msgspec.structs.replace(request, **sampled)

    async def _answer(self, dialer: Dialer, request: ResponseCreate) -> Turn:
        """One answer over a link of its own; a failed turn where there is none."""
        turn = begin(0, self._question.instruction, "")
        try:
            async with asyncio.timeout(TRY_SECONDS):
                transport, peer = await dialer.dial()
                try:
                    answered = (await ask(transport, request, turn, self._clock)).turn
                finally:
                    await transport.close()
        except TimeoutError:
            return replace(turn, phase="failed", error=f"no answer within {TRY_SECONDS:.0f} s")
        except (SparkError, OSError) as error:
            return replace(turn, phase="failed", error=one_line(str(error)))
        return replace(answered, model=answered.model or peer.model)

    async def _judged(self, turn: Turn, model: str) -> Candidate:
        said = self._question.edit_of(turn.patch) if turn.patch else None
        patch, notes = await self._mended(turn, said)
        edit = self._question.edit_of(patch) if notes else said
        turn = replace(turn, patch=patch) if notes else turn
        faults = await self._faults(turn, edit)
        tokens = turn.usage.output_tokens if turn.usage is not None else 0
        shown = Try(len(self._all) + 1, model, faults, tokens, mended=notes)
        self._all.append(Candidate(turn, edit, shown, said))
        return self._all[-1]

    async def _mended(self, turn: Turn, edit: EditStream | None) -> tuple[str, tuple[str, ...]]:
        if edit is None or edit.error or turn.phase != "completed":
            return "", ()
        return await asyncio.to_thread(mended, edit.plan(), self._question.instruction)

    async def _faults(self, turn: Turn, edit: EditStream | None) -> tuple[Fault, ...]:
        if turn.phase != "completed":
            return (Fault("none", turn.error or f"the answer was {turn.phase}"),)
        if edit is None:
            return (Fault("unchanged", "the answer changes nothing"),)
        if edit.error:
            return (Fault("none", one_line(edit.error)),)
        return await self._tries.judge.judge(edit.plan(), self._question.instruction)

    def _better(self, best: Candidate, come: Sequence[Candidate]) -> Candidate:
        """The one whose faults weigh least; of several such the one that came most often."""
        votes = Counter(one.turn.patch for one in come)
        lightest = min(come, key=lambda one: (one.weight, -votes[one.turn.patch]), default=best)
        best = lightest if lightest.weight < best.weight else best
        self._show(best)
        return best

    def _show(self, best: Candidate) -> None:
        self._tell(tuple(replace(one.shown, chosen=one is best) for one in self._all))
