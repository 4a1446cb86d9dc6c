from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.blocks import F32, Blocks, Kind, Quantised
from sparkcode.model.kernels import reference
from sparkcode.model.kernels.instructions import InstructionSet
from sparkcode.model.kernels.product import Kernel
from sparkcode.model.records import RECORD_BYTES, PackedMatrix, pack_records
from tests.model.kernels.scalar import SETS, needs_avx2
from tests.model.test_blocks import random_blocks

pytestmark = needs_avx2

TOP: dict[Kind, int] = {"q4": 15, "q5": 31, "q6": 63, "q8": 255}
kinds = st.sampled_from(sorted(RECORD_BYTES))


@pytest.fixture(scope="module", params=SETS)
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    folder, isa = tmp_path_factory.getbasetemp() / "kernels", request.param
    assert isinstance(isa, InstructionSet)
    return Kernel(folder, isa=isa, threads=2, say=lambda _: None)


def packed(source: Quantised) -> PackedMatrix:
    rows, columns = source.codes.shape
    return PackedMatrix(source.kind, (rows, columns), pack_records(source))


def product(source: Quantised, x: F32, span: int = 1) -> F32:
    records = pack_records(source)
    return reference.product(source.kind, records, x, span=span)[:, : len(source.codes)]


def normal(rows: int, columns: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


@given(kinds, st.integers(1, 50), st.integers(1, 7), st.integers(1, 70), st.integers(0, 99))
@settings(deadline=None)
def test_products_equal_the_scalar_reference(
    kernel: Kernel, kind: Kind, rows: int, blocks: int, steps: int, seed: int
) -> None:
    source = random_blocks(kind, rows, blocks, seed)
    x = normal(steps, source.codes.shape[1], seed)
    found = kernel.matrix([packed(source)]).times(x)
    np.testing.assert_array_equal(found, product(source, x))


@given(st.sampled_from(sorted(TOP)), st.integers(1, 5), st.integers(1, 3), st.data())
@settings(deadline=None)
def test_extreme_codes_and_scales_do_not_overflow(
    kernel: Kernel, kind: Kind, blocks: int, steps: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    ends = data.draw(st.sampled_from([[0], [TOP[kind]], [0, TOP[kind]], [1, TOP[kind]]]))
    codes = random.choice(ends, (17, blocks * 32)).astype(np.uint8)
    halves = np.array([0, -0.0, 6e-8, -6e-8, 65504, -65504, 1], np.float16)
    scales, minima = random.choice(halves, (2, 17, blocks))
    source = Blocks(kind, codes, scales, minima if kind == "q4" else None)
    values = data.draw(
        st.sampled_from([[1.0], [-1.0], [1.0, -1.0], [0.0], [1e-38, -3e-31], [3e30]])
    )
    x = random.choice(values, (steps, blocks * 32)).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        expected = product(source, x)
    np.testing.assert_array_equal(kernel.matrix([packed(source)]).times(x), expected)


@pytest.mark.parametrize("kind", sorted(RECORD_BYTES))
def test_rows_of_a_batch_equal_single_ones(kernel: Kernel, kind: Kind) -> None:
    matrix = kernel.matrix([packed(random_blocks(kind, 200, 28, 1))])
    x = normal(70, 28 * 32)
    single = np.concatenate([matrix.times(row[None]) for row in x])
    for rows in (2, 16, 32, 33, 70):
        np.testing.assert_array_equal(matrix.times(x[:rows]), single[:rows])


@pytest.mark.parametrize("rows", [(32, 16, 48, 16, 32), (33, 16, 7, 1, 40)])
def test_matrices_below_one_another(kernel: Kernel, rows: tuple[int, ...]) -> None:
    sources = [
        random_blocks(kind, n, 8, n) for kind, n in zip(sorted(RECORD_BYTES), rows, strict=True)
    ]
    x = normal(3, 256)
    found = kernel.matrix([packed(source) for source in sources]).times(x)
    expected = np.concatenate([product(source, x, 8) for source in sources], axis=1)
    np.testing.assert_array_equal(found, expected)


def test_rows_that_lie_apart_in_memory(kernel: Kernel) -> None:
    source = random_blocks("q8", 16, 2, 1)
    x = normal(6, 64)
    found = kernel.matrix([packed(source)]).times(x[::2])
    np.testing.assert_array_equal(found, product(source, x[::2]))
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(kernel.matrix([packed(source)]).times(turned), product(source, x))


def test_what_is_no_number_stays_none(kernel: Kernel) -> None:
    source = random_blocks("q8", 16, 2, 1)
    x = np.full((2, 64), np.nan, np.float32)
    x[1] = np.inf
    assert not np.isfinite(kernel.matrix([packed(source)]).times(x)).any()


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_gives_the_same(tmp_path: Path, threads: int) -> None:
    source = random_blocks("q5", 16 * 300, 28, 1)
    x = normal(1, 28 * 32)
    kernel = Kernel(tmp_path, threads=threads, say=lambda _: None)
    np.testing.assert_array_equal(kernel.matrix([packed(source)]).times(x), product(source, x))
