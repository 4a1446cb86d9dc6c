"""Arrays that begin at a cache line, so that loads of whole registers touch one line, not two.

NumPy aligns to 16 bytes, and a 64-byte load from there takes twice the time.
"""

from __future__ import annotations

import math
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

CACHE_LINE_BYTES: Final = 64

Scalar = TypeVar("Scalar", bound=np.generic)


def zeros(shape: tuple[int, ...], dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """An array of zeros."""
    size = _bytes(shape, dtype)
    return _placed(np.zeros(size + CACHE_LINE_BYTES, np.uint8), shape, dtype)


def empty(shape: tuple[int, ...], dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    """An array of anything."""
    size = _bytes(shape, dtype)
    return _placed(np.empty(size + CACHE_LINE_BYTES, np.uint8), shape, dtype)


def _bytes(shape: tuple[int, ...], dtype: type[Scalar]) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _placed(
    memory: npt.NDArray[np.uint8], shape: tuple[int, ...], dtype: type[Scalar]
) -> npt.NDArray[Scalar]:
    start = -memory.ctypes.data % CACHE_LINE_BYTES
    return memory[start : start + _bytes(shape, dtype)].view(dtype).reshape(shape)
