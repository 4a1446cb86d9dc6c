"""What a step works on: a model's weights as the program's lines take them, and working memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparkcode.model import aligned
from sparkcode.model.blocks import BLOCK, F32
from sparkcode.model.kernels.quantise import FACTORS_BYTES
from sparkcode.model.layers import PRODUCTS
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import COLUMNS, PackedMatrix
from sparkcode.model.weights import ModelConfig

ACTIVATION_BYTES: Final = BLOCK + FACTORS_BYTES
"""Codes and factors of a block of activations."""


@dataclass(frozen=True, slots=True)
class StepLayer:
    """Weights of one block; vectors are padded with zeros to whole pairs of blocks."""

    attn_norm: F32
    qkv: tuple[PackedMatrix, ...]
    bias: F32
    output: tuple[PackedMatrix, ...]
    ffn_norm: F32
    gate_up: tuple[PackedMatrix, ...]
    down: tuple[PackedMatrix, ...]


class StepWeights:
    """A packed file's weights, checked and mapped. Raises WeightsError for a damaged tensor."""

    def __init__(self, packed: PackedFile) -> None:
        self.config = config = packed.header.config
        head = "token_embd" if config.tied_head else "output"
        names = [head]
        for index in range(config.num_layers):
            names += [f"blk.{index}.{name}" for product in PRODUCTS for name in product]
        with ThreadPoolExecutor() as pool:
            made = pool.map(lambda name: packed.matrix(f"{name}.weight"), names)
            matrices = dict(zip(names, made, strict=True))
        self.head = (matrices[head],)
        self.output_norm = _padded(packed.vector("output_norm.weight"))
        self.layers = [self._layer(packed, index, matrices) for index in range(config.num_layers)]

    def _layer(
        self, packed: PackedFile, index: int, matrices: Mapping[str, PackedMatrix]
    ) -> StepLayer:
        prefix = f"blk.{index}."
        qkv, output, gate_up, down = (
            tuple(matrices[prefix + name] for name in product) for product in PRODUCTS
        )
        bias = np.zeros(sum(part.shape[0] for part in qkv), np.float32)
        if self.config.qkv_bias:
            bias = np.concatenate([packed.vector(f"{prefix}{name}.bias") for name in PRODUCTS[0]])
        return StepLayer(
            _padded(packed.vector(prefix + "attn_norm.weight")),
            qkv,
            bias,
            output,
            _padded(packed.vector(prefix + "ffn_norm.weight")),
            gate_up,
            down,
        )


class StepBuffers:
    """Memory for the rows of a step. Columns of padding are zero."""

    def __init__(self, config: ModelConfig, rows: int, padded_head: int) -> None:
        heads = config.num_heads * config.head_size
        hidden, gated, attended = (
            _whole(size) for size in (config.hidden_size, config.intermediate_size, heads)
        )
        columns = heads + 2 * config.kv_size
        self.x, self.y = (aligned.zeros((rows, hidden), np.float32) for _ in range(2))
        self.nothing = aligned.zeros((hidden,), np.float32)
        self.qkv = aligned.zeros((rows, columns), np.float32)
        self.q = aligned.zeros((rows, heads), np.float32)
        self.attended = aligned.zeros((rows, attended), np.float32)
        self.gate_up = aligned.zeros((rows, 2 * gated), np.float32)
        self.cos, self.sin = (aligned.zeros((rows, config.head_size), np.float32) for _ in range(2))
        self.order = np.arange(rows)
        self.picked, self.places, self.positions = (np.zeros(rows, np.int64) for _ in range(3))
        sizes = {"qkv": hidden, "output": attended, "gate_up": hidden, "down": gated}
        self.rounded = {
            name: aligned.zeros((rows * size // BLOCK * ACTIVATION_BYTES,), np.uint8)
            for name, size in {**sizes, "head": hidden}.items()
        }
        self.blocks = {name: size // BLOCK for name, size in {**sizes, "head": hidden}.items()}
        self.strides = {
            "qkv": self.qkv.strides[0],
            "output": self.y.strides[0],
            "gate_up": self.gate_up.strides[0],
            "down": self.y.strides[0],
            "head": 4 * padded_head,
        }


def _whole(columns: int) -> int:
    """Columns padded to whole pairs of blocks."""
    return -(-columns // COLUMNS) * COLUMNS


def _padded(vector: F32) -> F32:
    padded = aligned.zeros((_whole(len(vector)),), np.float32)
    padded[: len(vector)] = vector
    return padded
