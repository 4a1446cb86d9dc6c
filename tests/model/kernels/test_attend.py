from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from sparkcode.model.blocks import F32
from sparkcode.model.kernels.attend import exp
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.instructions import AVX2
from sparkcode.model.kernels.product import Kernel
from sparkcode.model.kernels.vocabulary import FLOATS, Emitter
from tests.model.kernels.scalar import needs_avx2
from tests.model.test_ops import normal, slow_attention

pytestmark = needs_avx2


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return Kernel(tmp_path_factory.mktemp("kernels"), threads=2, say=lambda _: None)


@given(
    st.integers(1, 20),
    st.integers(0, 40),
    st.integers(1, 3),
    st.integers(1, 7),
    st.sampled_from([8, 24, 64, 6]),
    st.sampled_from([0.1, 1.0, 30.0]),
)
@settings(deadline=None)
def test_attention_equals_its_definition(
    kernel: Kernel, rows: int, before: int, groups: int, shared: int, size: int, spread: float
) -> None:
    q = normal(rows, groups * shared, size) * np.float32(spread)
    keys, values = (normal(groups, before + rows, size, seed=seed) for seed in (1, 2))
    found = kernel.attention(q, keys, values)
    np.testing.assert_allclose(found, slow_attention(q, keys, values), atol=1e-4)


@pytest.mark.parametrize("size", [16, 64, 128])
def test_a_row_does_not_depend_on_those_beside_it(kernel: Kernel, size: int) -> None:
    q = normal(50, 6, size)
    room = normal(2, 2, 100, size, seed=1)  # a cache that has places left
    keys, values = room[0, :, :77], room[1, :, :77]
    whole = kernel.attention(q, keys, values)
    for row in range(50):
        seen = 77 - 50 + row + 1
        alone = kernel.attention(q[row : row + 1], keys[:, :seen], values[:, :seen])
        np.testing.assert_array_equal(alone[0], whole[row])


def test_arrays_may_lie_anyhow(kernel: Kernel) -> None:
    q = normal(8, 3, 4)[..., :].transpose(1, 2, 0)  # [3, 4, 8], strided
    keys = normal(8, 2, 9, seed=1).transpose(1, 2, 0)  # [2, 9, 8]
    values = normal(2, 9, 16, seed=2)[..., ::2]
    found = kernel.attention(q, keys, values)
    np.testing.assert_allclose(found, slow_attention(q, keys, values), atol=1e-5)


def test_what_is_no_number_reaches_only_the_rows_that_see_it(kernel: Kernel) -> None:
    q, keys, values = normal(3, 2, 8), normal(1, 3, 8, seed=1), normal(1, 3, 8, seed=2)
    values[0, 2] = np.nan
    found = kernel.attention(q, keys, values)
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2]).all()


def test_exp_is_accurate_and_ends_in_zero(tmp_path: Path) -> None:
    module = ir.Module("test")
    e = Emitter(module, "test", 2)
    source, out = e.arguments
    e.store(exp(e, e.load(FLOATS, source)), out)
    e.finish()
    code = CompiledModule(
        str(module), cpu=AVX2.cpu, folder=tmp_path, name="exp", say=lambda _: None
    )
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(code.address("test"))

    def powers(x: F32) -> F32:
        out = np.empty(8, np.float32)
        function(x.ctypes.data, out.ctypes.data)
        return out

    for start in np.linspace(-86, 0, 500):
        x = np.minimum(np.float32(start) + np.linspace(0, 0.2, 8, dtype=np.float32), 0)
        np.testing.assert_allclose(powers(x), np.exp(x.astype(np.float64)), rtol=3e-7)
    np.testing.assert_array_equal(powers(np.full(8, -1e30, np.float32)), np.zeros(8))
    np.testing.assert_array_equal(powers(np.zeros(8, np.float32)), np.ones(8))
