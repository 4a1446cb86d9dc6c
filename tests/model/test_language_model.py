from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparkcode.errors import ConfigError, EngineError, WeightsError
from sparkcode.model import language_model
from sparkcode.model.kernels import loading
from sparkcode.model.kernels.choice import choose_kernel, processor_features
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.model.layers import LayerRunner
from sparkcode.model.memory import WORKING_BYTES
from sparkcode.model.packing import open_packed
from tests.model.tiny import TinyModel

IDS = list(range(40, 60))


def test_a_model_knows_its_name_and_shape(qwen: LanguageModel) -> None:
    assert qwen.name == "tiny-qwen"
    assert qwen.config.num_layers == 2
    assert qwen.tokenizer.vocab_size == qwen.config.vocab_size
    assert qwen.new_cache().capacity == 128
    assert qwen.new_cache(50).capacity == 50
    assert qwen.new_cache(5000).capacity == 128


def test_prefill_in_chunks_then_decode(qwen: LanguageModel) -> None:
    cache = qwen.new_cache()
    assert list(qwen.prefill(IDS[:-1], cache, chunk=8)) == [8, 16, 19]
    logits = qwen.decode(IDS[-1], cache)
    assert logits.shape == (qwen.config.vocab_size,)
    other = qwen.new_cache()
    rows = qwen.verify(IDS, other)
    assert rows.shape == (len(IDS), qwen.config.vocab_size)
    np.testing.assert_allclose(logits, rows[-1], atol=1e-4)
    assert cache.tokens == other.tokens == IDS


def test_a_small_rest_of_a_prompt_is_no_step_of_its_own(qwen: LanguageModel) -> None:
    for count, steps in ((10, [10]), (11, [8, 11]), (18, [8, 18]), (19, [8, 16, 19])):
        assert list(qwen.prefill(IDS[:count], qwen.new_cache(), chunk=8)) == steps


def test_prefill_may_be_left_between_chunks_and_taken_up_again(qwen: LanguageModel) -> None:
    cache = qwen.new_cache()
    steps = qwen.prefill(IDS, cache, chunk=4)
    assert [next(steps), next(steps)] == [4, 8]
    del steps
    assert cache.tokens == IDS[:8]
    reused = cache.reuse_prefix(IDS)
    assert reused == 8
    assert list(qwen.prefill(IDS[reused:], cache)) == [12]
    whole = qwen.new_cache()
    list(qwen.prefill(IDS, whole))
    assert cache.last_logits is not None
    assert whole.last_logits is not None
    np.testing.assert_allclose(cache.last_logits, whole.last_logits, atol=1e-4)


def test_a_prompt_that_does_not_fit_is_refused_before_any_work(qwen: LanguageModel) -> None:
    cache = qwen.new_cache(10)
    with pytest.raises(EngineError, match="20 tokens do not fit: the context holds 10"):
        list(qwen.prefill(IDS, cache, chunk=4))
    assert len(cache) == 0
    with pytest.raises(ValueError, match="chunk=0"):
        list(qwen.prefill(IDS, cache, chunk=0))


def test_loading_again_says_nothing(tmp_path: Path) -> None:
    path = TinyModel().write(tmp_path / "tiny.gguf")
    said: list[str] = []
    load(path, cache_root=tmp_path, say=said.append)
    assert said[0] == "packing tiny.gguf for quick starts"
    fastest = choose_kernel({}, processor_features()).name
    assert said[1:] in ([], [f"compiling the {fastest} kernels (once)"])
    said.clear()
    load(path, cache_root=tmp_path, say=said.append)
    assert said == []


def test_the_environment_names_the_kernel(qwen_path: Path, tmp_path: Path) -> None:
    environ = {"SPARKCODE_KERNEL": "numpy"}
    model = load(qwen_path, cache_root=tmp_path, say=lambda _: None, environ=environ)
    assert model.weights.runner.__class__ is LayerRunner
    environ = {"SPARKCODE_KERNEL": "abacus"}
    with pytest.raises(ConfigError, match="'abacus'; there are avx512, avxvnni, avx2, numpy"):
        load(qwen_path, cache_root=tmp_path, say=lambda _: None, environ=environ)


def test_a_damaged_tensor_is_packed_again(tmp_path: Path) -> None:
    path = TinyModel().write(tmp_path / "tiny.gguf")
    expected = load(path, cache_root=tmp_path, say=lambda _: None)
    # Before the damage: kernels may read the mapped file at each step.
    logits = expected.decode(65, expected.new_cache())
    packed = open_packed(path, cache_root=tmp_path, say=lambda _: None)
    entry = packed.header.tensors["blk.0.ffn_down.weight"]
    with packed.path.open("r+b") as file:
        file.seek(entry.offset + 70)
        file.write(b"damage")
    said: list[str] = []
    model = load(path, cache_root=tmp_path, say=said.append)
    assert "'blk.0.ffn_down.weight' fails its checksum; packing the weights again" in said[0]
    np.testing.assert_array_equal(model.decode(65, model.new_cache()), logits)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("these are notes, not weights", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"notes\.gguf is no usable GGUF file"):
        load(path, cache_root=tmp_path, say=lambda _: None)


def test_a_kernel_that_fails_its_test_leaves_a_model_without_exact_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drafts and shared passes need rows that do not depend on their neighbours."""
    monkeypatch.setattr(loading, "wrong_product", lambda _: "multiply_q5")
    path = TinyModel().write(tmp_path / "tiny.gguf")
    model = load(path, cache_root=tmp_path, say=lambda _: None, environ={})
    assert not model.exact
    assert isinstance(model.weights.runner, LayerRunner)


def test_what_takes_the_place_of_a_failed_kernel_has_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = TinyModel().write(tmp_path / "tiny.gguf")
    load(path, cache_root=tmp_path, say=lambda _: None)
    monkeypatch.setattr(loading, "wrong_product", lambda _: "multiply_q5")
    monkeypatch.setattr(language_model, "available_memory", lambda: WORKING_BYTES + 200_000)
    load(path, cache_root=tmp_path, say=lambda _: None, environ={})
    for kernel in (tmp_path / "kernels").iterdir():
        kernel.unlink()
    with pytest.raises(WeightsError, match="as float32, for the kernel numpy"):
        load(path, cache_root=tmp_path, say=lambda _: None, environ={})
