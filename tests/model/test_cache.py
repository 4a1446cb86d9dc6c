from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import BLOCK_TOKENS, KVCache
from sparkcode.model.weights import ModelConfig

CONFIG = ModelConfig(
    architecture="qwen2",
    num_layers=2,
    hidden_size=8,
    num_heads=2,
    num_kv_heads=1,
    head_size=4,
    intermediate_size=8,
    vocab_size=10,
    context_length=1000,
    rope_base=10000.0,
    rms_eps=1e-6,
    rope_style="neox",
    tied_head=True,
    qkv_bias=True,
)


def step(cache: KVCache, tokens: list[int]) -> tuple[F32, F32]:
    """Append keys and values that spell their tokens; returns layer 1's."""
    rows = np.array(tokens, np.float32)[:, None, None] * np.ones((1, 1, 4), np.float32)
    cache.write(0, rows, -rows)
    cache.write(1, rows + 0.5, -rows)
    cache.commit(tokens, np.zeros(10, np.float32))
    return cache.read(1, len(cache))


tokens = st.lists(st.integers(0, 2), max_size=2 * BLOCK_TOKENS + 3)


@given(st.lists(tokens.filter(bool), min_size=1, max_size=8))
def test_what_was_appended_is_returned_in_order(steps: list[list[int]]) -> None:
    cache = KVCache(CONFIG, 1000)
    for ids in steps:
        keys, values = step(cache, ids)
        np.testing.assert_array_equal(keys[0, :, 0] - 0.5, cache.tokens)
        np.testing.assert_array_equal(values[0, :, 0], -np.array(cache.tokens))
    assert cache.tokens == [id for ids in steps for id in ids]
    assert len(cache) == len(cache.tokens)


@given(tokens, tokens)
def test_reuse_keeps_the_common_prefix_and_leaves_a_token_to_evaluate(
    held: list[int], ids: list[int]
) -> None:
    cache = KVCache(CONFIG, 100)
    if held:
        step(cache, held)
    shared = cache.reuse_prefix(ids)
    assert cache.tokens == held[:shared] == ids[:shared]
    assert shared == 0 or shared < len(ids)
    grows = shared + 1 < len(ids) and shared < len(held)
    assert not grows or held[shared] != ids[shared]


def test_memory_grows_by_blocks_and_shrinks_to_one_in_hand() -> None:
    cache = KVCache(CONFIG, 1000)
    block_bytes = BLOCK_TOKENS * 2 * 2 * 4 * 4
    assert cache.nbytes == 0
    step(cache, [1])
    assert cache.nbytes == block_bytes
    step(cache, [1] * (BLOCK_TOKENS - 1))
    assert cache.nbytes == block_bytes
    step(cache, [1])
    assert cache.nbytes == 2 * block_bytes
    cache.reserve(10 * BLOCK_TOKENS)
    assert cache.nbytes == 10 * block_bytes
    step(cache, [1] * (8 * BLOCK_TOKENS))
    cache.trim(1)
    assert cache.nbytes == 2 * block_bytes


def test_addresses_are_those_of_the_blocks() -> None:
    cache = KVCache(CONFIG, 1000)
    assert cache.addresses.tolist() == []
    for length in (1, BLOCK_TOKENS + 1, 3 * BLOCK_TOKENS):
        cache.reserve(length)
        assert cache.addresses.tolist() == [block.ctypes.data for block in cache.blocks]
    step(cache, [1] * 40)
    cache.fork()
    step(cache, [2])
    assert cache.addresses.tolist() == [block.ctypes.data for block in cache.blocks]


def test_capacity_is_a_bound() -> None:
    cache = KVCache(CONFIG, 3)
    step(cache, [1, 2])
    with pytest.raises(EngineError, match="4 tokens do not fit: the context holds 3") as caught:
        step(cache, [1, 2])
    assert caught.value.code == "context_length_exceeded"
    assert cache.tokens == [1, 2]


def test_trim_forgets_the_tail_and_its_logits() -> None:
    cache = KVCache(CONFIG, 10)
    step(cache, [1, 2, 3])
    cache.trim(3)
    assert cache.last_logits is not None
    shorter = cache.fork()
    shorter.trim(1)
    assert shorter.tokens == [1]
    assert shorter.last_logits is None
    cache.trim(1)
    keys, _ = step(cache, [7])
    np.testing.assert_array_equal(keys[0, :, 0], [1.5, 7.5])
    for length in (-1, 3):
        with pytest.raises(ValueError, match=f"cannot trim to {length} tokens: 2 are held"):
            cache.trim(length)


def test_a_fork_may_start_earlier() -> None:
    cache = KVCache(CONFIG, 10)
    step(cache, [1, 2, 3])
    early = cache.fork(2)
    assert (early.tokens, early.last_logits) == ([1, 2], None)
    keys, _ = step(early, [9])
    np.testing.assert_array_equal(keys[0, :, 0], [1.5, 2.5, 9.5])
    for length in (-1, 4):
        with pytest.raises(ValueError, match=f"cannot fork at {length} tokens: 3 are held"):
            cache.fork(length)


def test_a_fork_goes_its_own_way() -> None:
    cache = KVCache(CONFIG, 10)
    step(cache, [1, 2])
    other = cache.fork()
    step(cache, [3])
    keys, _ = step(other, [4])
    np.testing.assert_array_equal(keys[0, :, 0], [1.5, 2.5, 4.5])
    assert (cache.tokens, other.tokens) == ([1, 2, 3], [1, 2, 4])
    assert other.capacity == 10


@given(st.data())
def test_forks_share_memory_and_nothing_else(data: st.DataObject) -> None:
    """Any mixture of steps, trims and forks: each cache holds what it alone was given."""
    caches = [KVCache(CONFIG, 10_000)]
    models: list[list[int]] = [[]]
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(caches) - 1))
        cache, model = caches[at], models[at]
        match data.draw(st.sampled_from(["step", "trim", "fork"])):
            case "step":
                ids = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=70))
                step(cache, ids)
                model += ids
            case "trim":
                length = data.draw(st.integers(0, len(model)))
                cache.trim(length)
                del model[length:]
            case _:
                length = data.draw(st.integers(0, len(model)))
                caches.append(cache.fork(length))
                models.append(model[:length])
        for one, expected in zip(caches, models, strict=True):
            assert one.tokens == expected
            if expected:
                keys, values = one.read(1, len(one))
                np.testing.assert_array_equal(keys[0, :, 0] - 0.5, expected)
                np.testing.assert_array_equal(values[0, :, 0], -np.array(expected))


def test_a_fork_costs_memory_only_where_it_differs() -> None:
    cache = KVCache(CONFIG, 1000)
    step(cache, [1] * 100)
    other = cache.fork(70)
    assert [a is b for a, b in zip(cache.blocks, other.blocks, strict=False)] == [True] * 3
    step(other, [2])
    assert [a is b for a, b in zip(cache.blocks, other.blocks, strict=False)] == [True] * 2 + [
        False
    ]


def test_capacity_has_to_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        KVCache(CONFIG, 0)
