"""Which KV caches are kept, so that a prompt costs only what no earlier one shares with it.

Caches share memory: a fork holds the same blocks as what it continues until one of them writes. So
a prompt always gets a fork of whatever shares most with it, and everything earlier stays warm: the
head of all edits, each conversation, each region that was edited. A cache is a lease: it belongs to
its sequence until it is given back, and is never evicted meanwhile. What is kept beyond that is
bounded in bytes, blocks that several caches hold counted once; the least recently used goes first.
A miss costs time and is never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sparkcode.model.cache import KVCache

MAX_BYTES: Final = 256 << 20
"""Keys and values that are kept for later; the newest cache may be larger by itself."""
MAX_CACHES: Final = 16
"""Caches that are kept: each is compared with every prompt."""
MAX_PINS: Final = 2
"""Heads that are kept: an edit is put to the model in two ways."""
_STRIDE: Final = 128


class PrefixCaches:
    """Idle caches, least recently used first, and those on lease."""

    def __init__(self, new_cache: Callable[[], KVCache], *, max_bytes: int = MAX_BYTES) -> None:
        self._new_cache = new_cache
        self._max_bytes = max_bytes
        self._idle: list[KVCache] = []
        self._leased: list[KVCache] = []
        self._pinned: list[KVCache] = []

    @property
    def nbytes(self) -> int:
        """Bytes of every cache, idle or not, shared blocks counted once."""
        return _bytes(self._kept())

    def take(self, ids: Sequence[int]) -> KVCache:
        """A cache that holds what an earlier sequence shares with the prompt ``ids``.

        At least one token of a prompt is left to be evaluated: its logits are what an answer starts
        from. To be given back, in whatever state.
        """
        best = max(self._kept(), key=lambda cache: shared_prefix(cache.tokens, ids), default=None)
        shared = 0 if best is None else min(shared_prefix(best.tokens, ids), max(0, len(ids) - 1))
        cache = self._new_cache() if best is None or shared == 0 else best.fork(shared)
        if best is not None and shared and best in self._idle:
            self._idle.remove(best)
            self._idle.append(best)
        self._leased.append(cache)
        return cache

    def give(self, cache: KVCache) -> None:
        """The sequence is over; its cache becomes the most recently used."""
        self._leased.remove(cache)
        if not len(cache):
            return
        cache.last_logits = None
        # What this one continues is no longer needed beside it.
        self._idle = [kept for kept in self._idle if not _continues(cache, kept)]
        if not any(_continues(kept, cache) for kept in self._idle):
            self._idle.append(cache)
        self._shrink()

    def pin(self, cache: KVCache, length: int) -> None:
        """Keep the first ``length`` tokens of ``cache`` for good; the oldest pin makes room."""
        if all(pinned.tokens != cache.tokens[:length] for pinned in self._pinned):
            self._pinned = [*self._pinned, cache.fork(length)][-MAX_PINS:]

    def _kept(self) -> list[KVCache]:
        return [*self._pinned, *self._idle, *self._leased]

    def _shrink(self) -> None:
        del self._idle[:-MAX_CACHES]
        while len(self._idle) > 1 and _bytes(self._idle) > self._max_bytes:
            del self._idle[0]


def _continues(longer: KVCache, shorter: KVCache) -> bool:
    return longer.tokens[: len(shorter)] == shorter.tokens


def _bytes(caches: Iterable[KVCache]) -> int:
    blocks = {id(block): block.nbytes for cache in caches for block in cache.blocks}
    return sum(blocks.values())


def shared_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading ids that both have in common."""
    at, end = 0, min(len(left), len(right))
    while at + _STRIDE <= end and left[at : at + _STRIDE] == right[at : at + _STRIDE]:
        at += _STRIDE
    while at < end and left[at] == right[at]:
        at += 1
    return at
