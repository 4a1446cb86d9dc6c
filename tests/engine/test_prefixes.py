from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.prefixes import MAX_CACHES, PrefixCaches, shared_prefix
from sparkcode.model.cache import BLOCK_TOKENS, KVCache
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
    context_length=4096,
    rope_base=10000.0,
    rms_eps=1e-6,
    rope_style="neox",
    tied_head=True,
    qkv_bias=True,
)
BLOCK_BYTES = 2 * BLOCK_TOKENS * 4 * 4

IDS = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def caches(max_bytes: int = 1 << 20) -> PrefixCaches:
    return PrefixCaches(lambda: KVCache(CONFIG, 4096), max_bytes=max_bytes)


def lease(kept: PrefixCaches, ids: list[int]) -> tuple[KVCache, int]:
    """Take a cache for ``ids`` and evaluate the rest: the cache, and how many were held."""
    cache = kept.take(ids)
    held = len(cache)
    cache.reserve(len(ids))
    cache.commit(ids[held:])
    return cache, held


def use(kept: PrefixCaches, ids: list[int]) -> int:
    """Evaluate ``ids`` and give the cache back; how many were held already."""
    cache, held = lease(kept, ids)
    kept.give(cache)
    return held


def test_a_continued_conversation_is_evaluated_once_and_kept_once() -> None:
    kept = caches()
    assert use(kept, [1, 2, 3]) == 0
    assert use(kept, [1, 2, 3, 4, 5]) == 3
    assert [cache.tokens for cache in kept._idle] == [[1, 2, 3, 4, 5]]


def test_another_turn_with_the_same_start_leaves_the_first_warm() -> None:
    kept = caches()
    use(kept, [1, 2, 3, 4, 5, 6])
    assert use(kept, [1, 2, 9, 9]) == 2
    assert use(kept, [1, 2, 3, 4, 5, 6, 7]) == 6
    assert use(kept, [1, 2, 9, 9, 9]) == 4


def test_a_prompt_that_is_held_whole_leaves_one_token_to_evaluate() -> None:
    kept = caches()
    use(kept, [1, 2, 3])
    assert use(kept, [1, 2, 3]) == 2
    assert len(kept._idle) == 1


def test_a_sequence_in_use_is_continued_by_others_and_untouched() -> None:
    kept = caches()
    first, _ = lease(kept, [1, 2, 3, 4])
    second, held = lease(kept, [1, 2, 3, 9])
    assert held == 3
    assert first.tokens == [1, 2, 3, 4]
    assert second.tokens == [1, 2, 3, 9]


def test_shared_blocks_count_once() -> None:
    kept = caches()
    start = [1] * 4 * BLOCK_TOKENS
    use(kept, [*start, 2])
    assert kept.nbytes == 5 * BLOCK_BYTES
    use(kept, [*start, 3])
    assert kept.nbytes == 6 * BLOCK_BYTES


def test_the_least_recently_used_goes_first() -> None:
    kept = caches(2 * BLOCK_BYTES)
    use(kept, [0, 0])
    use(kept, [1, 1])
    use(kept, [0, 0, 0])
    use(kept, [2, 2])
    assert use(kept, [0, 0, 0]) == 2
    assert use(kept, [1, 1]) == 0


def test_caches_in_use_and_the_newest_stay_whatever_they_take() -> None:
    kept = caches(1)
    held, _ = lease(kept, [1] * 50)
    assert use(kept, [2] * 50) == 0
    assert use(kept, [2] * 50) == 49
    assert use(kept, [3] * 50) == 0
    assert use(kept, [2] * 50) == 0
    assert held.tokens == [1] * 50
    assert use(kept, [1] * 50) == 49


def test_the_pinned_head_survives_everything() -> None:
    kept = caches(1)
    cache, _ = lease(kept, [1, 2, 3, 4])
    kept.pin(cache, 3)
    kept.pin(cache, 3)
    kept.give(cache)
    for start in range(4, 7):
        use(kept, [start] * 5)
    assert use(kept, [1, 2, 3, 7]) == 3


def test_the_number_of_caches_is_bounded_and_empty_ones_are_dropped() -> None:
    kept = caches()
    kept.give(kept.take([1, 2]))
    assert kept.nbytes == 0
    for first in range(MAX_CACHES + 3):
        use(kept, [first, first])
    assert len(kept._idle) == MAX_CACHES
    assert use(kept, [2, 2]) == 0


def test_what_was_never_taken_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="not in list"):
        caches().give(KVCache(CONFIG, 8))


@given(st.lists(st.tuples(IDS, st.booleans()), max_size=16))
def test_a_taken_cache_never_holds_what_the_prompt_does_not(
    prompts: list[tuple[list[int], bool]],
) -> None:
    kept, out = caches(3 * BLOCK_BYTES), []
    for ids, stays in prompts:
        cache, held = lease(kept, ids)
        assert cache.tokens == ids
        assert held < len(ids)
        if stays:
            out.append((cache, ids))
        else:
            kept.give(cache)
        assert all(leased.tokens == expected for leased, expected in out)
    for cache, _ in out:
        kept.give(cache)
    assert len(kept._idle) == 1 or kept.nbytes <= 3 * BLOCK_BYTES


LONG = st.lists(st.integers(0, 1), max_size=6).map(lambda tail: [7] * 200 + tail)


@given(IDS | LONG, IDS | LONG)
def test_shared_prefix(left: list[int], right: list[int]) -> None:
    shared = shared_prefix(left, right)
    assert left[:shared] == right[:shared]
    assert left[shared : shared + 1] != right[shared : shared + 1] or shared == len(left)
