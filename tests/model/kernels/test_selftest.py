from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.model.blocks import U8
from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.instructions import AVX2, InstructionSet
from sparkcode.model.kernels.loading import load_kernels
from sparkcode.model.kernels.reference import product
from sparkcode.model.kernels.selftest import multiply, random_records, wrong_product
from sparkcode.model.kernels.unpack import LAYOUTS, RecordKind
from tests.model.kernels.scalar import SETS, needs_avx2

pytestmark = needs_avx2

kinds = st.sampled_from(sorted(LAYOUTS))


@pytest.fixture(scope="module", params=SETS)
def module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> CompiledModule:
    isa: InstructionSet = request.param
    return load_kernels(isa, folder=tmp_path_factory.getbasetemp() / "kernels", say=lambda _: None)


@given(kinds, st.integers(1, 4), st.integers(1, 3), st.integers(1, 64), st.integers(0, 99))
@settings(deadline=None)
def test_products_equal_the_reference(
    module: CompiledModule, kind: RecordKind, groups: int, records: int, rows: int, seed: int
) -> None:
    columns = records * LAYOUTS[kind].blocks * 32
    weights = random_records(kind, groups, columns, seed)
    x = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    found = multiply(module.address, kind, weights, x)
    np.testing.assert_array_equal(found, product(kind, weights, x))


def extreme(kind: RecordKind, columns: int, code: int, random: np.random.Generator) -> U8:
    """Records whose code bytes are all ``code``, or 0 or 255 at random where it is -1."""
    records = random_records(kind, 1, columns, 0)
    codes = records[..., LAYOUTS[kind].codes :]
    codes[:] = random.choice([0, 255], codes.shape) if code < 0 else code
    if kind == "q4k":
        records[..., 64:320] = random.choice([0, 1, 63, 255], records[..., 64:320].shape)
    halves = records[..., : 128 if kind == "q4" else 64].view(np.float16)
    ends = np.array([0, -0.0, 6e-8, -6e-8, 1, 200, -200], np.float16)
    halves[:] = random.choice(ends, halves.shape)
    return records


@given(
    kinds,
    st.sampled_from([0, 255, 240, 15, -1]),
    st.sampled_from([[1.0], [-1.0], [1.0, -1.0], [0.0], [1e-38, -3e-31], [3e30]]),
    st.integers(1, 9),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_extremes_do_not_overflow(
    module: CompiledModule,
    kind: RecordKind,
    code: int,
    values: list[float],
    rows: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    weights = extreme(kind, 256, code, random)
    x = random.choice(values, (rows, 256)).astype(np.float32)
    with np.errstate(under="ignore", over="ignore", invalid="ignore"):
        expected = product(kind, weights, x)
    np.testing.assert_array_equal(multiply(module.address, kind, weights, x), expected)


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_a_row_does_not_depend_on_those_beside_it(module: CompiledModule, kind: RecordKind) -> None:
    weights = random_records(kind, 3, 1024, 1)
    x = np.random.default_rng(2).standard_normal((64, 1024)).astype(np.float32)
    single = np.concatenate([multiply(module.address, kind, weights, row[None]) for row in x])
    for rows in (2, 3, 4, 7, 33, 64):
        found = multiply(module.address, kind, weights, x[:rows])
        np.testing.assert_array_equal(found, single[:rows])


def test_a_wrong_function_is_named(module: CompiledModule) -> None:
    def mixed_up(name: str) -> int:
        return module.address({"multiply_q5": "multiply_q4"}.get(name, name))

    assert wrong_product(module.address) is None
    assert wrong_product(mixed_up) == "multiply_q5"


def test_fresh_code_is_tested_and_then_kept(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        load_kernels(AVX2, folder=tmp_path, say=said.append)
    assert said == ["compiling the avx2 kernels (once)"]
