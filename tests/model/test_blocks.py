from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sparkcode.model.blocks import Blocks, Kind, Quantised, SuperBlocks

ZERO = {"q4": 0, "q5": 16, "q6": 32, "q8": 128}
RANGE = {"q4": 16, "q4k": 16, "q5": 32, "q6": 64, "q8": 256}
KINDS: tuple[Kind, ...] = ("q4", "q4k", "q5", "q6", "q8")


def random_blocks(kind: Kind, rows: int, blocks: int, seed: int) -> Quantised:
    """``blocks`` blocks of 32 weights a row; for q4k, rounded up to a multiple of eight."""
    random = np.random.default_rng(seed)
    if kind == "q4k":
        blocks += -blocks % 8
    codes = random.integers(0, RANGE[kind], (rows, blocks * 32), dtype=np.uint8)
    if kind == "q4k":
        scales, minima = random.integers(0, 64, (2, rows, blocks), dtype=np.uint8)
        d, dmin = random.standard_normal((2, rows, blocks // 8)).astype(np.float16)
        return SuperBlocks(codes, scales, minima, d, dmin)
    halves = random.standard_normal((2, rows, blocks)).astype(np.float16)
    return Blocks(kind, codes, halves[0], halves[1] if kind == "q4" else None)


def weights_of(blocks: Quantised) -> npt.NDArray[np.float32]:
    """The values, straight from the definition."""
    if isinstance(blocks, SuperBlocks):
        codes = blocks.codes.astype(np.float32)
        d, dmin = (np.repeat(f.astype(np.float32), 256, axis=1) for f in (blocks.d, blocks.dmin))
        s, m = (np.repeat(i.astype(np.float32), 32, axis=1) for i in (blocks.scales, blocks.minima))
        return d * s * codes - dmin * m
    codes = blocks.codes.astype(np.float32) - ZERO[blocks.kind]
    values = codes * np.repeat(blocks.scales.astype(np.float32), 32, axis=1)
    if blocks.minima is not None:
        values -= np.repeat(blocks.minima.astype(np.float32), 32, axis=1)
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_definition(kind: Kind) -> None:
    blocks = random_blocks(kind, 5, 8, 1)
    np.testing.assert_array_equal(blocks.values(), weights_of(blocks))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_noticed(kind: Kind, bad: float) -> None:
    blocks = random_blocks(kind, 5, 8, 1)
    assert blocks.finite()
    factors = blocks.d if isinstance(blocks, SuperBlocks) else blocks.scales
    factors[3, -1] = bad
    assert not blocks.finite()


@pytest.mark.parametrize("kind", ["q4", "q4k"])
def test_minima_that_are_no_numbers_are_noticed(kind: Kind) -> None:
    blocks = random_blocks(kind, 5, 8, 1)
    minima = blocks.dmin if isinstance(blocks, SuperBlocks) else blocks.minima
    assert minima is not None
    minima[0, 0] = np.inf
    assert not blocks.finite()
