"""What a GGUF file says: the model's shape, its vocabulary and its encoded tensors.

The file is read once, when it is packed (:mod:`sparkcode.model.packed`). It is foreign data: the
header's reader is bounded by the file's size, each tensor must have the name and shape that the
header implies, and nothing unknown is silently left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sparkcode.errors import WeightsError
from sparkcode.model.blocks import BLOCK, F32, Kind, Quantised
from sparkcode.model.ggml import EXACT_KINDS, READABLE, decode, exact_blocks
from sparkcode.model.rounding import round_to, rounded_kind
from sparkcode.model.tokenizer import Vocabulary

if TYPE_CHECKING:
    from gguf import GGUFReader

Architecture = Literal["qwen2", "llama"]

_ARCHITECTURES: tuple[Architecture, ...] = ("qwen2", "llama")
_MAX_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a decoder-only transformer of the Llama family, from the file's header."""

    architecture: Architecture
    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    intermediate_size: int
    vocab_size: int
    context_length: int
    """Positions the model was trained for, in tokens."""
    rope_base: float
    rms_eps: float
    rope_style: Literal["neox", "normal"]
    """Which components rotate together: ``i`` with ``i + head_size / 2``, or ``2i`` with ``2i + 1``
    (a Llama file stores Q and K permuted to fit)."""
    tied_head: bool
    """The output head is the embedding matrix."""
    qkv_bias: bool
    rope_scale: float = 1.0
    """Positions are divided by this (linear scaling)."""
    rope_factors: tuple[float, ...] = ()
    """Divisors of the head_size / 2 frequencies (Llama 3); empty when there are none."""

    @property
    def parameters(self) -> int:
        """Weights of all matrices, the head's once where it is the embedding."""
        size, heads = self.hidden_size, self.num_heads * self.head_size
        attention = size * (2 * heads + 2 * self.kv_size)
        layer = attention + 3 * size * self.intermediate_size
        heads_count = 1 if self.tied_head else 2
        return self.num_layers * layer + heads_count * self.vocab_size * size

    @property
    def kv_size(self) -> int:
        """Width of K and V for one token."""
        return self.num_kv_heads * self.head_size

    @property
    def group_size(self) -> int:
        """Query heads that share one K/V head."""
        return self.num_heads // self.num_kv_heads


@dataclass(frozen=True, slots=True)
class RawTensor:
    """One tensor of the file, still encoded."""

    name: str
    encoding: str
    """GGML type name, such as ``Q4_K``."""
    shape: tuple[int, ...]
    """(N,) or (N, K): rows first, as NumPy counts."""
    data: npt.NDArray[Any]

    def values(self, first: int, last: int) -> F32:
        """Rows ``first`` to ``last`` (exclusive) as numbers."""
        if self.encoding not in READABLE:
            raise WeightsError(
                f"tensor {self.name!r} is encoded as {self.encoding!r}, which cannot be read: "
                f"use a file with {', '.join(sorted(READABLE))}"
            )
        values = decode(self.encoding, self.data[first:last])
        if not np.isfinite(values).all():
            raise self._not_finite(first, min(last, self.shape[0]))
        return values

    def blocks(self, first: int, last: int, kind: Kind) -> Quantised:
        """Rows ``first`` to ``last`` (exclusive) as codes and scales of ``kind``.

        Raises WeightsError where a weight is not a number or too large for the kind's scales.
        """
        if EXACT_KINDS.get(self.encoding) == kind:
            blocks = exact_blocks(self.encoding, self.data[first:last])
        else:
            blocks = round_to(rounded_kind(kind), self.values(first, last))
        if not blocks.finite():
            raise self._not_finite(first, min(last, self.shape[0]))
        return blocks

    def _not_finite(self, first: int, last: int) -> WeightsError:
        where = "" if len(self.shape) == 1 else f" among its rows {first} to {last - 1}"
        return WeightsError(
            f"tensor {self.name!r} holds NaN, infinity or numbers too large for 16 bits{where}: "
            "the file is damaged, or was made from a model that failed"
        )


@dataclass(frozen=True, slots=True)
class GgufModel:
    """Everything a GGUF file holds that inference needs."""

    config: ModelConfig
    vocabulary: Vocabulary
    tensors: dict[str, RawTensor]


