"""What the kernels compute, one block at a time, in the same order and precision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sparkcode.model.blocks import BLOCK, F32, Blocks, Kind
from sparkcode.model.kernels.choice import NEEDED, processor_features

needs_avx2 = pytest.mark.skipif(
    not NEEDED["avx2"] <= processor_features(), reason="this processor cannot run AVX2 code"
)

ZERO: dict[Kind, int] = {"q4": 0, "q5": 16, "q8": 128}


def quantised(x: F32) -> tuple[npt.NDArray[np.int64], F32]:
    """x [T, K] -> codes [T, K/32, 32], scales [T, K/32]."""
    blocks = x.reshape(len(x), -1, BLOCK)
    largest = np.abs(blocks).max(axis=-1)
    inverse = np.zeros_like(largest)
    np.divide(np.float32(127), largest, out=inverse, where=largest > 1e-30)
    codes = np.rint(blocks * inverse[..., None]).astype(np.int64)
    return codes, largest / np.float32(127)


def fused(a: F32, b: F32, c: F32) -> F32:
    """a * b + c, rounded once: to odd in float64, which is precise enough to round again."""
    product = a.astype(np.float64) * b.astype(np.float64)  # exact
    wide = c.astype(np.float64)
    total = product + wide
    part = total - product
    rest = (product - (total - part)) + (wide - part)  # what the sum lost, exactly
    even = total.view(np.int64) % 2 == 0
    odd = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
    return np.where((rest != 0) & even & np.isfinite(total), odd, total).astype(np.float32)


def product(weights: Blocks, x: F32) -> F32:
    """weights [N, K], x [T, K] -> [T, N]."""
    codes, scales = quantised(x)
    own = weights.codes.astype(np.int64).reshape(len(weights.codes), -1, BLOCK)
    own = own - ZERO[weights.kind]
    total = np.zeros((len(x), len(own)), np.float32)
    for block in range(own.shape[1]):
        dot = (codes[:, block] @ own[:, block].T).astype(np.float32)  # exact integers, [T, N]
        a = scales[:, block, None]
        total = fused(dot, weights.scales[:, block].astype(np.float32) * a, total)
        if weights.minima is not None:
            sums = codes[:, block].sum(axis=-1).astype(np.float32)[:, None]
            total = fused(-weights.minima[:, block].astype(np.float32), sums * a, total)
    return total
