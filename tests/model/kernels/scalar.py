"""The products of quantised blocks, straight from their definition."""

from __future__ import annotations

import numpy as np
import pytest

from sparkcode.model.blocks import BLOCK, F32, Blocks, Kind
from sparkcode.model.kernels.choice import NEEDED, KernelName, processor_features
from sparkcode.model.kernels.instructions import INSTRUCTION_SETS
from sparkcode.model.kernels.reference import fused, quantised


def needs(kernel: KernelName) -> pytest.MarkDecorator:
    """Skip where this processor cannot run the kernel's code."""
    able = NEEDED[kernel] <= processor_features()
    return pytest.mark.skipif(not able, reason=f"this processor cannot run {kernel} code")


needs_avx2 = needs("avx2")
COMPILED = [pytest.param(isa.name, marks=needs(isa.name)) for isa in INSTRUCTION_SETS]
"""Names of the compiled kernels."""
SETS = [pytest.param(isa, marks=needs(isa.name), id=isa.name) for isa in INSTRUCTION_SETS]
"""Their instruction sets."""

ZERO: dict[Kind, int] = {"q4": 0, "q5": 16, "q8": 128}


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
