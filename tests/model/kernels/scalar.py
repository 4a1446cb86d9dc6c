"""The products of quantised blocks, straight from their definition."""

from __future__ import annotations

import numpy as np
import pytest

from sparkcode.model.blocks import BLOCK, F32, Kind, Quantised, SuperBlocks
from sparkcode.model.kernels.choice import NEEDED, processor_features
from sparkcode.model.kernels.reference import fused, quantised

needs_avx2 = pytest.mark.skipif(
    not NEEDED["avx2"] <= processor_features(), reason="this processor cannot run AVX2 code"
)

ZERO: dict[Kind, int] = {"q4": 0, "q4k": 0, "q5": 16, "q6": 32, "q8": 128}


def numbers(weights: Quantised) -> tuple[F32, F32 | None]:
    """Scales and minima of a block, [N, K/32] each."""
    if isinstance(weights, SuperBlocks):
        d, dmin = (np.repeat(f.astype(np.float32), 8, axis=1) for f in (weights.d, weights.dmin))
        return d * weights.scales, dmin * weights.minima
    minima = weights.minima
    return weights.scales.astype(np.float32), None if minima is None else minima.astype(np.float32)


def product(weights: Quantised, x: F32) -> F32:
    """weights [N, K], x [T, K] -> [T, N]."""
    codes, scales = quantised(x)
    own = weights.codes.astype(np.int64).reshape(len(weights.codes), -1, BLOCK)
    own = own - ZERO[weights.kind]
    steps, minima = numbers(weights)
    total = np.zeros((len(x), len(own)), np.float32)
    for block in range(own.shape[1]):
        dot = (codes[:, block] @ own[:, block].T).astype(np.float32)  # exact integers, [T, N]
        a = scales[:, block, None]
        total = fused(dot, steps[:, block] * a, total)
        if minima is not None:
            sums = codes[:, block].sum(axis=-1).astype(np.float32)[:, None]
            total = fused(-minima[:, block], sums * a, total)
    return total
