"""Our model under the stopwatch, below the engine: ids in, wall seconds out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparkcode.bench.figures import Passes
from sparkcode.model.language_model import LanguageModel

WARM_NEW_TOKENS = 32
"""What a second edit in the same file brings: its instruction and the start of the answer."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model and a timer that returns seconds."""

    model: LanguageModel
    timer: Callable[[], float] = time.perf_counter

    def run(self, ids: Sequence[int], follow: Sequence[int]) -> Passes:
        """Evaluate ``ids`` in an empty cache, then ``follow`` one by one, choosing each time."""
        began = self.timer()
        cache = self.model.new_cache()
        for _ in self.model.prefill(ids, cache):
            pass
        evaluated = self.timer()
        assert cache.last_logits is not None
        cache.last_logits.argmax()
        chosen = self.timer()
        for token in follow:
            self.model.decode(token, cache).argmax()
        return Passes(evaluated - began, chosen - began, self.timer() - chosen)

    def warm_ttft(self, ids: Sequence[int]) -> float:
        """Seconds to the first token when all but the last WARM_NEW_TOKENS ids are cached."""
        new = min(WARM_NEW_TOKENS, len(ids))
        cache = self.model.new_cache()
        for _ in self.model.prefill(ids[: len(ids) - new], cache):
            pass
        began = self.timer()
        for _ in self.model.prefill(ids[-new:], cache):
            pass
        assert cache.last_logits is not None
        cache.last_logits.argmax()
        return self.timer() - began

    def batch_seconds(self, ids: Sequence[int], sizes: Sequence[int]) -> dict[int, float]:
        """Seconds of one step of each size behind ``ids``, as it verifies a draft."""
        cache = self.model.new_cache()
        for _ in self.model.prefill(ids, cache):
            pass
        seconds = {}
        for size in sizes:
            began = self.timer()
            self.model.verify(list(ids[:1]) * size, cache)
            seconds[size] = self.timer() - began
            cache.trim(len(ids))
        return seconds
