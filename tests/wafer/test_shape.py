from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.shape import ModelShape, load_shape, shape_names

LLAMA = files("sparkcode.wafer").joinpath("models/llama-3.1-8b.toml").read_text()
OSS = files("sparkcode.wafer").joinpath("models/gpt-oss-120b.toml").read_text()


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("gpt-oss-120b", 116.8e9, 5.1e9),
        ("llama-3.1-8b", 8.03e9, 7.5e9),
        ("llama-3.1-70b", 70.6e9, 69.5e9),
        ("qwen2.5-coder-0.5b", 0.494e9, 0.494e9),
        ("qwen2.5-coder-1.5b", 1.54e9, 1.54e9),
    ],
)
def test_parameters_are_those_of_the_model_cards(name: str, total: float, active: float) -> None:
    shape = load_shape(name)
    assert shape.total_parameters == pytest.approx(total, rel=0.01)
    assert shape.active_parameters == pytest.approx(active, rel=0.01)


def test_names() -> None:
    assert "gpt-oss-120b" in shape_names()
    for name in shape_names():
        assert load_shape(name).name == name
    with pytest.raises(UsageError, match=r"unknown model 'gpt-9'; expected one of: .*gpt-oss-120b"):
        load_shape("gpt-9")


def test_bytes() -> None:
    shape = load_shape("llama-3.1-8b")
    assert shape.weight_bytes == pytest.approx(16.06e9, rel=0.001)
    assert shape.kv_bytes_per_token == 131_072
    assert shape.kv_bytes(1000) == 131_072_000


def test_windowed_layers_keep_their_window_only() -> None:
    shape = load_shape("gpt-oss-120b")
    assert shape.kv_bytes(100) == 100 * shape.kv_bytes_per_token
    assert shape.kv_bytes(1128) == pytest.approx((1128 + 128) / 2 * shape.kv_bytes_per_token)


def test_a_latent_cache_holds_one_vector() -> None:
    shape = load_shape("llama-3.1-8b")
    assert replace(shape, kv_tensors=1).kv_bytes_per_token == shape.kv_bytes_per_token / 2


def test_distinct_experts() -> None:
    shape = load_shape("gpt-oss-120b")
    assert shape.distinct_experts(1) == pytest.approx(4)
    assert 4 < shape.distinct_experts(4) < 16
    assert shape.distinct_experts(10_000) == pytest.approx(128)
    assert load_shape("llama-3.1-8b").distinct_experts(8) == 0


@settings(deadline=None, derandomize=True)
@given(
    length=st.integers(1, 200_000),
    window=st.integers(1, 5000),
    windowed=st.integers(0, 32),
    budget=st.integers(0, 40_000_000_000),
)
def test_the_longest_context_is_the_longest(
    length: int, window: int, windowed: int, budget: int
) -> None:
    shape = replace(
        load_shape("llama-3.1-8b"),
        context_length=length,
        window=window if windowed else 0,
        window_layers=windowed,
    )
    longest = shape.context_in(budget)
    assert 0 <= longest <= length
    assert shape.kv_bytes(longest) <= budget * (1 + 1e-9)
    if longest < length:
        assert shape.kv_bytes(longest + 2) > budget * (1 - 1e-9)


def test_no_room_is_no_context() -> None:
    assert load_shape("llama-3.1-8b").context_in(-1e9) == 0


def test_user_s_model_from_folder_and_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LLAMA)
    assert load_shape("mine", tmp_path) == load_shape(str(path))
    assert "mine" in shape_names(tmp_path)


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (LLAMA, "num_layers", "layers", "unknown key 'layers'; expected one of: .*num_layers"),
        (LLAMA, "num_layers = 32\n", "", "missing key 'num_layers'"),
        (
            LLAMA,
            "num_layers = 32",
            "num_layers = 0",
            "num_layers: 0 is impossible; .* 10000 layers",
        ),
        (LLAMA, "num_layers = 32", "num_layers = 1.5", "num_layers: 1.5 is a fraction"),
        (LLAMA, "num_layers", "gated = 0\nnum_layers", "gated: 0; expected true or false"),
        (LLAMA, 'draft = "none"', 'draft = "maybe"', "draft: 'maybe'; expected one of: none, head"),
        (LLAMA, 'source = "', 'source = "" # "', "source: ''; expected a line of text"),
        (LLAMA, 'source = "', '# source = "', "missing key 'source'"),
        (LLAMA, "intermediate_size = 14336\n", "", "intermediate_size is absent"),
        (LLAMA, "num_layers", "moe_fraction = 0.5\nnum_layers", "moe_fraction, num_experts"),
        (OSS, "num_experts = 128\n", "", "moe_fraction, num_experts"),
        (OSS, "moe_fraction = 1.0\n", "", "moe_fraction, num_experts"),
        (OSS, "moe_fraction = 1.0\n", "moe_fraction = 0.5\n", "intermediate_size is absent"),
        (OSS, "per_token = 4", "per_token = 129", "experts_per_token 129; expected at most .* 128"),
        (OSS, "window_layers = 18\n", "", "window 128 with window_layers 0; expected both"),
        (OSS, "window_layers = 18", "window_layers = 37", "window 128 .* at most 36 layers"),
    ],
)
def test_a_bad_file_names_file_key_and_cure(
    tmp_path: Path, text: str, old: str, new: str, problem: str
) -> None:
    assert old in text
    path = tmp_path / "bad.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=rf"bad\.toml: {problem}"):
        load_shape(str(path))


def test_a_shape_can_be_made_in_code() -> None:
    shape = ModelShape(
        name="tiny",
        num_layers=1,
        hidden_size=2,
        q_size=2,
        kv_size=1,
        intermediate_size=4,
        vocab_size=8,
        context_length=16,
    )
    assert shape.total_parameters == 2 * 6 + 3 * 2 * 4 + 2 * 16
