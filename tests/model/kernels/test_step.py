from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.kernels.attend import SPLIT
from sparkcode.model.kernels.product import Kernel
from sparkcode.model.kernels.step import StepRunner
from sparkcode.model.kernels.team import Team
from sparkcode.model.layers import LayerRunner
from sparkcode.model.ops import attention
from sparkcode.model.packed import PackedFile
from sparkcode.model.packing import open_packed
from sparkcode.model.transformer import Segment, Weights, forward
from tests.model.kernels.scalar import needs_avx2
from tests.model.tiny import TinyModel

pytestmark = needs_avx2

IDS = [int(id) for id in np.random.default_rng(3).integers(0, 256, 40)]
MODELS = {
    "qwen2": TinyModel(context=2048),
    "wide": TinyModel(hidden=192, heads=6, kv_heads=2, feed_forward=160, encoding=Type.Q5_0),
    "one group": TinyModel(kv_heads=1, bias=False, encoding=Type.Q4_0, tied=False),
    "llama": TinyModel(architecture="llama", bias=False, pre="llama-bpe"),
    "whole scales": TinyModel(hidden=256, heads=4, feed_forward=768, encoding=Type.Q4_K),
    "not padded": TinyModel(hidden=96, heads=3, kv_heads=3, feed_forward=224),
}


SCORED: tuple[Literal["none", "last", "all"], ...] = ("none", "last", "all")


