from __future__ import annotations

import gguf
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType as Type
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.ggml import BLOCK_BYTES, EXACT_KINDS, READABLE, decode, exact_blocks
from tests.model.test_blocks import RANGE, weights_of

FACTORS = {"Q6_K": (208,), "Q8_0": (0,), "Q5_0": (0,), "Q4_0": (0,)}
"""Bytes of a block where its 16-bit floats begin; (0, 2) for those not named."""


def random_rows(encoding: str, seed: int, rows: int = 7) -> npt.NDArray[np.uint8]:
    """Rows of 512 weights: any bytes, but factors that are numbers of a usual size."""
    random = np.random.default_rng(seed)
    each = gguf.GGML_QUANT_SIZES[Type[encoding]][0]
    shape = (rows, 512 // each, BLOCK_BYTES[encoding])
    raw = random.integers(0, 256, shape, dtype=np.uint8)
    for at in FACTORS.get(encoding, (0, 2)):
        factors = (random.standard_normal(shape[:2]) * 0.01).astype(np.float16)
        raw[..., at : at + 2] = factors[..., None].view(np.uint8)
    return raw.reshape(rows, -1)


def test_block_sizes_are_ggmls() -> None:
    for encoding, size in BLOCK_BYTES.items():
        assert gguf.GGML_QUANT_SIZES[Type[encoding]][1] == size


@given(st.sampled_from(sorted(BLOCK_BYTES)), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_any_bytes_become_the_same_numbers_as_ggmls(encoding: str, seed: int) -> None:
    rows = random_rows(encoding, seed)
    expected = gguf.dequantize(rows, Type[encoding])
    np.testing.assert_array_equal(decode(encoding, rows), expected)


@given(st.sampled_from(sorted(EXACT_KINDS)), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_kept_codes_stand_for_the_same_numbers(encoding: str, seed: int) -> None:
    rows = random_rows(encoding, seed)
    blocks = exact_blocks(encoding, rows)
    assert blocks.codes.max() < RANGE[EXACT_KINDS[encoding]]
    np.testing.assert_array_equal(weights_of(blocks), gguf.dequantize(rows, Type[encoding]))


@pytest.mark.parametrize("encoding", sorted(READABLE - BLOCK_BYTES.keys()))
def test_plain_numbers(encoding: str) -> None:
    values = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    raw = gguf.quantize(values, Type[encoding])
    found = decode(encoding, raw)
    assert found.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(found, gguf.dequantize(raw, Type[encoding]))
