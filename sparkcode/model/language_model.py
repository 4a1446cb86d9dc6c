"""The model as an engine sees it: token ids and a cache in, logits out.

The life of an answer::

    model = load(path, cache_root=cache, say=print)
    cache = model.new_cache()
    ids = model.tokenizer.encode(prompt, special=True)
    reused = cache.reuse_prefix(ids)                   # keeps what an earlier prompt shares
    for done in model.prefill(ids[reused:], cache):    # may be left between any two chunks
        ...
    logits = cache.last_logits                         # [V]; choose the first token from it
    logits = model.decode(token, cache)                # one token further
    rows = model.verify([token, *draft], cache)        # several at once
    cache.trim(length)                                 # forget the draft's rejected tail
    model.step([Segment(a, [5]), Segment(b, [7])])     # several sequences in one pass

A step that raises leaves the cache as it was. Nothing here keeps state between calls but the cache,
so one model serves any number of them; steps of one cache must not overlap.

:mod:`sparkcode.model.kernels.choice` says what multiplies the matrices; :mod:`sparkcode.model.ops`
names the variables that set the threads of NumPy's BLAS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.kernels.choice import (
    Backend,
    DenseBackend,
    choose_kernel,
    make_backend,
    processor_features,
)
from sparkcode.model.memory import Room, available_memory
from sparkcode.model.packed import PackedFile
from sparkcode.model.packing import Progress, open_packed
from sparkcode.model.tokenizer import Tokenizer
from sparkcode.model.transformer import Segment, Weights, forward
from sparkcode.model.weights import ModelConfig

PREFILL_CHUNK = 256
"""Tokens a prefill step evaluates: enough rows for full speed, about a second between stops."""


def chunk_of(left: int, chunk: int) -> int:
    """Tokens of a prompt to evaluate next: ``chunk``, or all that are left if a quarter more.

    A step of a few rows would read every weight for them.
    """
    return left if 4 * left <= 5 * chunk else chunk


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Weights and tokenizer of one model file."""

    name: str
    """The file's name without its suffix."""
    tokenizer: Tokenizer
    weights: Weights = field(repr=False)
    exact: bool = True
    """Whether a row's logits are the same bits whatever other rows its step has."""

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.weights.config

    def new_cache(self, capacity: int | None = None) -> KVCache:
        """An empty cache for at most ``capacity`` tokens (default: the model's whole context)."""
        limit = self.config.context_length
        return KVCache(self.config, limit if capacity is None else min(capacity, limit))

    def prefill(
        self, ids: Sequence[int], cache: KVCache, *, chunk: int = PREFILL_CHUNK
    ) -> Iterator[int]:
        """Append ``ids`` to the cache, about ``chunk`` tokens a step; yields how many are done.

        Whether all of them fit is checked first: EngineError, code ``context_length_exceeded``.
        Afterwards ``cache.last_logits`` [V] scores the token that follows. A caller that stops
        early has a valid cache of what is done.
        """
        if chunk < 1:
            raise ValueError(f"{chunk=} has to be at least 1 token")
        cache.reserve(len(cache) + len(ids))
        done = 0
        while done < len(ids):
            end = done + chunk_of(len(ids) - done, chunk)
            self.step([Segment(cache, ids[done:end])])
            done = end
            yield done

    def decode(self, token: int, cache: KVCache) -> F32:
        """Append one token; logits [V] of the one that follows."""
        logits: F32 = self.step([Segment(cache, (token,))])[0][0]
        return logits

    def verify(self, ids: Sequence[int], cache: KVCache) -> F32:
        """Append ``ids`` in one step; logits [T, V]: row t scores what follows ``ids[t]``.

        Rows equal those of one-token steps bit for bit; with NumPy's BLAS (kernel ``numpy``), up
        to the rounding of float32 sums.
        """
        return self.step([Segment(cache, ids, "all")])[0]

    def step(self, segments: Sequence[Segment]) -> list[F32]:
        """One pass for several sequences: :func:`sparkcode.model.transformer.forward`."""
        return forward(segments, self.weights)


def load(
    path: Path,
    *,
    cache_root: Path,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    threads: int | None = None,
    progress: Progress | None = None,
) -> LanguageModel:
    """Load the GGUF file ``path``; its packed form and compiled code are kept in ``cache_root``.

    The first load packs and compiles (seconds), later ones map the result. ``say`` gets a line
    when something is made, ``progress`` bytes done and in all while packing. ``threads`` multiply
    (default: one a processor). ``environ`` may name a kernel
    (:mod:`sparkcode.model.kernels.choice`).
    Raises WeightsError for a file that is absent, damaged, foreign, or does not fit, and
    ConfigError for a kernel that cannot be used.
    """
    choice = choose_kernel(environ, processor_features())
    # What is in use is not available: asked once, before anything is mapped.
    room = Room(available_memory(), expanded=choice.name == "numpy")
    packed = open_packed(path, cache_root=cache_root, say=say, progress=progress, room=room)
    tokenizer = Tokenizer(packed.header.vocabulary)
    backend = make_backend(choice, folder=cache_root / "kernels", say=say, threads=threads)
    if isinstance(backend, DenseBackend) and not room.expanded:  # the compiled ones proved wrong
        room = replace(room, expanded=True)
        packed = open_packed(path, cache_root=cache_root, say=say, room=room)
    try:
        weights = _weights(packed, backend)
    except WeightsError as error:
        say(f"{error}; packing the weights again")
        packed = open_packed(path, cache_root=cache_root, say=say, rebuild=True, progress=progress)
        weights = _weights(packed, backend)
    return LanguageModel(path.stem, tokenizer, weights, exact=weights.runner.exact)


def _weights(packed: PackedFile, backend: Backend) -> Weights:
    runner = backend.runner(packed)
    return Weights(packed.header.config, packed.matrix("token_embd.weight"), runner)
