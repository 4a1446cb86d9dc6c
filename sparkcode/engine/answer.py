"""One answer: from the logits after its prompt to the last token, one step a token.

What a pass brings is chosen, said and asked for further *before* its steps are given out, so that
the next pass of this answer can be shared with others' (:mod:`sparkcode.engine.scheduler`). A step
whose successor is at hand says so with ``more``.

Each step is stamped as the simulated chip would bring it, one decode step a token: drafts make the
real computation faster and leave the simulated time alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace

from sparkcode.engine.base import FinishReason, Step, TokenUsage
from sparkcode.engine.scheduler import Scheduler, Seat
from sparkcode.engine.sinks import Sink
from sparkcode.engine.speculation import Speculator, chosen
from sparkcode.model.blocks import F32
from sparkcode.model.sampling import Sampler
from sparkcode.model.tokenizer import StreamingDetokenizer, Tokenizer
from sparkcode.wafer.profile import Profile


@dataclass(frozen=True, slots=True)
class Tools:
    """What every answer of an engine is made with."""

    tokenizer: Tokenizer
    scheduler: Scheduler
    profile: Profile
    timer: Callable[[], float]
    """Wall seconds."""


class Answer:
    """Decodes one sequence whose prompt has been read."""

    def __init__(
        self,
        tools: Tools,
        sink: Sink,
        *,
        limit: int,
        sampler: Sampler,
        speculator: Speculator,
        usage: TokenUsage,
    ) -> None:
        """``limit`` is the most tokens that may come; ``usage`` tells of the prompt."""
        self._tools = tools
        self._sink = sink
        self._limit = limit
        self._sampler = sampler
        self._speculator = speculator
        self._usage = usage
        self._text = StreamingDetokenizer(tools.tokenizer)
        self._sim_time = 0.0
        self._complete = False
        self._passes = 0

    @property
    def _over(self) -> bool:
        return self._complete or self._usage.output_tokens >= self._limit

    def steps(self, seat: Seat, first: F32, sim_time: float) -> Generator[Step, None, None]:
        """Steps up to the last; ``first`` [1, V] scores the first token.

        The seat's cache holds the prompt and those tokens of the answer that were needed for the
        next, whenever the generator is left.
        """
        self._sim_time = sim_time
        timer = self._tools.timer
        rows, wall = first, Step(sim_time)
        draft: tuple[int, ...] = ()
        while True:
            began = timer()
            held = len(seat.cache) - len(draft)
            steps, tokens = self._say(rows, draft)
            seat.cache.trim(held + len(tokens) - 1)
            spent = timer() - began
            if not self._over:
                room = min(self._tools.scheduler.draft_room(), self._room())
                draft = self._speculator.propose(room, self._tools.scheduler.cost)
                seat.score([tokens[-1], *draft])
            drafting = timer() - began - spent
            steps[0] = replace(
                steps[0],
                decode_seconds=wall.decode_seconds + spent,
                verify_seconds=wall.verify_seconds,
                draft_seconds=drafting,
            )
            yield from steps
            if self._over:
                break
            served = self._tools.scheduler.fetch(seat)
            self._passes += 1
            rows = served.rows
            wall = Step(
                0.0,
                decode_seconds=0.0 if draft else served.seconds,
                verify_seconds=served.seconds if draft else 0.0,
            )
        yield from self._last_words()

    def _room(self) -> int:
        """Tokens that may be drafted: the one behind them is the answer's last at most."""
        return self._limit - self._usage.output_tokens - 1

    def _say(self, rows: Iterable[F32], draft: Sequence[int]) -> tuple[list[Step], list[int]]:
        """The steps and the tokens that ``rows`` bring."""
        steps: list[Step] = []
        tokens: list[int] = []
        for token in chosen(rows, draft, self._sampler):
            tokens.append(token)
            steps.append(self._step(token))
            if self._over:
                break
        self._speculator.accept(tokens, draft)
        steps[-1] = replace(steps[-1], usage=self._counted())
        return [*(replace(step, more=True) for step in steps[:-1]), steps[-1]], tokens

    def _step(self, token: int) -> Step:
        tools, count = self._tools, self._usage.output_tokens + 1
        self._usage = replace(self._usage, output_tokens=count)
        context = self._usage.input_tokens + count
        self._sim_time += tools.profile.token_seconds(count, context)
        self._complete = token in tools.tokenizer.eos_ids
        channel, piece = self._sink.feed("" if self._complete else self._text.feed([token]))
        self._complete = self._complete or self._sink.full
        return Step(self._sim_time, piece, 1, channel, usage=self._usage)

    def _counted(self) -> TokenUsage:
        self._usage = replace(
            self._usage,
            passes=self._passes,
            drafted_tokens=self._speculator.drafted,
            accepted_tokens=self._speculator.accepted,
        )
        return self._usage

    def _last_words(self) -> Generator[Step, None, None]:
        channel, piece = self._sink.feed(self._text.finish())
        if piece:
            yield Step(self._sim_time, piece, 0, channel, more=True)
        channel, rest = self._sink.finish(complete=self._complete)
        reason: FinishReason = "stop" if self._complete else "length"
        yield Step(self._sim_time, rest, 0, channel, reason, self._usage)
