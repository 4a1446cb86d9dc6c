"""Quantised rows: integer codes with a scale for every 32 weights.

``w`` is a weight, ``c`` its unsigned code, ``s`` and ``m`` its block's scale and minimum. ``q4k``
has 6-bit integers for these, and one pair of 16-bit factors ``d`` and ``dmin`` for 256 weights:

====  ===========================  ======  ==========================================
kind  value                        bits    holds exactly
====  ===========================  ======  ==========================================
q4    ``w = s * c - m``            5.0     Q4_0, Q4_1
q4k   ``w = d * s * c - dmin * m`` 4.625   Q4_K
q5    ``w = s * (c - 16)``         5.5     Q5_0
q6    ``w = s * (c - 32)``         6.5     nothing: Q6_K has a scale for every 16
q8    ``w = s * (c - 128)``        8.5     Q8_0
====  ===========================  ======  ==========================================

``bits`` counts the scales too. :mod:`sparkcode.model.ggml` reads a file's types,
:mod:`sparkcode.model.rounding` brings the others into one of these forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

BLOCK: Final = 32
"""Weights that share a scale, along a row."""
SUPER_BLOCK: Final = 256
"""Weights that share the factors of q4k, along a row."""

Kind = Literal["q4", "q4k", "q5", "q6", "q8"]

ZERO: Final[dict[Kind, int]] = {"q4": 0, "q4k": 0, "q5": 16, "q6": 32, "q8": 128}
"""What is taken off a code before it is scaled."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Some rows of a matrix as q4, q5, q6 or q8; the module's table says what the codes mean."""

    kind: Kind
    codes: U8  # [N, K]
    scales: F16  # [N, K/32]
    minima: F16 | None = None  # [N, K/32], q4 only

    def finite(self) -> bool:
        """Is every weight a number?"""
        minima_are_finite = self.minima is None or bool(np.isfinite(self.minima).all())
        return minima_are_finite and bool(np.isfinite(self.scales).all())

    def values(self) -> F32:
        """The weights as float32 [N, K]."""
        minima = None if self.minima is None else self.minima.astype(np.float32)
        return _weights(self.codes, ZERO[self.kind], self.scales.astype(np.float32), minima)


@dataclass(frozen=True, slots=True)
class SuperBlocks:
    """Some rows of a matrix as q4k; the module's table says what the codes mean."""

    codes: U8  # [N, K], 0 to 15
    scales: U8  # [N, K/32], 0 to 63
    minima: U8  # [N, K/32], 0 to 63
    d: F16  # [N, K/256]
    dmin: F16  # [N, K/256]

    @property
    def kind(self) -> Literal["q4k"]:
        """The kind of record that holds them."""
        return "q4k"

    def finite(self) -> bool:
        """Is every weight a number?"""
        return bool(np.isfinite(self.d).all() and np.isfinite(self.dmin).all())

    def values(self) -> F32:
        """The weights as float32 [N, K]."""
        scales, minima = (
            np.repeat(factor.astype(np.float32), SUPER_BLOCK // BLOCK, axis=1) * numbers
            for factor, numbers in ((self.d, self.scales), (self.dmin, self.minima))
        )
        return _weights(self.codes, 0, scales, minima)


Quantised = Blocks | SuperBlocks


def _weights(codes: U8, zero: int, scales: F32, minima: F32 | None) -> F32:
    """Codes [N, K], scales and minima [N, K/32] -> [N, K]."""
    signed = (codes - np.uint8(zero)).view(np.int8) if zero else codes  # wraps around, as it should
    values = signed.reshape(*scales.shape, BLOCK) * scales[..., None]
    if minima is not None:
        values -= minima[..., None]
    return values.reshape(codes.shape)
