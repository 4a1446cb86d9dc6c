"""Published configs, by the keys that their families use; sizes as in the models' own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.hugging import shape_table, weight_bytes
from sparkcode.wafer.shape import ModelShape, load_shape

LLAMA: dict[str, Any] = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}
GPT_OSS: dict[str, Any] = {
    "num_hidden_layers": 36,
    "hidden_size": 2880,
    "num_attention_heads": 64,
    "head_dim": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 2880,
    "num_local_experts": 128,
    "num_experts_per_tok": 4,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "quantization_config": {"quant_method": "mxfp4"},
}


def shape(tmp_path: Path, config: object) -> ModelShape:
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return load_shape(str(folder / "config.json"))


def alike(one: ModelShape, other: ModelShape) -> bool:
    """Whether both are the same but for where they come from."""
    skipped = ("name", "source")
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ModelShape.__dataclass_fields__
        if name not in skipped
    )


def test_a_dense_model(tmp_path: Path) -> None:
    found = shape(tmp_path, LLAMA)
    assert found.name == "some-model"
    assert alike(found, load_shape("llama-3.1-8b"))


def test_experts_windows_and_four_bits(tmp_path: Path) -> None:
    assert alike(shape(tmp_path, GPT_OSS), load_shape("gpt-oss-120b"))


def test_latent_attention_shared_experts_and_dense_layers(tmp_path: Path) -> None:
    found = shape(
        tmp_path,
        {
            "num_hidden_layers": 61,
            "hidden_size": 7168,
            "num_attention_heads": 128,
            "kv_lora_rank": 512,
            "qk_rope_head_dim": 64,
            "qk_nope_head_dim": 128,
            "intermediate_size": 18432,
            "moe_intermediate_size": 2048,
            "n_routed_experts": 256,
            "num_experts_per_tok": 8,
            "n_shared_experts": 1,
            "first_k_dense_replace": 3,
            "vocab_size": 129280,
            "max_position_embeddings": 163840,
            "num_nextn_predict_layers": 1,
            "quantization_config": {"quant_method": "fp8"},
        },
    )
    assert (found.kv_size, found.kv_tensors, found.q_size) == (576, 1, 16384)
    assert found.moe_fraction == pytest.approx(58 / 61)
    assert (found.shared_intermediate_size, found.intermediate_size) == (2048, 18432)
    assert (found.weight_bytes_per_parameter, found.draft) == (1.0, "head")
    # Published: 671 and 37 billion; the low ranks of Q are not counted.
    assert found.total_parameters == pytest.approx(671e9, rel=0.03)


@pytest.mark.parametrize(
    ("extra", "layers"),
    [
        ({"decoder_sparse_step": 2}, 16),
        ({"mlp_only_layers": [0, 1]}, 30),
        ({"interleave_moe_layer_step": 4}, 8),
        ({}, 32),
    ],
)
def test_which_layers_have_experts(extra: dict[str, Any], layers: int) -> None:
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512}
    table = shape_table({**LLAMA, **experts, **extra}, "x")
    assert table["moe_fraction"] == layers / 32
    assert table["intermediate_size"] == (0 if layers == 32 else 14336)


@pytest.mark.parametrize(
    ("extra", "window"),
    [
        ({"sliding_window": 4096}, (4096, 32)),
        ({"sliding_window": 4096, "use_sliding_window": False}, (None, None)),
        ({"sliding_window": None}, (None, None)),
        ({"sliding_window": 1024, "sliding_window_pattern": 6}, (1024, 27)),
        ({"sliding_window": 1024, "layer_types": ["full_attention"] * 32}, (None, None)),
    ],
)
def test_sliding_windows(extra: dict[str, Any], window: tuple[int | None, int | None]) -> None:
    table = shape_table({**LLAMA, **extra}, "x")
    assert (table.get("window"), table.get("window_layers")) == window


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({"torch_dtype": "float32"}, 4.0),
        ({"dtype": "bfloat16"}, 2.0),
        ({}, 2.0),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, 0.55),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8}}, 1.0),
        ({"quantization_config": {"load_in_4bit": True}}, 0.55),
        ({"quantization_config": {"quant_method": "odd"}, "torch_dtype": "float16"}, 2.0),
    ],
)
def test_stored_precision(config: dict[str, Any], size: float) -> None:
    assert weight_bytes(config) == size


def test_odd_values_are_no_crash(tmp_path: Path) -> None:
    odd = {"head_dim": "x", "kv_lora_rank": -1, "mlp_only_layers": [None], "layer_types": 3}
    assert alike(shape(tmp_path, {**LLAMA, **odd}), load_shape("llama-3.1-8b"))
    with pytest.raises(ConfigError, match="at most 10000"):
        shape_table({**GPT_OSS, "num_hidden_layers": 10**9}, "x")


def test_the_text_part_of_a_model_that_sees(tmp_path: Path) -> None:
    outer = {"text_config": LLAMA, "quantization_config": {"quant_method": "fp8"}}
    found = shape(tmp_path, outer)
    assert (found.num_layers, found.weight_bytes_per_parameter) == (32, 1.0)


@pytest.mark.parametrize("key", ["num_hidden_layers", "intermediate_size", "vocab_size"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        shape(tmp_path, {name: value for name, value in LLAMA.items() if name != key})


@pytest.mark.parametrize("text", ["[1]", "{", "nothing", '{"num_hidden_layers": 1e9}'])
def test_files_that_are_no_config(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_shape(str(path))
    with pytest.raises(UsageError, match="no file"):
        load_shape(str(tmp_path / "absent.json"))


LLAMA_4: dict[str, Any] = {
    "text_config": {
        "model_type": "llama4_text",
        "num_hidden_layers": 48,
        "hidden_size": 5120,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "num_local_experts": 128,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 8192,
        "vocab_size": 202048,
        "max_position_embeddings": 1048576,
    }
}


def test_llama_4(tmp_path: Path) -> None:
    ours, known = shape(tmp_path, LLAMA_4), load_shape("llama-4-maverick")
    assert ours.total_parameters == known.total_parameters
    assert ours.active_parameters == known.active_parameters
    assert (ours.window, ours.window_layers) == (known.window, known.window_layers)


def test_blocks_without_a_gate(tmp_path: Path) -> None:
    found = shape(
        tmp_path,
        {
            "model_type": "gptj",
            "n_layer": 28,
            "n_embd": 4096,
            "n_head": 16,
            "n_inner": None,
            "n_positions": 2048,
            "vocab_size": 50400,
        },
    )
    assert found.total_parameters == load_shape("gpt-j-6b").total_parameters


def test_a_family_whose_windows_alternate(tmp_path: Path) -> None:
    config = {
        "model_type": "gemma2",
        "num_hidden_layers": 46,
        "hidden_size": 4608,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "intermediate_size": 36864,
        "sliding_window": 4096,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
    }
    assert shape(tmp_path, config).window_layers == 23
