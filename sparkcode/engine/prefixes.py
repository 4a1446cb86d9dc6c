"""Which KV cache a prompt continues: a few are kept, so that turns of different kinds stay warm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparkcode.model.cache import KVCache

MAX_CACHES = 4
"""The constant head of the edit prompt, a conversation, and two files besides."""
MAX_BYTES = 1 << 30
"""Keys and values of all caches together; the one in use may be larger by itself."""


class PrefixCaches:
    """At most ``MAX_CACHES`` caches of ``max_bytes`` together, least recently used first."""

    def __init__(self, new_cache: Callable[[], KVCache], *, max_bytes: int = MAX_BYTES) -> None:
        self._new_cache = new_cache
        self._max_bytes = max_bytes
        self._caches: list[KVCache] = []

    def take(self, ids: Sequence[int]) -> KVCache:
        """The cache to continue for the prompt ``ids``; it becomes the most recently used.

        A cache that shares most of itself with the prompt is continued. One that shares only a
        start is copied up to there, so that its own conversation stays warm.
        """
        best = max(self._caches, key=lambda cache: shared_prefix(cache.tokens, ids), default=None)
        shared = 0 if best is None else shared_prefix(best.tokens, ids)
        if best is None or shared == 0:
            cache = self._new_cache()
        elif shared * 2 >= len(best):
            self._caches.remove(best)
            cache = best
        else:
            cache = best.fork(shared)
        self._caches.append(cache)
        del self._caches[:-MAX_CACHES]
        while len(self._caches) > 1 and sum(kept.nbytes for kept in self._caches) > self._max_bytes:
            del self._caches[0]
        return cache


def shared_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading ids that both have in common."""
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