def read_gguf(path: Path) -> GgufModel:
    """Read and check the header of ``path``; tensor data stays in the file until asked for.

    Raises WeightsError, naming what was found and what would be right, for a file that is
    missing, damaged, no GGUF, or of another architecture.
    """
    reader = _open_reader(path)
    try:
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = {
            tensor.name: RawTensor(
                tensor.name,
                tensor.tensor_type.name,
                tuple(int(size) for size in reversed(tensor.shape)),
                tensor.data,
            )
            for tensor in reader.tensors
        }
        header = _Header(path, fields)
        config = _read_config(header, tensors)
        vocabulary = _read_vocabulary(header)
    except (ValueError, IndexError) as error:
        raise WeightsError(f"{path} is a damaged GGUF file: {error}") from error
    _check_tensors(path, config, tensors)
    return GgufModel(config, vocabulary, tensors)


def expected_tensors(config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor the model needs, in the order in which they are used."""
    d, f, q, kv = config.hidden_size, config.intermediate_size, config.num_heads, config.kv_size
    q *= config.head_size
    yield "token_embd.weight", (config.vocab_size, d)
    for layer in range(config.num_layers):
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", (d,)
        for name, size in (("q", q), ("k", kv), ("v", kv)):
            yield f"{prefix}attn_{name}.weight", (size, d)
            if config.qkv_bias:
                yield f"{prefix}attn_{name}.bias", (size,)
        yield prefix + "attn_output.weight", (d, q)
        yield prefix + "ffn_norm.weight", (d,)
        yield prefix + "ffn_gate.weight", (f, d)
        yield prefix + "ffn_up.weight", (f, d)
        yield prefix + "ffn_down.weight", (d, f)
    yield "output_norm.weight", (d,)
    if not config.tied_head:
        yield "output.weight", (config.vocab_size, d)


def _open_reader(path: Path) -> GGUFReader:
    from sparkcode.model.gguf_reader import BoundedReader  # only packing needs it and its 0.1 s

    try:
        return BoundedReader(path)
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise WeightsError(
            f"{path} is no usable GGUF file ({error}): it may be damaged, or in another format"
        ) from error


@dataclass(frozen=True, slots=True)
class _Header:
    """The file's key/value pairs, with the errors that name the file and the key."""

    path: Path
    fields: dict[str, Any]

    def integer(self, key: str, default: int | None = None) -> int:
        value = self.fields.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self.wrong(key, value, "a positive integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.fields.get(key, default)
        if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise self.wrong(key, value, "a positive number")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.fields.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, value, "a string")
        return value

    def token_id(self, key: str) -> int | None:
        value = self.fields.get(key)
        return value if isinstance(value, int) else None

    def wrong(self, key: str, value: object, right: str) -> WeightsError:
        found = "is missing" if value is None else f"is {str(value)[:60]!r}"
        return WeightsError(f"{self.path}: header key {key!r} {found}, it has to be {right}")


def _read_config(header: _Header, tensors: dict[str, RawTensor]) -> ModelConfig:
    architecture = _architecture(header)
    a = architecture + "."
    heads = header.integer(a + "attention.head_count")
    hidden = header.integer(a + "embedding_length")
    kv_heads = header.integer(a + "attention.head_count_kv", heads)
    config = ModelConfig(
        architecture=architecture,
        num_layers=header.integer(a + "block_count"),
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=header.integer(a + "attention.key_length", hidden // heads),
        intermediate_size=header.integer(a + "feed_forward_length"),
        vocab_size=len(header.fields.get("tokenizer.ggml.tokens") or ()),
        context_length=header.integer(a + "context_length"),
        rope_base=header.number(a + "rope.freq_base", 10000.0),
        rms_eps=header.number(a + "attention.layer_norm_rms_epsilon"),
        rope_style="neox" if architecture == "qwen2" else "normal",
        tied_head="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
        rope_scale=_rope_scale(header, a),
        rope_factors=_rope_factors(tensors),
    )
    _check_config(header, config)
    return config


def _architecture(header: _Header) -> Architecture:
    found = header.text("general.architecture")
    for known in _ARCHITECTURES:
        if found == known:
            return known
    raise WeightsError(
        f"{header.path} holds a model of architecture {found!r}: only 'qwen2' and 'llama' can run"
    )


def _check_config(header: _Header, config: ModelConfig) -> None:
    a = config.architecture + "."
    if config.num_layers > _MAX_LAYERS:
        raise header.wrong(a + "block_count", config.num_layers, f"at most {_MAX_LAYERS}")
    if config.num_heads % config.num_kv_heads:
        right = f"a divisor of the {config.num_heads} heads"
        raise header.wrong(a + "attention.head_count_kv", config.num_kv_heads, right)
    if config.head_size % 2:
        raise header.wrong(a + "attention.key_length", config.head_size, "even")
    rotated = header.integer(a + "rope.dimension_count", config.head_size)
    if rotated != config.head_size:
        right = f"the head size, {config.head_size}"
        raise header.wrong(a + "rope.dimension_count", rotated, right)
    if config.rope_factors and len(config.rope_factors) != config.head_size // 2:
        raise WeightsError(
            f"{header.path}: tensor 'rope_freqs.weight' has {len(config.rope_factors)} values, "
            f"it has to have {config.head_size // 2}, half the head size"
        )


def _rope_scale(header: _Header, prefix: str) -> float:
    kind = header.text(prefix + "rope.scaling.type", "none")
    if kind == "none":
        return 1.0
    if kind != "linear":
        raise header.wrong(prefix + "rope.scaling.type", kind, "'none' or 'linear'")
    return header.number(prefix + "rope.scaling.factor")


def _rope_factors(tensors: dict[str, RawTensor]) -> tuple[float, ...]:
    raw = tensors.get("rope_freqs.weight")
    return () if raw is None else tuple(raw.values(0, len(raw.data)).tolist())


def _read_vocabulary(header: _Header) -> Vocabulary:
    tokens = header.fields.get("tokenizer.ggml.tokens")
    types = header.fields.get("tokenizer.ggml.token_type")
    if not tokens or not isinstance(tokens[0], str):
        raise header.wrong("tokenizer.ggml.tokens", tokens, "a list of strings")
    if not types or not isinstance(types[0], int):
        raise header.wrong("tokenizer.ggml.token_type", types, "a list of integers")
    _check_merges(header, tokens)
    adds_bos = header.fields.get("tokenizer.ggml.add_bos_token") is True
    return Vocabulary(
        model=header.text("tokenizer.ggml.model"),
        pre=header.text("tokenizer.ggml.pre", ""),
        tokens=tuple(tokens),
        types=tuple(types),
        eos_id=header.token_id("tokenizer.ggml.eos_token_id"),
        eot_id=header.token_id("tokenizer.ggml.eot_token_id"),
        bos_id=header.token_id("tokenizer.ggml.bos_token_id") if adds_bos else None,
    )


def _check_merges(header: _Header, tokens: list[str]) -> None:
    """The encoder merges by token id, so ids have to rise in the order of the merges.

    Several merges may make the same token.
    """
    ids = {token: id for id, token in enumerate(tokens)}
    last = 0
    for merge in header.fields.get("tokenizer.ggml.merges") or ():
        left, _, right = merge.partition(" ")
        made = ids.get(left + right, -1)
        if made < last:
            raise header.wrong("tokenizer.ggml.merges", merge, "in the order of the token ids")
        last = made


def _check_tensors(path: Path, config: ModelConfig, tensors: dict[str, RawTensor]) -> None:
    expected = dict(expected_tensors(config))
    for name, shape in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path} lacks the tensor {name!r}, of shape {shape}")
        if tensors[name].shape != shape:
            raise WeightsError(
                f"{path}: tensor {name!r} has shape {tensors[name].shape}, it has to be {shape}"
            )
        if len(shape) == 2 and shape[1] % BLOCK:
            raise WeightsError(
                f"{path}: rows of {name!r} have {shape[1]} weights, not a multiple of {BLOCK}"
            )
    for name in tensors.keys() - expected.keys() - {"rope_freqs.weight"}:
        raise WeightsError(
            f"{path}: tensor {name!r} has no place in a plain {config.architecture!r} model"
        )
