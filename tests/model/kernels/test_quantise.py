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
from tests.model.kernels.lines import FACTORS, check_factors
from tests.model.kernels.scalar import needs_avx2

pytestmark = needs_avx2


@pytest.fixture(scope="module", params=[8, 16])
def module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> CompiledModule:
    module = ir.Module("test")
    emit_quantise(module, lanes=request.param)
    folder: Path = tmp_path_factory.mktemp("quantise")
    return CompiledModule(
        str(module), cpu="x86-64-v3", folder=folder, name="test", say=lambda _: None
    )


@given(
    st.integers(1, 5),
    st.sampled_from([(1, 1), (4, 1), (8, 8), (24, 8)]),
    st.sampled_from([1.0, 1e-35, 1e30]),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_codes_and_factors(
    module: CompiledModule, rows: int, shape: tuple[int, int], size: float, seed: int
) -> None:
    blocks, span = shape
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, blocks * 32)).astype(np.float32) * np.float32(size)
    x[0] = np.where(x[0] > 0, size, -size) if seed % 2 else size
    codes = np.zeros((blocks, rows, 32), np.int8)
    factors = np.zeros((blocks, rows), FACTORS)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(module.address("quantise"))
    places = [array.ctypes.data for array in (codes, factors)]
    function(x.ctypes.data, x.strides[0], rows, blocks, span, *places)
    expected, steps = quantised(x, span)
    np.testing.assert_array_equal(codes.transpose(1, 0, 2), expected)
    np.testing.assert_array_equal(factors["a"].T, steps)
    check_factors(codes, factors)
