"""A tiny model with random weights, written as a GGUF file the way llama.cpp's tools write one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

from sparkcode.model.tokenizer import CONTROL, NORMAL, USER_DEFINED, byte_characters

MERGES = ("Ġ t", "h e", "Ġt he", "l l", "Ã ©", "Ġ Ġ")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>")
UNUSED = 5
K_QUANTS = (Type.Q4_K, Type.Q5_K, Type.Q6_K)


@dataclass(frozen=True)
class TinyModel:
    """What to write; ``write`` gives a file that runs in milliseconds."""

    architecture: str = "qwen2"
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 96
    context: int = 128
    tied: bool = True
    bias: bool = True
    encoding: Type = Type.Q8_0
    seed: int = 1
    pre: str = "qwen2"
    tokenizer: str = "gpt2"
    merges: tuple[str, ...] = MERGES
    special: tuple[str, ...] = SPECIAL
    rope_factors: tuple[float, ...] = ()
    strings: dict[str, str] = field(default_factory=dict)
    """Header keys to add or replace."""
    numbers: dict[str, float] = field(default_factory=dict)
    integers: dict[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    """Tensors or header keys to leave out."""
    extra: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Tensors to add, or to write with another shape."""

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, self.architecture)
        for key, value in self._integers().items():
            if key not in self.without:
                writer.add_uint32(key, value)
        for key, number in self._numbers().items():
            if key not in self.without:
                writer.add_float32(key, number)
        for key, text in self.strings.items():
            writer.add_string(key, text)
        self._write_vocabulary(writer)
        random = np.random.default_rng(self.seed)
        for name, shape in (dict(self._shapes()) | self.extra).items():
            if name not in self.without:
                self._write_tensor(writer, name, shape, random)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _integers(self) -> dict[str, int]:
        a = self.architecture
        return {
            f"{a}.block_count": self.layers,
            f"{a}.embedding_length": self.hidden,
            f"{a}.feed_forward_length": self.feed_forward,
            f"{a}.attention.head_count": self.heads,
            f"{a}.attention.head_count_kv": self.kv_heads,
            f"{a}.context_length": self.context,
        } | self.integers

    def _numbers(self) -> dict[str, float]:
        a = self.architecture
        return {
            f"{a}.rope.freq_base": 10000.0,
            f"{a}.attention.layer_norm_rms_epsilon": 1e-6,
        } | self.numbers

    def _write_vocabulary(self, writer: gguf.GGUFWriter) -> None:
        tokens, types = vocabulary(self.merges, self.special)
        writer.add_tokenizer_model(self.tokenizer)
        writer.add_tokenizer_pre(self.pre)
        if "tokenizer.ggml.tokens" not in self.without:
            writer.add_token_list(tokens)
        if "tokenizer.ggml.token_type" not in self.without:
            writer.add_token_types(types)
        if self.merges:
            writer.add_token_merges(list(self.merges))
        writer.add_eos_token_id(tokens.index("<|im_end|>"))
        writer.add_bos_token_id(tokens.index("<|endoftext|>"))
        writer.add_add_bos_token(self.architecture == "llama")

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        d, f = self.hidden, self.feed_forward
        kv, vocab = d // self.heads * self.kv_heads, len(vocabulary(self.merges, self.special)[0])
        yield "token_embd.weight", (vocab, d)
        yield "output_norm.weight", (d,)
        if not self.tied:
            yield "output.weight", (vocab, d)
        if self.rope_factors:
            yield "rope_freqs.weight", (len(self.rope_factors),)
        for layer in range(self.layers):
            p = f"blk.{layer}."
            yield from ((p + "attn_norm.weight", (d,)), (p + "ffn_norm.weight", (d,)))
            for name, size in (("q", d), ("k", kv), ("v", kv)):
                yield f"{p}attn_{name}.weight", (size, d)
                if self.bias:
                    yield f"{p}attn_{name}.bias", (size,)
            yield p + "attn_output.weight", (d, d)
            yield from ((p + f"ffn_{name}.weight", (f, d)) for name in ("gate", "up"))
            yield p + "ffn_down.weight", (d, f)

    def _write_tensor(
        self,
        writer: gguf.GGUFWriter,
        name: str,
        shape: tuple[int, ...],
        random: np.random.Generator,
    ) -> None:
        values = (random.standard_normal(shape) * 0.2).astype(np.float32)
        if name == "rope_freqs.weight":
            values = np.asarray(self.rope_factors, np.float32)
        if "norm" in name:
            values += 1
        if len(shape) == 1:
            writer.add_tensor(name, values)
            return
        if name == "token_embd.weight" and self.encoding in K_QUANTS:
            writer.add_tensor(name, gguf.quantize(values, Type.Q5_0), raw_dtype=Type.Q5_0)
            return
        writer.add_tensor(name, encode(values, self.encoding, random), raw_dtype=self.encoding)


def vocabulary(
    merges: tuple[str, ...] = MERGES, special: tuple[str, ...] = SPECIAL
) -> tuple[list[str], list[int]]:
    """Every byte, the merged tokens, control tokens, one of a user, one that is unused."""
    ordinary = [*byte_characters(), *(merge.replace(" ", "") for merge in merges)]
    tokens = [*ordinary, *special, "<tool_call>", "[PAD]"]
    types = [NORMAL] * len(ordinary) + [CONTROL] * len(special) + [USER_DEFINED, UNUSED]
    return tokens, types


def encode(
    values: npt.NDArray[np.float32], encoding: Type, random: np.random.Generator
) -> npt.NDArray[np.generic]:
    """Quantise; for K-quants, which the library only reads, make up valid blocks instead."""
    if encoding not in K_QUANTS:
        return gguf.quantize(values, encoding)
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[encoding]
    rows, blocks = values.shape[0], values.shape[1] // block_size
    raw = random.integers(0, 256, (rows, blocks, block_bytes), dtype=np.uint8)
    scale = np.array([3e-4], np.float16).view(np.uint8)
    if encoding != Type.Q6_K:
        raw[..., 0:2], raw[..., 2:4] = scale, scale
    else:
        raw[..., -2:] = np.array([6e-5], np.float16).view(np.uint8)
    return raw.reshape(rows, -1)
