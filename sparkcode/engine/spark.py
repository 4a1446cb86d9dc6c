"""The embedded engine: an open model in NumPy behind the seam of :mod:`sparkcode.engine.base`.

A request becomes a prompt (:mod:`sparkcode.engine.prompt`), the prompt continues the cache that
shares most of it, and what is new is evaluated in chunks. Then one token follows another into a
sink, which says it or turns it into a patch. Each step is stamped with the time at which the
simulated chip would have brought it: the whole prompt's time, then one decode step a token. Wall
time is measured beside it and never mixed with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from sparkcode.config import cache_root
from sparkcode.engine.base import EngineInfo, FinishReason, GenerateRequest, Step, TokenUsage
from sparkcode.engine.prefixes import PrefixCaches
from sparkcode.engine.prompt import (
    Control,
    Prompt,
    chat_prompt,
    edit_head,
    edit_prompt,
    edit_task,
)
from sparkcode.engine.sinks import MessageSink, PatchSink, Sink
from sparkcode.errors import EngineError
from sparkcode.model.cache import KVCache
from sparkcode.model.language_model import LanguageModel
from sparkcode.model.language_model import load as load_model
from sparkcode.model.sampling import SamplingParams, make_sampler
from sparkcode.model.store import ModelStore, models_folder
from sparkcode.model.tokenizer import StreamingDetokenizer
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


class SparkEngine:
    """One model, one simulated profile; requests run one after another."""

    def __init__(
        self,
        model: LanguageModel,
        profile: Profile,
        *,
        name: str = "",
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._profile = profile
        self._name = name or model.name
        self._timer = timer
        self._caches = PrefixCaches(model.new_cache)

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
        return EngineInfo("spark", self._name, length, self._profile.name)

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        plan = self._plan(request)
        cache = self._caches.take(plan.ids)
        cached = cache.reuse_prefix(plan.ids)
        sim_time = yield from self._prefill(plan.ids, cached, cache)
        yield from self._decode(plan, request, cache, cached, sim_time)

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        """Evaluate the constant head of edits when tools are offered, else the conversation."""
        prompt = edit_head() if request.tools else chat_prompt(request.items)[:-2]
        ids = self._encode(prompt)
        cache = self._caches.take(ids)
        cached = cache.reuse_prefix(ids)
        sim_time = yield from self._prefill(ids, cached, cache)
        usage = TokenUsage(len(ids), cached, 0)
        yield Step(sim_time=sim_time, finish_reason="stop", usage=usage)

    def _plan(self, request: GenerateRequest) -> Plan:
        task = edit_task(request)
        if task is None:
            ids, sink = self._encode(chat_prompt(request.items)), MessageSink()
            return Plan(ids, sink, self._limit(ids, request, DEFAULT_CHAT_TOKENS))
        ids = self._encode(edit_prompt(task))
        region = len(self._model.tokenizer.encode(task.region_text))
        limit = self._limit(ids, request, 2 * region + EDIT_MARGIN_TOKENS)
        return Plan(ids, PatchSink(task), limit)

    def _limit(self, ids: list[int], request: GenerateRequest, default: int) -> int:
        room = self._model.config.context_length - len(ids)
        if room < 1:
            raise EngineError(
                f"the prompt has {len(ids)} tokens; {self._name} holds "
                f"{self._model.config.context_length} with the answer",
                "context_length_exceeded",
            )
        return min(room, max(1, request.max_output_tokens or default))

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

    def _prefill(self, ids: list[int], cached: int, cache: KVCache) -> Generator[Step, None, float]:
        """Steps without text while the prompt is evaluated; returns its simulated seconds."""
        new = ids[cached:]
        prompt_seconds = self._profile.cost.prefill_seconds(len(new), cached)
        began = self._timer()
        for done in self._model.prefill(new, cache):
            now = self._timer()
            yield Step(sim_time=prompt_seconds * done / len(new), prefill_seconds=now - began)
            began = self._timer()
        return prompt_seconds

    def _decode(
        self,
        plan: Plan,
        request: GenerateRequest,
        cache: KVCache,
        cached: int,
        sim_time: float,
    ) -> Generator[Step, None, None]:
        tokenizer = self._model.tokenizer
        sampler = make_sampler(SamplingParams(request.temperature, request.top_p, request.seed))
        text = StreamingDetokenizer(tokenizer)
        logits = cache.last_logits
        assert logits is not None, "prefill ends with the logits of its last token"
        count, complete = 0, False
        while count < plan.limit and not complete:
            began = self._timer()
            token = sampler(logits)
            count += 1
            sim_time += self._profile.cost.decode_seconds(len(plan.ids) + count)
            complete = token in tokenizer.eos_ids
            channel, piece = plan.sink.feed("" if complete else text.feed([token]))
            complete = complete or plan.sink.full
            if not complete and count < plan.limit:
                logits = self._model.decode(token, cache)
            seconds = self._timer() - began
            usage = TokenUsage(len(plan.ids), cached, count)
            yield Step(sim_time, piece, 1, channel, usage=usage, decode_seconds=seconds)
        channel, piece = plan.sink.feed(text.finish())
        if piece:
            yield Step(sim_time, piece, 0, channel)
        channel, rest = plan.sink.finish(complete=complete)
        reason: FinishReason = "stop" if complete else "length"
        yield Step(sim_time, rest, 0, channel, reason, usage)
