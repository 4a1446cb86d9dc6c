from __future__ import annotations

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.model.blocks import EXACT_KINDS, Blocks, Kind, exact_blocks, round_to_q8
from tests.model.tiny import encode

ZERO = {"q4": 0, "q5": 16, "q8": 128}
RANGE = {"q4": 16, "q5": 32, "q8": 256}


def random_blocks(kind: Kind, rows: int, blocks: int, seed: int) -> Blocks:
    random = np.random.default_rng(seed)
    codes = random.integers(0, RANGE[kind], (rows, blocks * 32), dtype=np.uint8)
    scales = random.standard_normal((rows, blocks)).astype(np.float16)
    minima = random.standard_normal((rows, blocks)).astype(np.float16) if kind == "q4" else None
    return Blocks(kind, codes, scales, minima)


def weights_of(blocks: Blocks) -> npt.NDArray[np.float32]:
    """The values, straight from the definition."""
    codes = blocks.codes.astype(np.float32) - ZERO[blocks.kind]
    values = codes * np.repeat(blocks.scales.astype(np.float32), 32, axis=1)
    if blocks.minima is not None:
        values -= np.repeat(blocks.minima.astype(np.float32), 32, axis=1)
    return values


@pytest.mark.parametrize("encoding", sorted(EXACT_KINDS))
def test_codes_stand_for_the_files_values(encoding: str) -> None:
    random = np.random.default_rng(1)
    values = random.standard_normal((20, 512)).astype(np.float32)
    raw = encode(values, Type[encoding], random)
    blocks = exact_blocks(encoding, np.asarray(raw, np.uint8))
    assert blocks.kind == EXACT_KINDS[encoding]
    assert blocks.codes.max() < RANGE[blocks.kind]
    expected = gguf.dequantize(raw, Type[encoding])
    # Q4_K multiplies two scales, and the product is rounded to 16 bit.
    tolerance = 2**-10 * np.abs(expected).max() if encoding == "Q4_K" else 0
    np.testing.assert_allclose(weights_of(blocks), expected, atol=tolerance, rtol=0)


@given(st.integers(0, 5), st.floats(1e-6, 1e3))
def test_rounding_to_8_bit_is_within_half_a_step(seed: int, size: float) -> None:
    values = (np.random.default_rng(seed).standard_normal((3, 64)) * size).astype(np.float32)
    values[0, :32] = 0
    rounded = weights_of(round_to_q8(values))
    step = np.abs(values).reshape(3, 2, 32).max(axis=-1).repeat(32, axis=1) / 127
    # The scale itself is rounded to 16 bit: relative 2**-11, or absolute near its smallest value.
    assert (np.abs(rounded - values) <= step * 0.5 + step * 127 * 2**-11 + 127 * 2**-25).all()
