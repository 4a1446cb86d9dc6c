"""The embedded engine: an open model in NumPy behind the seam of :mod:`sparkcode.engine.base`.

A request becomes a prompt (:mod:`sparkcode.engine.prompt`), the prompt continues the cache that
shares most of it (:mod:`sparkcode.engine.prefixes`), and what is new is evaluated in chunks. Then
one token follows another (:mod:`sparkcode.engine.answer`) into a sink, which says it or turns it
into a patch. Each step is stamped with the time at which the simulated chip would have brought it:
the whole prompt's time, then one decode step a token. Wall time is measured beside it and never
mixed with it.

Several requests may be under way at once: their generators, pulled in turn on one thread, share
forward passes (:mod:`sparkcode.engine.scheduler`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sparkcode.config import cache_root
from sparkcode.engine.answer import Answer, Tools
from sparkcode.engine.base import (
    EngineInfo,
    GenerateRequest,
    Item,
    Message,
    Step,
    TokenUsage,
    ToolOutput,
)
from sparkcode.engine.chat import chat_prompt
from sparkcode.engine.chatml import END, Control, Prompt, fence_for
from sparkcode.engine.draft import Drafter
from sparkcode.engine.ending import CompletionSink, place_between
from sparkcode.engine.fim import (
    DEFAULT_COMPLETION_TOKENS,
    NEEDED,
    PROMPT_TOKENS,
    CompletionTask,
    completion_prompt,
    completion_task,
)
from sparkcode.engine.passes import one_answer, pieces_of, sinks_for
from sparkcode.engine.prefixes import PrefixCaches
from sparkcode.engine.prompt import (
    EditTask,
    Style,
    edit_head,
    edit_prompt,
    edit_tasks,
    style_for,
    style_of,
)
from sparkcode.engine.scheduler import MAX_SEATS, Scheduler, Seat
from sparkcode.engine.sinks import MessageSink, PatchSink, Sink
from sparkcode.engine.speculation import Speculator
from sparkcode.engine.writing import writing_prompt
from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.language_model import LanguageModel
from sparkcode.model.language_model import load as load_model
from sparkcode.model.sampling import Sampler, SamplingParams, make_sampler
from sparkcode.model.store import ModelStore, models_folder
from sparkcode.wafer.profile import Profile

DEFAULT_CHAT_TOKENS = 2048
"""Longest chat answer of a client that sets no limit."""
EDIT_MARGIN_TOKENS = 512
"""What an edit may add beyond twice its region before it is taken for a runaway."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, ready to run."""

    ids: list[int]
    sink: Sink
    limit: int
    """Most tokens that may be generated."""
    original: tuple[int, ...] = ()
    """Tokens that the answer probably copies."""
    head: int = 0
    """Leading tokens of ``ids`` that every prompt of its kind has."""


