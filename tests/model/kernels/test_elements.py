from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from sparkcode.model import ops
from sparkcode.model.blocks import F32
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.elements import (
    GATE_FIELDS,
    NORM_FIELDS,
    ROPE_FIELDS,
    exp,
)
from sparkcode.model.kernels.flow import StepEmitter
from sparkcode.model.kernels.instructions import AVX2
from sparkcode.model.kernels.program import float_bits
from sparkcode.model.kernels.reference import quantised
from sparkcode.model.kernels.vocabulary import FLOATS
from tests.model.kernels.lines import Bench, Fields, Rounding
from tests.model.kernels.scalar import needs_avx2
from tests.model.test_ops import normal

pytestmark = needs_avx2


@pytest.fixture(scope="module", params=[8, 16])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.getbasetemp() / "kernels", lanes=request.param)


def close(found: F32, expected: F32) -> None:
    """Equal but for the rounding to 8 bit."""
    codes, scales = quantised(expected)
    half = np.repeat(scales, codes.shape[-1], axis=-1).reshape(expected.shape) * np.float32(0.51)
    assert (np.abs(found - expected) <= half + 1e-6).all()


@pytest.mark.parametrize(("rows", "size"), [(1, 64), (3, 100), (70, 320)])
def test_a_norm_adds_scales_and_rounds(bench: Bench, rows: int, size: int) -> None:
    padded = -(-size // 64) * 64
    x, y, weight = (np.zeros((n, padded), np.float32) for n in (rows, rows, 1))
    x[:, :size], y[:, :size] = normal(rows, size), normal(rows, size, seed=1)
    weight[:, :size] = normal(1, size, seed=2)
    total = x + y
    job = Rounding(rows, padded // 32)
    order = np.arange(rows)
    fields: Fields = {
        "x": x,
        "x_stride": 4 * padded,
        "y": y,
        "y_stride": 4 * padded,
        "rows": order,
        "weight": weight,
        "inverse_size": float_bits(1 / size),
        "eps": float_bits(1e-6),
    }
    bench.run("norm", NORM_FIELDS, fields, step={"rows": rows}, units="rows", job=job)
    np.testing.assert_array_equal(x, total)
    expected = np.zeros((rows, padded), np.float32)
    expected[:, :size] = ops.rms_norm(total[:, :size], weight[0, :size], 1e-6)
    close(job.values(), expected)


def test_a_norm_of_some_rows(bench: Bench) -> None:
    x, nothing, ones = normal(9, 64), np.zeros(64, np.float32), np.ones(64, np.float32)
    wanted = np.array([7, 2])
    job = Rounding(2, 2)
    fields: Fields = {
        "x": x,
        "x_stride": 256,
        "y": nothing,
        "y_stride": 0,
        "rows": wanted,
        "weight": ones,
        "inverse_size": float_bits(1 / 64),
        "eps": float_bits(0),
    }
    bench.run("norm", NORM_FIELDS, fields, step={"rows": 2}, units="rows", job=job)
    close(job.values(), ops.rms_norm(x[wanted], ones, 0.0))


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None)
def test_a_gate_is_divided_anyhow(bench: Bench, rows: int, pairs: int, pieces: int) -> None:
    blocks = 2 * pairs
    chunk = -(-blocks // pieces)
    pieces = -(-blocks // chunk)
    source = normal(rows, 2 * 32 * blocks) * np.float32(5)
    job = Rounding(rows, blocks)
    fields: Fields = {
        "source": source,
        "stride": source.strides[0],
        "up": 4 * 32 * blocks,
        "pieces": pieces,
        "chunk": chunk,
    }
    step: Fields = {"pieces": rows * pieces}
    bench.run("gate", GATE_FIELDS, fields, step=step, units="pieces", job=job)
    close(job.values(), ops.swiglu(source[:, : 32 * blocks], source[:, 32 * blocks :]))


def test_extreme_gates_neither_overflow_nor_vanish(bench: Bench) -> None:
    source = np.ones((1, 128), np.float32)
    source[0, :64] = np.repeat([-1e30, -80, 80, 1e30], 16)
    job = Rounding(1, 2)
    fields: Fields = {"source": source, "stride": 512, "up": 256, "pieces": 1, "chunk": 2}
    bench.run("gate", GATE_FIELDS, fields, step={"pieces": 1}, units="pieces", job=job)
    found = job.values()[0]
    np.testing.assert_allclose(found[:32], 0, atol=1e-20)
    np.testing.assert_allclose(found[48:], 1e30, rtol=1e-6)


@pytest.mark.parametrize("style", ["neox", "normal"])
@pytest.mark.parametrize(("groups", "shared", "size"), [(2, 7, 64), (1, 1, 16), (3, 2, 48)])
def test_rotation_and_the_cache(
    bench: Bench, style: str, groups: int, shared: int, size: int
) -> None:
    rows, heads = 5, groups * shared
    qkv, bias = normal(rows, (heads + 2 * groups) * size), normal((heads + 2 * groups) * size)
    q = np.zeros((rows, heads * size), np.float32)
    block = np.zeros((2, 2, groups, 32, size), np.float32)  # [L, 2, G, 32, S]
    frequencies = np.linspace(1, 0.01, size // 2, dtype=np.float32)
    cos, sin = ops.rope_angles(9, rows, frequencies)
    turn, other = np.zeros((2, rows, size), np.float32)
    half = size // 2
    first, second = (
        (slice(half), slice(half, None))
        if style == "neox"
        else (
            slice(0, None, 2),
            slice(1, None, 2),
        )
    )
    turn[:, first], turn[:, second], other[:, first], other[:, second] = cos, cos, -sin, sin
    places = block.ctypes.data + (9 + np.arange(rows)) * 4 * size
    fields: Fields = {
        "qkv": qkv,
        "stride": qkv.strides[0],
        "bias": bias,
        "q": q,
        "q_stride": q.strides[0],
        "layer": block.strides[0],
        "groups": groups,
        "shared": shared,
        "vectors": size // 8,
        "values": block.strides[1],
        "group_stride": block.strides[2],
        "scale": float_bits(0.5),
    }
    step: Fields = {"row_groups": rows * groups, "cos": turn, "sin": other, "places": places}
    bench.run(f"rope_{style}", ROPE_FIELDS, fields, step=step, units="row_groups")
    whole = (qkv + bias).reshape(rows, -1, size)
    turned = ops.rope(whole, cos, sin, "neox" if style == "neox" else "normal")
    np.testing.assert_allclose(q.reshape(rows, heads, size), turned[:, :heads] / 2, atol=1e-6)
    found = block[1, :, :, 9 : 9 + rows].transpose(0, 2, 1, 3)
    np.testing.assert_allclose(found[0], turned[:, heads : heads + groups], atol=1e-6)
    np.testing.assert_array_equal(found[1], whole[:, heads + groups :])
    assert not block[0].any()
    assert not block[1, :, :, :9].any()
    assert not block[1, :, :, 9 + rows :].any()


def test_exp_is_accurate_and_ends_in_zero(tmp_path: Path) -> None:
    module = ir.Module("test")
    e = StepEmitter(module, "test", 2)
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
