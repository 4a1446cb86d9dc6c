from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

import numpy as np
import pytest

from sparkcode.errors import ConfigError
from sparkcode.model.kernels import choice as room
from sparkcode.model.kernels import loading
from sparkcode.model.kernels.choice import (
    NEEDED,
    Choice,
    DenseBackend,
    choose_kernel,
    make_backend,
    processor_features,
)
from sparkcode.model.records import PackedMatrix, pack_records
from tests.model.kernels.scalar import needs_avx2
from tests.model.test_blocks import random_blocks

ABLE = NEEDED["avx2"] | {"sse2"}


def test_the_fastest_that_runs_is_chosen() -> None:
    assert choose_kernel({}, ABLE).name == "avx2"
    assert choose_kernel({}, ABLE - {"f16c"}).name == "numpy"
    assert choose_kernel({}, frozenset()).name == "numpy"
    assert choose_kernel({}, ABLE | {"avxvnni"}).name == "avxvnni"
    assert choose_kernel({}, NEEDED["avx512"] | {"avxvnni"}).name == "avx512"
    assert choose_kernel({}, NEEDED["avx512"] - {"avx512vnni"}).name == "avx2"


def test_the_environment_overrides() -> None:
    asked = "SPARKCODE_KERNEL asks for it"
    assert choose_kernel({"SPARKCODE_KERNEL": "numpy"}, ABLE) == Choice("numpy", asked)
    assert choose_kernel({"SPARKCODE_KERNEL": "avx2"}, ABLE) == Choice("avx2", asked)
    assert choose_kernel({"SPARKCODE_KERNEL": ""}, ABLE).name == "avx2"


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"names no kernel: 'mmx'; there are avx512, avxvnni, avx2, numpy$"
    ):
        choose_kernel({"SPARKCODE_KERNEL": "mmx"}, ABLE)


def test_a_kernel_that_would_fault_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'avx2', which this processor cannot run; .* numpy$"):
        choose_kernel({"SPARKCODE_KERNEL": "avx2"}, frozenset({"sse2"}))
    with pytest.raises(ConfigError, match=r"'avx512', which this .* avx2, numpy$"):
        choose_kernel({"SPARKCODE_KERNEL": "avx512"}, ABLE)


def test_other_processors_and_a_missing_compiler_have_no_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(platform, "machine", lambda: "arm64")
        assert processor_features() == frozenset()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    if importlib.util.find_spec("llvmlite"):
        assert "sse2" in processor_features()
    monkeypatch.setattr(room, "find_spec", lambda _: None)
    assert processor_features() == frozenset()


def test_numpy_expands_matrices_below_one_another() -> None:
    sources = random_blocks("q4", 20, 2, 1), random_blocks("q8", 7, 2, 2)
    parts = [
        PackedMatrix(source.kind, (len(source.codes), 64), pack_records(source))
        for source in sources
    ]
    x = np.eye(64, dtype=np.float32)
    expected = np.concatenate([part.dense() for part in parts]).T
    np.testing.assert_allclose(room.expand(parts).times(x), expected, atol=1e-6)


def test_numpy_needs_nothing_compiled(tmp_path: Path) -> None:
    backend = make_backend(Choice("numpy", ""), folder=tmp_path, say=lambda _: None)
    assert isinstance(backend, DenseBackend)
    assert not list(tmp_path.iterdir())


@needs_avx2
def test_avx2_is_compiled_once(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        make_backend(Choice("avx2", ""), folder=tmp_path, say=said.append)
    assert said == ["compiling the avx2 kernels (once)"]


@needs_avx2
def test_a_kernel_that_proves_wrong_gives_way_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "wrong_product", lambda _: "multiply_q5")
    said: list[str] = []
    backend = make_backend(Choice("avx2", ""), folder=tmp_path, say=said.append)
    assert isinstance(backend, DenseBackend)
    wrong = "multiply_q5 of the avx2 kernels gives wrong results here; it is not used"
    assert said == ["compiling the avx2 kernels (once)", wrong]
