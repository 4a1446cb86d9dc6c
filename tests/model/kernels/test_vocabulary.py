from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.instructions import AVX2
from sparkcode.model.kernels.vocabulary import BYTES, FLOATS, I64, SHORTS, Value
from sparkcode.model.kernels.wide import Wide
from tests.model.kernels.scalar import needs_avx2

pytestmark = needs_avx2

Body = Callable[[Wide, Sequence[Value]], None]
Array = npt.NDArray[np.generic]


class Function:
    """A function of addresses, compiled for this processor."""

    def __init__(self, folder: Path, arguments: int, body: Body) -> None:
        module = ir.Module("test")
        e = Wide(module, "test", arguments, isa=AVX2)
        body(e, e.arguments)
        e.finish()
        self._code = CompiledModule(
            str(module), cpu=AVX2.cpu, folder=folder, name="test", say=lambda _: None
        )
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)
        self._function = kind(self._code.address("test"))

    def __call__(self, *arguments: Array | int) -> None:
        self._function(*(a if isinstance(a, int) else a.ctypes.data for a in arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vocabulary")


def test_repeat_carries_values(folder: Path) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        out, count = a
        total = e.repeat(count, (e.whole(0),), lambda index, values: (e.add(values[0], index),))
        e.store(total[0], out)

    triangle = Function(folder, 2, body)
    out = np.zeros(1, np.int64)
    for count, expected in ((1, 0), (5, 10)):
        triangle(out, count)
        assert out[0] == expected


def test_choices_and_bounds(folder: Path) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        out, n = a
        cases = {1: lambda: e.store(e.whole(11), out), 5: lambda: e.store(e.whole(55), out)}
        e.choose(n, cases, lambda: e.store(e.whole(22), out))
        e.store(e.smaller(n, 3), out, 8)
        e.store(e.tiles_of(n, 4), out, 16)
        e.return_unless(n, e.whole(5))
        e.store(e.whole(33), out, 24)

    function = Function(folder, 2, body)
    for n, expected in ((1, [11, 1, 1, 33]), (4, [22, 3, 1, 33]), (5, [55, 3, 2, 0])):
        out = np.zeros(4, np.int64)
        function(out, n)
        assert out.tolist() == expected


def test_claims_never_overlap(folder: Path) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        e.store(e.claim(a[0], e.whole(7)), a[1])

    counter, found = np.array([5]), np.zeros(1, np.int64)
    Function(folder, 2, body)(counter, found)
    assert (counter[0], found[0]) == (12, 5)


@given(st.integers(0, 999))
@settings(deadline=None)
def test_products_of_bytes_are_exact_within_their_bounds(folder: Path, seed: int) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        w, x, out = a
        left, right = e.load(BYTES, w), e.load(BYTES, x)
        signed = e.with_sign(right, left)
        e.store(e.pair_sums(e.pair_products(e.magnitude(left), signed)), out)

    random = np.random.default_rng(seed)
    w = random.choice(np.array([-128, -127, -1, 0, 1, 127, 5], np.int8), 32)
    x = random.choice(np.array([-127, -1, 0, 1, 127, 9], np.int8), 32)
    out = np.zeros(8, np.int32)
    Function(folder, 3, body)(w, x, out)
    expected = (w.astype(np.int64) * x).reshape(8, 4).sum(axis=-1)
    np.testing.assert_array_equal(out, expected)


def test_shifts_masks_and_tables(folder: Path) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        source, out = a
        value = e.load(BYTES, source)
        e.store(e.both(e.down(value, 4), e.constant(BYTES, 15)), out)
        e.store(e.both(e.up(value, 1), e.constant(BYTES, 30)), out, 32)
        e.store(e.flip(value, e.constant(BYTES, -128)), out, 64)
        e.store(e.equal_bytes(value, e.constant(BYTES, 200)), out, 96)
        e.store(e.lookup(value, e.table([15 - lane % 16 for lane in range(32)])), out, 128)
        e.store(e.cast(e.constant(SHORTS, 258), BYTES), out, 160)

    source = np.arange(190, 222).astype(np.uint8)
    out = np.zeros((6, 32), np.uint8)
    Function(folder, 2, body)(source, out)
    np.testing.assert_array_equal(out[0], source >> 4)
    np.testing.assert_array_equal(out[1], (source << 1) & 30)
    np.testing.assert_array_equal(out[2], source ^ 128)
    np.testing.assert_array_equal(out[3], np.where(source == 200, 255, 0))
    np.testing.assert_array_equal(out[4], source.reshape(2, 16)[:, ::-1].reshape(-1))
    np.testing.assert_array_equal(out[5], [2, 1] * 16)


@pytest.mark.parametrize("place", range(8))
def test_the_largest_lane_is_found_wherever_it_is(folder: Path, place: int) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        e.store(e.largest(e.magnitude(e.load(FLOATS, a[0]))), a[1])

    values = np.linspace(-1, 1, 8, dtype=np.float32)
    values[place] = -5
    out = np.zeros(1, np.float32)
    Function(folder, 2, body)(values, out)
    assert out[0] == 5


def test_scratch_memory_and_calls(folder: Path) -> None:
    def body(e: Wide, a: Sequence[Value]) -> None:
        function, address = a
        room = e.scratch(64)
        e.store(e.sub(e.load(I64, address), e.whole(1)), room, 8)
        e.store(e.load(I64, room, 8), address)
        e.call(function, (address,))

    def tenfold(address: int) -> None:
        ctypes.c_int64.from_address(address).value *= 10

    callback = ctypes.CFUNCTYPE(None, ctypes.c_int64)(tenfold)
    value = np.array([5])
    pointer = ctypes.cast(callback, ctypes.c_void_p).value
    assert pointer is not None
    Function(folder, 2, body)(pointer, value)
    assert value[0] == 40
