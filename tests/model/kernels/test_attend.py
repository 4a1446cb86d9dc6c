from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.blocks import F32
from sparkcode.model.cache import BLOCK_TOKENS
from sparkcode.model.kernels.attend import (
    ATTEND_FIELDS,
    BEHIND,
    CACHE_BLOCK,
    LINE_BYTES,
    MERGE_FIELDS,
    MOST_ROWS,
    SPLIT,
    UNIT_FIELDS,
)
from tests.model.kernels.lines import Bench, Fields, Rounding
from tests.model.kernels.scalar import needs_avx2
from tests.model.test_ops import normal, slow_attention

pytestmark = needs_avx2


@pytest.fixture(scope="module", params=[8, 16])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.getbasetemp() / "kernels", lanes=request.param)


def blocks_of(keys: F32, values: F32) -> list[F32]:
    """[G, N, S] each -> cache blocks [2, 2, G, 32, S]; what is not held is no number."""
    groups, positions, size = keys.shape
    blocks = []
    for first in range(0, positions, 32):
        block = np.full((2, 2, groups, 32, size), np.nan, np.float32)
        part = keys[:, first : first + 32]
        block[1, 0, :, : part.shape[1]] = part
        block[1, 1, :, : part.shape[1]] = values[:, first : first + 32]
        blocks.append(block)
    return blocks


def attention(bench: Bench, q: F32, keys: F32, values: F32, *, tile: int = 1) -> F32:
    """q [T, H, S], keys and values [G, N, S] -> [T, H * S], ``tile`` rows at a time."""
    (rows, heads, size), (groups, positions, _) = q.shape, keys.shape
    blocks = blocks_of(keys, values)
    table = np.array([block.ctypes.data for block in blocks])
    start, splits = positions - rows, (positions - 1) // SPLIT + 1
    units = []
    for first in range(0, rows, tile):
        end = min(first + tile, rows)
        for split in range((start + end - 1) // SPLIT + 1):
            row = max(first, split * SPLIT - start)
            units += [(row, end - row, table.ctypes.data, start + row, g, split) for g in
                      range(groups)]  # fmt: skip
    listed = np.array(units, np.int64)
    assert listed.shape[1] == len(UNIT_FIELDS)
    scaled = (q * np.float32(size**-0.5)).astype(np.float32)
    partials = np.full((rows, splits, heads, size + BEHIND), np.nan, np.float32)
    scores = np.empty(bench.team.size * heads * MOST_ROWS * LINE_BYTES, np.uint8)
    seen = np.arange(start, positions)
    step: Fields = {
        "rows": rows,
        "attend_units": len(listed),
        "units": listed,
        "partials": partials,
        "splits": splits,
        "scores": scores,
        "positions": seen,
    }
    fields: Fields = {
        "q": scaled,
        "q_stride": 4 * heads * size,
        "layer": blocks[0].strides[0],
        "groups": groups,
        "shared": heads // groups,
        "vectors": size // 8,
        "values": blocks[0].strides[1],
        "group_stride": blocks[0].strides[2],
        "units": np.array([len(listed)]),
    }
    bench.run("attend", ATTEND_FIELDS, fields, step=step, units="attend_units")
    padded = -(-heads * size // 64) * 64
    out = np.zeros((rows, padded), np.float32)
    merge: Fields = {
        "out": out,
        "stride": 4 * padded,
        "heads": heads,
        "vectors": size // 8,
        "rows": np.arange(rows),
    }
    job = Rounding(rows, padded // 32)
    bench.run("merge", MERGE_FIELDS, merge, step=step, units="rows", job=job)
    if np.isfinite(out).all():
        np.testing.assert_allclose(job.values(), out, atol=float(np.abs(out).max()) / 250)
    return out[:, : heads * size]


@given(
    st.integers(1, 20),
    st.integers(0, 70),
    st.integers(1, 3),
    st.integers(1, 7),
    st.sampled_from([16, 48, 64]),
    st.sampled_from([0.1, 1.0, 30.0]),
)
@settings(deadline=None)
def test_attention_equals_its_definition(
    bench: Bench, rows: int, before: int, groups: int, shared: int, size: int, spread: float
) -> None:
    q = normal(rows, groups * shared, size) * np.float32(spread)
    keys, values = (normal(groups, before + rows, size, seed=seed) for seed in (1, 2))
    found = attention(bench, q, keys, values, tile=3)
    np.testing.assert_allclose(found, slow_attention(q, keys, values), atol=1e-4)


@pytest.mark.parametrize("positions", [SPLIT, SPLIT + 1, 3 * SPLIT + 5])
def test_long_contexts_are_cut_and_joined(bench: Bench, positions: int) -> None:
    q, keys, values = normal(7, 4, 16) * np.float32(3), *normal(2, 2, positions, 16, seed=1)
    found = attention(bench, q, keys, values, tile=8)
    np.testing.assert_allclose(found, slow_attention(q, keys, values), atol=1e-5)


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("positions", [77, SPLIT + 20])
def test_a_row_does_not_depend_on_those_beside_it(bench: Bench, size: int, positions: int) -> None:
    q, (keys, values) = normal(50, 6, size), normal(2, 2, positions, size, seed=1)
    whole = attention(bench, q, keys, values, tile=8)
    for row in range(0, 50, 7):
        seen = positions - 50 + row + 1
        alone = attention(bench, q[row : row + 1], keys[:, :seen], values[:, :seen])
        np.testing.assert_array_equal(alone[0], whole[row])


def test_what_is_no_number_reaches_only_the_rows_that_see_it(bench: Bench) -> None:
    q, keys, values = normal(3, 2, 16), normal(1, 3, 16, seed=1), normal(1, 3, 16, seed=2)
    values[0, 2] = np.nan
    found = attention(bench, q, keys, values)
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2]).all()


def test_blocks_are_those_of_the_cache() -> None:
    assert CACHE_BLOCK == BLOCK_TOKENS
    assert SPLIT % CACHE_BLOCK == 0