class SparkEngine:
    """One model, one simulated profile."""

    def __init__(
        self,
        model: LanguageModel,
        profile: Profile,
        *,
        name: str = "",
        timer: Callable[[], float] = time.perf_counter,
        speculate: bool = True,
    ) -> None:
        """``speculate`` says whether tokens are guessed and verified several at once."""
        self._model = model
        self._profile = profile
        self._name = name or model.name
        self._timer = timer
        self._style: Style = style_for(model.config.parameters)
        self._caches = PrefixCaches(model.new_cache)
        self._scheduler = Scheduler(model, timer, exact=model.exact, drafts=speculate)

    @classmethod
    def load(
        cls,
        name: str,
        profile: Profile,
        say: Callable[[str], None],
        *,
        threads: int | None = None,
    ) -> SparkEngine:
        """The engine of a catalogue name or a path to a GGUF file; WeightsError if there is none.

        ``say`` gets a line about anything that takes time. ``threads``: one a processor.
        """
        root = cache_root(os.environ)
        path = ModelStore(models_folder(os.environ)).resolve(name)
        shown = path.stem if Path(name).suffix == ".gguf" else name
        model = load_model(path, cache_root=root, say=say, threads=threads)
        return cls(model, profile, name=shown)

    @property
    def info(self) -> EngineInfo:
        length = self._model.config.context_length
        return EngineInfo("spark", self._name, length, self._profile.name, MAX_SEATS)

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        self._check_length(request)
        sampler = make_sampler(SamplingParams(request.temperature, request.top_p, request.seed))
        tasks = pieces_of(edit_tasks(request))
        if not tasks:
            yield from self._answer(self._plan(request), sampler)
            return
        begin = partial(self._pass, sinks_for(tasks), request, sampler)
        yield from one_answer([partial(begin, task) for task in tasks])

    def _pass(
        self,
        sinks: Iterator[PatchSink],
        request: GenerateRequest,
        sampler: Sampler,
        task: EditTask,
        spent: int,
    ) -> Generator[Step, None, None]:
        """One pass of an edit whose earlier passes took ``spent`` tokens."""
        limit = request.max_output_tokens
        if limit is not None and 0 < limit <= spent:
            yield Step(0.0, finish_reason="length", usage=TokenUsage())
            return
        left = replace(request, max_output_tokens=limit - spent if limit else None)
        yield from self._answer(self._edit(task, next(sinks), left), sampler)

    def _answer(self, plan: Plan, sampler: Sampler) -> Generator[Step, None, None]:
        seat = self._scheduler.join(self._caches.take(plan.ids))
        cached = len(seat.cache)
        tools = Tools(self._model.tokenizer, self._scheduler, self._profile, self._timer)
        try:
            sim_time, logits = yield from self._prefill(plan.ids, seat)
            if plan.head:
                self._caches.pin(seat.cache, plan.head)
            answer = Answer(
                tools,
                plan.sink,
                limit=plan.limit,
                sampler=sampler,
                speculator=Speculator(Drafter(plan.ids, plan.original)),
                usage=TokenUsage(len(plan.ids), cached),
            )
            yield from answer.steps(seat, logits, sim_time)
        finally:
            self._leave(seat)

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        """Evaluate the constant head of edits when tools are offered, else the conversation."""
        self._check_length(request)
        talk = chat_prompt(request.items, self._count)[:-2]
        prompt = edit_head(self._style) if request.tools else talk
        ids = self._encode(prompt)
        seat = self._scheduler.join(self._caches.take(ids))
        usage = TokenUsage(len(ids), len(seat.cache))
        try:
            sim_time, _ = yield from self._prefill(ids, seat)
            if request.tools:
                self._caches.pin(seat.cache, len(ids))
            yield Step(sim_time=sim_time, finish_reason="stop", usage=usage)
        finally:
            self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        self._scheduler.leave(seat)
        self._caches.give(seat.cache)

    def _plan(self, request: GenerateRequest) -> Plan:
        if (completion := completion_task(request)) is not None:
            return self._completion(completion, request)
        ids, sink = self._encode(chat_prompt(request.items, self._count)), MessageSink()
        return Plan(ids, sink, self._limit(ids, request, DEFAULT_CHAT_TOKENS))

    def _edit(self, task: EditTask, sink: PatchSink, request: GenerateRequest) -> Plan:
        if task.writes:
            ids = self._encode(writing_prompt(task, self._count))
            return Plan(ids, sink, self._limit(ids, request, DEFAULT_CHAT_TOKENS))
        style = style_of(request.prompt, self._style)
        ids = self._encode(edit_prompt(task, style, self._count))
        region = len(self._model.tokenizer.encode(task.region_text))
        limit = self._limit(ids, request, 2 * region + EDIT_MARGIN_TOKENS)
        head = len(self._encode(edit_head(style)))
        return Plan(ids, sink, limit, self._original(task), head)

    def _completion(self, task: CompletionTask, request: GenerateRequest) -> Plan:
        tokenizer = self._model.tokenizer
        for control in NEEDED:
            if tokenizer.special_id(control.spelling) is None:
                raise EngineError(
                    f"{self._name} has no token {control.spelling!r}; a completion needs a model "
                    "that fills in the middle, such as qwen2.5-coder",
                    "invalid_prompt",
                )
        most = min(PROMPT_TOKENS, self._model.config.context_length // 2)
        prompt = completion_prompt(task, lambda text: len(tokenizer.encode(text)), most)
        ids = self._encode(prompt)
        place = place_between(task.prefix, task.suffix, task.language, line_only=task.line_only)
        limit = self._limit(ids, request, DEFAULT_COMPLETION_TOKENS)
        return Plan(ids, CompletionSink(place), limit)

    def _original(self, task: EditTask) -> tuple[int, ...]:
        """What an edit that changes nothing would say, up to the end of the answer."""
        text = f"{task.region_text}\n{fence_for(task.region_text)}"
        return (*self._model.tokenizer.encode(text), self._control_id(END))

    def _count(self, text: str) -> int:
        return len(self._model.tokenizer.encode(text))

    def _limit(self, ids: list[int], request: GenerateRequest, default: int) -> int:
        room = self._model.config.context_length - len(ids)
        if room < 1:
            raise self._too_long(str(len(ids)))
        return min(room, max(1, request.max_output_tokens or default))

    def _check_length(self, request: GenerateRequest) -> None:
        """Refuses a prompt of many megabytes before others have to wait until it is counted."""
        least = self._model.tokenizer.least_tokens(sum(map(_characters, request.items)))
        if least > self._model.config.context_length:
            raise self._too_long(f"at least {least}")

    def _too_long(self, tokens: str) -> EngineError:
        return EngineError(
            f"the prompt has {tokens} tokens; {self._name} holds "
            f"{self._model.config.context_length} with the answer",
            "context_length_exceeded",
        )

    def _encode(self, prompt: Prompt) -> list[int]:
        tokenizer, ids = self._model.tokenizer, []
        for part in prompt:
            if isinstance(part, str):
                ids += tokenizer.encode(part)
                continue
            ids.append(self._control_id(part))
        return ids

    def _control_id(self, control: Control) -> int:
        control_id = self._model.tokenizer.special_id(control.spelling)
        if control_id is None:
            raise EngineError(
                f"{self._name} has no token {control.spelling!r}; a chat model with the ChatML "
                "format is needed",
                "invalid_prompt",
            )
        return control_id

    def _prefill(self, ids: list[int], seat: Seat) -> Generator[Step, None, tuple[float, F32]]:
        """Steps without text while the prompt is evaluated.

        Returns its simulated seconds and the logits [1, V] after it.
        """
        cached = len(seat.cache)
        new = ids[cached:]
        prompt_seconds = self._profile.cost.prefill_seconds(len(new), cached)
        seat.read(new)
        done = 0
        while True:
            served = self._scheduler.fetch(seat)
            done += served.done
            sim_time = prompt_seconds * done / len(new)
            yield Step(sim_time=sim_time, prefill_seconds=served.seconds)
            if done == len(new):
                return prompt_seconds, served.rows


def _characters(item: Item) -> int:
    match item:
        case Message(text=text) | ToolOutput(output=text):
            return len(text)
        case call:
            return len(call.input)
