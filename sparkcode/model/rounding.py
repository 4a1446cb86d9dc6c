"""Rounding numbers to codes and scales."""

from __future__ import annotations

import numpy as np

from sparkcode.model.blocks import BLOCK, F32, Blocks, Kind


def round_to(kind: Kind, values: F32) -> Blocks:
    """Round rows to 8 bit: per block of 32, the largest magnitude becomes code 1 or 255."""
    blocks = values.reshape(len(values), -1, BLOCK)  # [N, K/32, 32]
    scales = (np.abs(blocks).max(axis=-1) / 127).astype(np.float16)  # [N, K/32]
    steps = scales.astype(np.float32)
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps > 0)
    codes = np.clip(np.rint(blocks * inverse[..., None]), -127, 127) + 128
    return Blocks(kind, codes.astype(np.uint8).reshape(values.shape), scales)
