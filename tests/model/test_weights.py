from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import WeightsError
from sparkcode.model.weights import ModelConfig, expected_tensors, read_gguf
from tests.model.tiny import TinyModel, vocabulary


def test_qwen2_header(qwen_path: Path) -> None:
    model = read_gguf(qwen_path)
    tokens, types = vocabulary()
    assert model.config == ModelConfig(
        architecture="qwen2",
        num_layers=2,
        hidden_size=64,
        num_heads=4,
        num_kv_heads=2,
        head_size=16,
        intermediate_size=96,
        vocab_size=len(tokens),
        context_length=128,
        rope_base=10000.0,
        rms_eps=float(np.float32(1e-6)),
        rope_style="neox",
        tied_head=True,
        qkv_bias=True,
    )
    assert (model.config.kv_size, model.config.group_size) == (32, 2)
    matrices = [shape for _, shape in expected_tensors(model.config) if len(shape) == 2]
    assert model.config.parameters == sum(rows * columns for rows, columns in matrices)
    assert model.vocabulary.tokens == tuple(tokens)
    assert model.vocabulary.types == tuple(types)
    assert model.vocabulary.eos_id == tokens.index("<|im_end|>")
    assert model.vocabulary.bos_id is None
    assert model.vocabulary.eot_id is None
    assert dict(expected_tensors(model.config)).keys() == model.tensors.keys()


def test_llama_header(tmp_path: Path) -> None:
    factors = tuple(float(2 * i + 1) for i in range(8))
    tiny = TinyModel(
        architecture="llama",
        bias=False,
        tied=False,
        pre="llama-bpe",
        rope_factors=factors,
        strings={"llama.rope.scaling.type": "linear"},
        numbers={"llama.rope.scaling.factor": 4.0},
        integers={"llama.rope.dimension_count": 16, "tokenizer.ggml.eot_token_id": 5},
    )
    model = read_gguf(tiny.write(tmp_path / "llama.gguf"))
    assert model.config.rope_style == "normal"
    assert not model.config.tied_head
    assert not model.config.qkv_bias
    assert model.config.rope_factors == factors
    assert model.config.rope_scale == 4.0
    assert model.vocabulary.bos_id == vocabulary()[0].index("<|endoftext|>")
    assert model.vocabulary.eot_id == 5


WRONG: list[tuple[TinyModel, str]] = [
    (TinyModel(architecture="gemma3"), "architecture 'gemma3': only 'qwen2' and 'llama' can run"),
    (TinyModel(without=("qwen2.block_count",)), "'qwen2.block_count' is missing, .* positive int"),
    (TinyModel(integers={"qwen2.attention.head_count": 0}), "head_count' is '0', .* positive int"),
    (TinyModel(integers={"qwen2.block_count": 5000}), "block_count' is '5000', .* at most 1024"),
    (TinyModel(integers={"qwen2.attention.head_count_kv": 3}), "'3', .* divisor of the 4 heads"),
    (TinyModel(integers={"qwen2.attention.key_length": 15}), "key_length' is '15', .* even"),
    (TinyModel(integers={"qwen2.rope.dimension_count": 8}), "'8', .* the head size, 16"),
    (TinyModel(numbers={"qwen2.rope.freq_base": -1.0}), "freq_base' is '-1.0', .* positive number"),
    (TinyModel(rope_factors=(1.0, 2.0)), "'rope_freqs.weight' has 2 values, it has to have 8"),
    (TinyModel(strings={"qwen2.rope.scaling.type": "yarn"}), "'yarn', it has to be 'none' or"),
    (TinyModel(integers={"qwen2.rope.scaling.type": 1}), "scaling.type' is '1', .* a string"),
    (TinyModel(without=("tokenizer.ggml.tokens",)), "'tokenizer.ggml.tokens' is missing"),
    (TinyModel(without=("tokenizer.ggml.token_type",)), "'tokenizer.ggml.token_type' is missing"),
    (TinyModel(merges=("a b", "c d", "a b")), "merges' is 'c d', .* order of the token ids"),
    (TinyModel(without=("blk.1.ffn_up.weight",)), "lacks the tensor 'blk.1.ffn_up.weight'"),
    (TinyModel(extra={"output_norm.weight": (63,)}), r"has shape \(63,\), it has to be \(64,\)"),
    (TinyModel(extra={"blk.0.ffn_gate_exps.weight": (64, 64)}), "'blk.0.ffn_gate_exps.weight' has"),
    (TinyModel(hidden=48, heads=3, kv_heads=3, encoding=Type.F16), "48 weights, not a multiple of"),
]


@pytest.mark.parametrize(("tiny", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_unusable_models_are_refused(tmp_path: Path, tiny: TinyModel, message: str) -> None:
    path = tiny.write(tmp_path / "wrong.gguf")
    with pytest.raises(WeightsError, match=message) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_token_may_be_made_in_several_ways(tmp_path: Path) -> None:
    path = TinyModel(merges=("l l", "a ll", "al l")).write(tmp_path / "ways.gguf")
    assert read_gguf(path).vocabulary.tokens[256:258] == ("ll", "all")


def test_merges_may_be_absent(tmp_path: Path) -> None:
    assert read_gguf(TinyModel(merges=()).write(tmp_path / "bytes.gguf")).config.vocab_size == 261


def test_an_encoding_that_cannot_be_read_is_named(qwen_path: Path) -> None:
    raw = read_gguf(qwen_path).tensors["blk.0.attn_q.weight"]
    odd = type(raw)("odd", "Q8_1", raw.shape, raw.data)
    with pytest.raises(WeightsError, match="tensor 'odd' is encoded as 'Q8_1', which cannot be"):
        odd.values(0, 1)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read the weights .*none\.gguf: No such file"):
        read_gguf(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + bytes(60),
        b"GGUF" + struct.pack("<IQQ", 99, 0, 0),
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60),
        # One key whose value is an array of 2**62 bytes.
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 0, 2**62),
    ],
)
def test_foreign_and_hostile_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"foreign\.gguf"):
        read_gguf(path)


def test_text_that_is_no_utf8_is_damage(qwen_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_bytes(qwen_path.read_bytes().replace(b"<tool_call>", b"<tool_\xff\xff\xff\xff>"))
    with pytest.raises(WeightsError, match=r"text\.gguf is a damaged GGUF file: 'utf-8' codec"):
        read_gguf(path)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_truncated_files_are_refused(
    qwen_path: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = qwen_path.read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.gguf"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 64))])
    with pytest.raises(WeightsError, match=r"cut\.gguf"):
        read_gguf(path)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_flipped_header_byte_gives_a_model_or_a_weights_error(
    qwen_path: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(qwen_path.read_bytes())
    damaged[data.draw(st.integers(0, 12_000))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.gguf"
    path.write_bytes(damaged)
    # Anything but a WeightsError would be a crash of the program.
    with contextlib.suppress(WeightsError):
        read_gguf(path)
