from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.prefixes import MAX_CACHES, PrefixCaches, shared_prefix
from sparkcode.model.cache import KVCache
from sparkcode.model.weights import ModelConfig

CONFIG = ModelConfig(
    architecture="qwen2",
    num_layers=1,
    hidden_size=4,
    num_heads=1,
    num_kv_heads=1,
    head_size=4,
    intermediate_size=4,
    vocab_size=8,
    context_length=64,
    rope_base=10000.0,
    rms_eps=1e-6,
    rope_style="neox",
    tied_head=True,
    qkv_bias=True,
)

IDS = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def caches() -> PrefixCaches:
    return PrefixCaches(lambda: KVCache(CONFIG, 64))


def use(kept: PrefixCaches, ids: list[int]) -> KVCache:
    """Take a cache for ``ids`` and evaluate the rest, as an engine does."""
    cache = kept.take(ids)
    shared = cache.reuse_prefix(ids)
    cache.reserve(len(ids))
    cache.commit(ids[shared:])
    return cache


def test_a_continued_conversation_keeps_its_cache() -> None:
    kept = caches()
    first = use(kept, [1, 2, 3])
    assert use(kept, [1, 2, 3, 4, 5]) is first


def test_another_turn_with_the_same_start_leaves_the_first_warm() -> None:
    kept = caches()
    first = use(kept, [1, 2, 3, 4, 5, 6])
    second = use(kept, [1, 2, 9, 9])
    assert second is not first
    assert first.tokens == [1, 2, 3, 4, 5, 6]
    assert second.tokens == [1, 2, 9, 9]


def test_the_least_recently_used_goes_first() -> None:
    kept = caches()
    first = use(kept, [0, 0, 0])
    for start in range(1, MAX_CACHES + 1):
        use(kept, [start] * 3)
    assert use(kept, [0, 0, 0]) is not first


def test_memory_is_bounded_but_the_cache_in_use_stays() -> None:
    kept = PrefixCaches(lambda: KVCache(CONFIG, 64), max_bytes=1)
    first = use(kept, [0, 0, 0])
    first.write(0, *(np.zeros((3, 1, 4), np.float32),) * 2)
    assert use(kept, [0, 0, 0, 1]) is first
    use(kept, [1, 1, 1])
    assert use(kept, [0, 0, 0]) is not first


@given(st.lists(IDS, max_size=12))
def test_a_taken_cache_never_holds_what_the_prompt_does_not(prompts: list[list[int]]) -> None:
    kept = caches()
    for ids in prompts:
        cache = use(kept, ids)
        assert cache.tokens == ids


@given(IDS, IDS)
def test_shared_prefix(left: list[int], right: list[int]) -> None:
    shared = shared_prefix(left, right)
    assert left[:shared] == right[:shared]
    assert left[shared : shared + 1] != right[shared : shared + 1] or shared == len(left)
