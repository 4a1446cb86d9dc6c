from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model import ops
from sparkcode.model.ops import (
    DenseMatrix,
    attention,
    linear,
    rms_norm,
    rope,
    rope_angles,
    softmax,
    swiglu,
)

F32 = npt.NDArray[np.float32]


def normal(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 3, 4, 20])
def test_linear_is_the_matrix_product(rows: int) -> None:
    x, w, bias = normal(rows, 24), normal(10, 24, seed=1), normal(10, seed=2)
    expected = np.einsum("tk,nk->tn", x.astype(np.float64), w)
    np.testing.assert_allclose(linear(x, DenseMatrix(w)), expected, atol=1e-5)
    np.testing.assert_allclose(linear(x, DenseMatrix(w), bias), expected + bias, atol=1e-5)


def test_a_few_rows_are_each_computed_as_alone() -> None:
    x, w = normal(3, 64), DenseMatrix(normal(48, 64, seed=1))
    together = linear(x, w)
    for row in range(3):
        np.testing.assert_array_equal(together[row], linear(x[row : row + 1], w)[0])


def test_rms_norm_gives_rows_a_mean_square_of_one() -> None:
    y = rms_norm(normal(5, 64) * 7, np.ones(64, np.float32), 1e-6)
    np.testing.assert_allclose(np.square(y).mean(axis=-1), 1, rtol=1e-5)
    assert y.dtype == np.float32
    assert not rms_norm(np.zeros((1, 8), np.float32), np.ones(8, np.float32), 1e-6).any()


def test_softmax_sums_to_one_and_takes_any_size() -> None:
    p = softmax(np.array([[1e30, 1e30, -np.inf], [-1e30, 0, 1]], np.float32))
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(p[0], [0.5, 0.5, 0])


def test_swiglu_is_its_definition_and_never_overflows() -> None:
    gate = np.array([[-1e30, -200, -3, -0.5, 0, 0.5, 3, 200]], np.float32)
    up = np.full_like(gate, 2)
    with np.errstate(over="ignore"):
        expected = 2 * gate.astype(np.float64) / (1 + np.exp(-gate.astype(np.float64)))
    with np.errstate(all="raise", under="ignore"):
        y = swiglu(gate, up)
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize("style", ["neox", "normal"])
def test_rope_rotates_pairs(style: Literal["neox", "normal"]) -> None:
    inverse = np.array([1.0, 0.5, 0.1], np.float32)
    x = normal(4, 2, 6)
    y = rope(x, *rope_angles(3, 4, inverse, 2.0), style)
    pairs = [(0, 3), (1, 4), (2, 5)] if style == "neox" else [(0, 1), (2, 3), (4, 5)]
    for t in range(4):
        for i, (a, b) in enumerate(pairs):
            turn = np.exp(1j * (3 + t) / 2.0 * inverse[i])
            expected = (x[t, :, a] + 1j * x[t, :, b]) * turn
            np.testing.assert_allclose(y[t, :, a] + 1j * y[t, :, b], expected, atol=1e-6)


@given(st.integers(0, 20_000), st.integers(0, 500))
@settings(deadline=None)
def test_rotated_products_depend_on_the_distance_alone(position: int, distance: int) -> None:
    inverse = (10000.0 ** -(np.arange(8) / 8)).astype(np.float32)
    q, k = normal(1, 1, 16), normal(1, 1, 16, seed=1)

    def product(first: int) -> float:
        a = rope(q, *rope_angles(first + distance, 1, inverse), "neox")
        return float((a * rope(k, *rope_angles(first, 1, inverse), "neox")).sum())

    assert product(position) == pytest.approx(product(0), abs=1e-4)


def slow_attention(q: F32, keys: F32, values: F32) -> npt.NDArray[np.float64]:
    t, h, s = q.shape
    g, n, _ = keys.shape
    out = np.zeros((t, h, s))
    for row in range(t):
        seen = n - t + row + 1
        for head in range(h):
            kv = head // (h // g)
            scores = keys[kv, :seen].astype(np.float64) @ q[row, head] / np.sqrt(s)
            e = np.exp(scores - scores.max())
            out[row, head] = (e / e.sum()) @ values[kv, :seen]
    return out.reshape(t, h * s)


@pytest.mark.parametrize("limit", [1 << 22, 4 * 30 * 3, 1])
@pytest.mark.parametrize(("t", "n"), [(1, 1), (1, 30), (7, 30), (30, 30)])
def test_attention_equals_its_definition_however_it_is_cut(
    t: int, n: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "_SCORE_ELEMENTS", limit)
    q, keys, values = normal(t, 4, 8), normal(2, n, 8, seed=1), normal(2, n, 8, seed=2)
    np.testing.assert_allclose(
        attention(q, keys, values), slow_attention(q, keys, values), atol=1e-5
    )
