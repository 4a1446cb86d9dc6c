from __future__ import annotations

import numpy as np
import pytest

from sparkcode.model import aligned


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7), (1000, 333)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
def test_arrays_begin_at_a_cache_line(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    for array in (aligned.zeros(shape, dtype), aligned.empty(shape, dtype)):
        assert array.ctypes.data % 64 == 0
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
    assert not aligned.zeros(shape, dtype).any()
