from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.quantise import emit_quantise
from sparkcode.model.kernels.reference import quantised
from tests.model.kernels.scalar import needs_avx2

pytestmark = needs_avx2


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> CompiledModule:
    module = ir.Module("test")
    emit_quantise(module)
    folder: Path = tmp_path_factory.mktemp("quantise")
    return CompiledModule(
        str(module), cpu="x86-64-v3", folder=folder, name="test", say=lambda _: None
    )


@given(
    st.integers(1, 5), st.integers(1, 4), st.sampled_from([1.0, 1e-35, 1e30]), st.integers(0, 99)
)
@settings(deadline=None)
def test_codes_factors_and_pair_sums(
    module: CompiledModule, rows: int, blocks: int, size: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, blocks * 32)).astype(np.float32) * np.float32(size)
    x[0] = np.where(x[0] > 0, size, -size) if seed % 2 else size
    codes = np.zeros((blocks, rows, 32), np.int8)
    factors = np.zeros((blocks, rows, 2), np.float32)
    sums = np.zeros((blocks, rows, 2), np.int16)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(module.address("quantise"))
    places = [array.ctypes.data for array in (codes, factors, sums)]
    function(x.ctypes.data, x.strides[0], rows, blocks, *places)
    expected, steps = quantised(x)
    np.testing.assert_array_equal(codes.transpose(1, 0, 2), expected)
    np.testing.assert_array_equal(factors[..., 0].T, steps)
    offsets = expected.sum(axis=-1).astype(np.float32) * steps
    np.testing.assert_array_equal(factors[..., 1].T, offsets)
    pairs = expected.reshape(rows, blocks, 8, 2, 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(sums.transpose(1, 0, 2), pairs)
