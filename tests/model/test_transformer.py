from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import EngineError
from sparkcode.model.cache import KVCache
from sparkcode.model.language_model import LanguageModel, load
from sparkcode.model.packing import open_packed
from sparkcode.model.transformer import Segment
from sparkcode.model.weights import ModelConfig
from tests.model.kernels.scalar import COMPILED
from tests.model.tiny import TinyModel

F64 = npt.NDArray[np.float64]
IDS = [3, 200, 17, 17, 254, 0, 99, 42, 7, 123, 56]
EXACT = {"SPARKCODE_KERNEL": "numpy"}
"""The kernel that does not round activations."""


def values_of_gguf(path: Path) -> dict[str, F64]:
    return {
        tensor.name: gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        for tensor in gguf.GGUFReader(path).tensors
    }


def values_of_packed(path: Path, cache_root: Path) -> dict[str, F64]:
    packed = open_packed(path, cache_root=cache_root, say=lambda _: None)
    return {
        name: (packed.vector(name) if entry.kind == "f32" else packed.matrix(name).dense()).astype(
            np.float64
        )
        for name, entry in packed.header.tensors.items()
    }


def slow_forward(w: dict[str, F64], config: ModelConfig, ids: Sequence[int]) -> F64:
    """Logits [T, V], one token, head and position at a time, in double precision."""
    s, half = config.head_size, config.head_size // 2
    frequencies = config.rope_base ** -(np.arange(half) / half)
    if config.rope_factors:
        frequencies = frequencies / np.array(config.rope_factors)

    def norm(x: F64, name: str) -> F64:
        return np.asarray(x / np.sqrt((x * x).mean() + config.rms_eps) * w[name])

    def heads(x: F64, name: str) -> list[F64]:
        y = w[name + ".weight"] @ x
        if config.qkv_bias:
            y = y + w[name + ".bias"]
        return [y[i : i + s] for i in range(0, len(y), s)]

    def turned(x: F64, position: int) -> F64:
        if config.rope_style == "neox":
            z = (x[:half] + 1j * x[half:]) * np.exp(1j * position / config.rope_scale * frequencies)
            return np.concatenate([z.real, z.imag])
        z = (x[0::2] + 1j * x[1::2]) * np.exp(1j * position / config.rope_scale * frequencies)
        return np.stack([z.real, z.imag], axis=-1).reshape(-1)

    keys: list[list[list[F64]]] = [[] for _ in range(config.num_layers)]
    values: list[list[list[F64]]] = [[] for _ in range(config.num_layers)]
    logits = []
    for position, id in enumerate(ids):
        x = w["token_embd.weight"][id]
        for layer in range(config.num_layers):
            p = f"blk.{layer}."
            h = norm(x, p + "attn_norm.weight")
            keys[layer].append([turned(k, position) for k in heads(h, p + "attn_k")])
            values[layer].append(heads(h, p + "attn_v"))
            attended = []
            for head, q in enumerate(heads(h, p + "attn_q")):
                kv = head // config.group_size
                scores = [turned(q, position) @ k[kv] / np.sqrt(s) for k in keys[layer]]
                e = np.exp(np.array(scores) - max(scores))
                attended.append(
                    sum(a * v[kv] for a, v in zip(e / e.sum(), values[layer], strict=True))
                )
            x = x + w[p + "attn_output.weight"] @ np.concatenate(attended)
            h = norm(x, p + "ffn_norm.weight")
            gate = w[p + "ffn_gate.weight"] @ h
            x = x + w[p + "ffn_down.weight"] @ (
                gate / (1 + np.exp(-gate)) * (w[p + "ffn_up.weight"] @ h)
            )
        head_name = "token_embd.weight" if config.tied_head else "output.weight"
        logits.append(w[head_name] @ norm(x, "output_norm.weight"))
    return np.array(logits)