class Models:
    """Tiny models, each packed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = Kernel(folder, threads=2, say=lambda _: None)
        self._packed: dict[str, PackedFile] = {}

    def packed(self, name: str) -> PackedFile:
        if name not in self._packed:
            path = MODELS[name].write(self.folder / f"{name}.gguf")
            self._packed[name] = open_packed(path, cache_root=self.folder, say=lambda _: None)
        return self._packed[name]

    def weights(self, name: str, kernel: Kernel | None = None) -> Weights:
        packed = self.packed(name)
        runner = (kernel or self.kernel).runner(packed)
        return Weights(packed.header.config, packed.matrix("token_embd.weight"), runner)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def qwen(models: Models) -> Weights:
    return models.weights("qwen2")


def whole(weights: Weights, ids: Sequence[int]) -> F32:
    """Logits of every token, evaluated in one go."""
    return forward([Segment(KVCache(weights.config, 2048), ids, "all")], weights)[0]


@pytest.fixture(scope="module")
def single(qwen: Weights) -> F32:
    """Logits of IDS, one token at a time."""
    cache = KVCache(qwen.config, 2048)
    return np.concatenate([forward([Segment(cache, [id])], qwen)[0] for id in IDS])


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_close_to_numpy(models: Models, name: str) -> None:
    weights = models.weights(name)
    assert isinstance(weights.runner, StepRunner)
    numpy = LayerRunner(models.packed(name), models.kernel.matrix, attention=attention)
    exact = Weights(weights.config, weights.embedding, numpy)
    found, expected = whole(weights, IDS), whole(exact, IDS)
    # Both round activations to 8 bit; where their sums differ, a code may be the next one.
    assert np.abs(found - expected).mean() < 0.01 * np.abs(expected).mean()


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_equals_single_steps(models: Models, name: str) -> None:
    weights = models.weights(name)
    cache = KVCache(weights.config, 2048)
    rows = [forward([Segment(cache, [id])], weights)[0] for id in IDS]
    np.testing.assert_array_equal(whole(weights, IDS), np.concatenate(rows))


@given(st.lists(st.integers(1, len(IDS) - 1), max_size=5))
@settings(deadline=None)
def test_chunks_change_nothing(qwen: Weights, single: F32, cuts: list[int]) -> None:
    cache = KVCache(qwen.config, 2048)
    for first, last in pairwise(sorted({0, *cuts, len(IDS)})):
        found = forward([Segment(cache, IDS[first:last], "all")], qwen)[0]
        np.testing.assert_array_equal(found, single[first:last])


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_sequences_beside_one_another_change_nothing(
    qwen: Weights, single: F32, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 4))
    caches = [KVCache(qwen.config, 2048) for _ in range(count)]
    for _ in range(3):
        chosen = data.draw(st.lists(st.sampled_from(range(count)), min_size=1, unique=True))
        segments = []
        for index in chosen:
            cache = caches[index]
            length = data.draw(st.integers(1, 12))
            logits = data.draw(st.sampled_from(SCORED))
            segments.append(Segment(cache, IDS[len(cache) : len(cache) + length], logits))
        before = [len(segment.cache) for segment in segments]
        results = forward(segments, qwen)
        for start, segment, found in zip(before, segments, results, strict=True):
            end = start + len(segment.tokens)
            first = {"none": end, "last": end - 1, "all": start}[segment.logits]
            np.testing.assert_array_equal(found, single[first:end])


def test_forks_share_blocks_and_differ_afterwards(qwen: Weights, single: F32) -> None:
    cache = KVCache(qwen.config, 2048)
    forward([Segment(cache, IDS[:20], "none")], qwen)
    other = cache.fork()
    forward([Segment(other, [1, 2, 3])], qwen)
    found = forward([Segment(cache, IDS[20:], "all"), Segment(other, [4])], qwen)[0]
    np.testing.assert_array_equal(found, single[20:])


@pytest.mark.parametrize("threads", [1, 4])
def test_any_number_of_threads_gives_the_same(models: Models, single: F32, threads: int) -> None:
    kernel = Kernel(models.folder, threads=threads, say=lambda _: None)
    np.testing.assert_array_equal(whole(models.weights("qwen2", kernel), IDS), single)


class _NobodyComes(Team):
    """Its helpers have ended."""

    def __init__(self) -> None:
        super().__init__(3)
        for inbox in self._inboxes:
            inbox.put(None)


def test_helpers_that_never_start_are_not_missed(models: Models, single: F32) -> None:
    kernel = Kernel(models.folder, threads=1, say=lambda _: None)
    kernel.team = _NobodyComes()
    np.testing.assert_array_equal(whole(models.weights("qwen2", kernel), IDS), single)


def test_a_long_context_does_not_depend_on_chunks(qwen: Weights) -> None:
    ids = (IDS * 20)[: SPLIT + 90]
    found = whole(qwen, ids)
    cache = KVCache(qwen.config, 2048)
    for first in range(0, len(ids), 100):
        part = ids[first : first + 100]
        chunk = forward([Segment(cache, part, "all")], qwen)[0]
        np.testing.assert_array_equal(chunk, found[first : first + 100])
    cache.trim(SPLIT + 40)
    for row in range(SPLIT + 40, SPLIT + 45):
        alone = forward([Segment(cache, [ids[row]])], qwen)[0]
        np.testing.assert_array_equal(alone[0], found[row])


def test_padding_stays_zero_after_what_is_no_number(models: Models) -> None:
    weights = models.weights("not padded")
    expected = whole(weights, IDS[:5])
    cache = KVCache(weights.config, 2048)
    cache.reserve(2)
    x = np.full((2, weights.config.hidden_size), np.nan, np.float32)
    assert np.isnan(weights.runner.run(x, [Segment(cache, [1, 2])], [0, 1])).all()
    np.testing.assert_array_equal(whole(weights, IDS[:5]), expected)


def test_heads_of_odd_sizes_are_left_to_numpy(models: Models, tmp_path: Path) -> None:
    path = TinyModel(heads=8).write(tmp_path / "odd.gguf")  # of 8 components
    packed = open_packed(path, cache_root=tmp_path, say=lambda _: None)
    runner = models.kernel.runner(packed)
    assert isinstance(runner, LayerRunner)
    assert not runner.exact
    assert models.weights("qwen2").runner.exact


def test_steps_of_several_threads_take_turns(qwen: Weights, single: F32) -> None:
    found: dict[int, F32] = {}

    def work(number: int) -> None:
        cache = KVCache(qwen.config, 2048)
        rows = [forward([Segment(cache, [id])], qwen)[0] for id in IDS[:10]]
        found[number] = np.concatenate(rows)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(3):
        np.testing.assert_array_equal(found[number], single[:10])
