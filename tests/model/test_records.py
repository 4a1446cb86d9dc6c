from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.blocks import Blocks, Kind, SuperBlocks
from sparkcode.model.records import RECORD_BYTES, PackedMatrix, pack_records, record_grid
from tests.model.test_blocks import random_blocks, weights_of

kinds = st.sampled_from(sorted(RECORD_BYTES))


@given(kinds, st.integers(1, 40), st.integers(1, 5), st.integers(0, 9), st.data())
@settings(deadline=None)
def test_records_give_the_weights_back_exactly(
    kind: Kind, rows: int, blocks: int, seed: int, data: st.DataObject
) -> None:
    source = random_blocks(kind, rows, blocks, seed)
    records = pack_records(source)
    shape = source.codes.shape
    assert records.shape == record_grid(kind, shape)
    matrix = PackedMatrix(kind, shape, records)
    expected = weights_of(source)
    np.testing.assert_array_equal(matrix.dense(), expected)
    ids = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=5))
    np.testing.assert_array_equal(matrix.rows(ids), expected[ids])


def test_many_records_are_expanded_piece_by_piece() -> None:
    source = random_blocks("q5", 16 * 1100, 2, 3)
    matrix = PackedMatrix("q5", source.codes.shape, pack_records(source))
    np.testing.assert_array_equal(matrix.dense(), weights_of(source))


def test_a_record_is_laid_out_as_documented() -> None:
    codes = np.arange(16 * 64, dtype=np.int64).reshape(16, 64) % 256
    scales = np.arange(32, dtype=np.float16).reshape(16, 2)
    record = pack_records(Blocks("q8", codes.astype(np.uint8), scales))[0, 0]
    halves = record[:64].view(np.float16).reshape(2, 16)
    np.testing.assert_array_equal(halves, scales.T)
    vectors = record[64:].reshape(2, 8, 16, 4)
    row, block, j, lane = 5, 1, 3, 2
    assert vectors[block, j, row, lane] == codes[row, block * 32 + 4 * j + lane]


def test_a_record_of_q4k_is_laid_out_as_documented() -> None:
    source = random_blocks("q4k", 16, 8, 4)
    assert isinstance(source, SuperBlocks)
    record = pack_records(source)[0, 0]
    assert len(record) == RECORD_BYTES["q4k"] == 2368
    np.testing.assert_array_equal(record[:32].view(np.float16), source.d[:, 0])
    np.testing.assert_array_equal(record[32:64].view(np.float16), source.dmin[:, 0])
    np.testing.assert_array_equal(record[64:192].reshape(8, 16), source.scales.T)
    np.testing.assert_array_equal(record[192:320].reshape(8, 16), source.minima.T)
    lines = record[320:].reshape(8, 4, 16, 4)
    row, block, vector, lane = 5, 6, 3, 2
    found = lines[block, vector // 2, row, lane] >> 4  # an odd vector: the upper four bits
    assert found == source.codes[row, block * 32 + 4 * vector + lane]


def test_a_record_of_q6_is_laid_out_as_documented() -> None:
    source = random_blocks("q6", 16, 2, 4)
    record = pack_records(source)[0, 0]
    assert len(record) == RECORD_BYTES["q6"] == 832
    low = record[64:576].reshape(2, 4, 16, 4)
    high = record[576:].reshape(2, 2, 16, 4)
    row, block, vector, lane = 5, 1, 6, 2  # an even vector: the lower four bits
    found = low[block, vector // 2, row, lane] & 15
    found |= (high[block, vector // 4, row, lane] >> 2 * (vector % 4) & 3) << 4
    assert found == source.codes[row, block * 32 + 4 * vector + lane]