MODELS = {
    "qwen2": TinyModel(),
    "qwen2 untied Q5_0": TinyModel(tied=False, encoding=Type.Q5_0),
    "qwen2 without bias": TinyModel(bias=False, kv_heads=1),
    "qwen2 Q4_0 all heads": TinyModel(encoding=Type.Q4_0, kv_heads=4),
    "llama": TinyModel(architecture="llama", bias=False, pre="llama-bpe"),
    "llama 3 scaled": TinyModel(
        architecture="llama",
        bias=False,
        tied=False,
        encoding=Type.Q5_0,
        rope_factors=(1.0, 1.0, 1.5, 2.0, 4.0, 8.0, 8.0, 8.0),
        strings={"llama.rope.scaling.type": "linear"},
        numbers={"llama.rope.scaling.factor": 2.0},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_logits_equal_a_slow_scalar_model(name: str, tmp_path: Path) -> None:
    path = MODELS[name].write(tmp_path / "model.gguf")
    model = load(path, cache_root=tmp_path, say=lambda _: None, environ=EXACT)
    found = model.step([Segment(model.new_cache(), IDS, "all")])[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, slow_forward(values_of_gguf(path), model.config, IDS), atol=1e-3, rtol=1e-4
    )


@pytest.mark.parametrize("encoding", [Type.Q4_K, Type.Q6_K, Type.F16], ids=lambda e: e.name)
def test_rounded_encodings_run_on_the_packed_values(encoding: Type, tmp_path: Path) -> None:
    tiny = TinyModel(hidden=256, feed_forward=256, layers=1, encoding=encoding)
    path = tiny.write(tmp_path / "model.gguf")
    model = load(path, cache_root=tmp_path, say=lambda _: None, environ=EXACT)
    found = model.step([Segment(model.new_cache(), IDS, "all")])[0]
    expected = slow_forward(values_of_packed(path, tmp_path), model.config, IDS)
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kernel", COMPILED)
@pytest.mark.parametrize("name", MODELS)
def test_rounded_activations_keep_the_logits_close(
    name: str, kernel: str, tmp_path: Path, compiled: Path
) -> None:
    path = MODELS[name].write(tmp_path / "model.gguf")
    environ = {"SPARKCODE_KERNEL": kernel}
    model = load(path, cache_root=compiled, say=lambda _: None, environ=environ)
    found = model.step([Segment(model.new_cache(), IDS, "all")])[0]
    expected = slow_forward(values_of_gguf(path), model.config, IDS)
    # A rounding step is 1/127 of a block's largest value; here it is felt after two layers.
    assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).mean()


@pytest.mark.parametrize("kernel", COMPILED)
@pytest.mark.parametrize("name", MODELS)
def test_steps_of_any_length_give_the_same_logits(
    name: str, kernel: str, tmp_path: Path, compiled: Path
) -> None:
    path = MODELS[name].write(tmp_path / "model.gguf")
    environ = {"SPARKCODE_KERNEL": kernel}
    model = load(path, cache_root=compiled, say=lambda _: None, environ=environ)
    ids = [*IDS, *IDS, *IDS]
    decoded, verified = model.new_cache(), model.new_cache()
    rows = [model.step([Segment(decoded, [id])])[0][0] for id in ids]
    found = model.step([Segment(verified, ids, "all")])[0]
    np.testing.assert_array_equal(found, np.stack(rows))


@given(st.lists(st.integers(1, len(IDS) - 1), max_size=4))
@settings(deadline=None)
def test_chunks_give_what_one_go_gives(qwen: LanguageModel, cuts: list[int]) -> None:
    whole = qwen.step([Segment(qwen.new_cache(), IDS, "all")])[0]
    cache = qwen.new_cache()
    edges = sorted({0, *cuts, len(IDS)})
    parts = [qwen.step([Segment(cache, IDS[a:b], "all")])[0] for a, b in pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)
    assert cache.tokens == IDS


@given(st.lists(st.integers(0, 255), min_size=1, max_size=9), st.integers(1, len(IDS) - 1))
@settings(deadline=None)
def test_a_rejected_draft_leaves_no_trace(qwen: LanguageModel, draft: list[int], kept: int) -> None:
    never, cache = qwen.new_cache(), qwen.new_cache()
    qwen.step([Segment(never, IDS[:kept])])[0]
    qwen.step([Segment(cache, IDS[:kept])])[0]
    qwen.step([Segment(cache, draft, "all")])[0]
    cache.trim(kept)
    np.testing.assert_array_equal(
        qwen.step([Segment(cache, IDS[kept:])])[0], qwen.step([Segment(never, IDS[kept:])])[0]
    )


@pytest.mark.parametrize("kernel", ["numpy", *COMPILED])
def test_sequences_in_one_step_are_as_if_alone(
    kernel: str, qwen_path: Path, tmp_path: Path
) -> None:
    environ = {"SPARKCODE_KERNEL": kernel}
    model = load(qwen_path, cache_root=tmp_path, say=lambda _: None, environ=environ)
    prompts = (IDS[:3], IDS[2:9], IDS[5:])
    alone, together = ([model.new_cache() for _ in prompts] for _ in range(2))
    first = [
        model.step([Segment(cache, ids)])[0] for cache, ids in zip(alone, prompts, strict=True)
    ]
    mixed = model.step([Segment(c, ids) for c, ids in zip(together, prompts, strict=True)])
    np.testing.assert_allclose(np.concatenate(mixed), np.concatenate(first), atol=1e-4)
    a, b, c = together
    none, last, every = model.step(
        [Segment(a, [1], "none"), Segment(b, [2, 3]), Segment(c, [4, 5], "all")]
    )
    assert (len(none), len(last), len(every)) == (0, 1, 2)
    assert a.last_logits is None
    assert b.last_logits is not None
    expected = model.step([Segment(alone[2], [4, 5], "all")])[0]
    np.testing.assert_allclose(every, expected, atol=1e-4)
    assert len(model.step([Segment(a, [1], "none")])[0]) == 0


def test_a_step_that_fails_counts_for_nobody(qwen: LanguageModel) -> None:
    full, other = qwen.new_cache(2), qwen.new_cache()
    with pytest.raises(EngineError, match="3 tokens do not fit"):
        qwen.step([Segment(other, IDS), Segment(full, [1, 2, 3])])
    assert (full.tokens, other.tokens) == ([], [])


def test_last_is_the_last_row_of_all(qwen: LanguageModel) -> None:
    cache = qwen.new_cache()
    last = qwen.step([Segment(cache, IDS)])[0]
    every = qwen.step([Segment(qwen.new_cache(), IDS, "all")])[0]
    assert last.shape == (1, qwen.config.vocab_size)
    np.testing.assert_allclose(last[0], every[-1], atol=1e-5)
    assert cache.last_logits is not None
    np.testing.assert_array_equal(cache.last_logits, last[0])


def test_the_models_context_is_a_bound(qwen: LanguageModel) -> None:
    cache = KVCache(qwen.config, 10_000)
    qwen.step([Segment(cache, [1] * 128)])[0]
    with pytest.raises(EngineError, match=r"129 tokens do not fit: .* context holds 128") as caught:
        qwen.step([Segment(cache, [1])])[0]
    assert caught.value.code == "context_length_exceeded"
    assert len(cache) == 128


@pytest.mark.parametrize(
    ("ids", "message"), [([], "at least one token"), ([-1], "0 to 266"), ([267], "0 to 266")]
)
def test_impossible_steps_are_refused(qwen: LanguageModel, ids: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        qwen.step([Segment(qwen.new_cache(), ids)])[0]
