"""Keys and values of the tokens already evaluated, so that a step costs only its new tokens.

Memory comes in blocks of 32 tokens that hold every layer's keys and values. A fork shares the
blocks of what it continues, and whoever writes into a shared block copies that one first: several
answers to one prompt, or several conversations with one start, pay for the start once. Rows beyond
the length are garbage, so forgetting tokens is a change of one number. (Paging and copy on write as
in Kwon et al. 2023, PagedAttention.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from sparkcode.errors import EngineError
from sparkcode.model import aligned
from sparkcode.model.blocks import F32
from sparkcode.model.weights import ModelConfig

BLOCK_TOKENS: Final = 32
"""Tokens a block of keys and values holds."""


class KVCache:
    """The state of one token sequence.

    A step calls ``reserve``, writes its rows behind the length, and then calls ``commit`` with its
    tokens. A step that fails before ``commit`` leaves the cache as it was.
    """

    def __init__(self, config: ModelConfig, capacity: int) -> None:
        """Hold at most ``capacity`` tokens; memory grows by blocks."""
        if capacity < 1:
            raise ValueError(f"{capacity=} has to be at least 1 token")
        self.capacity = capacity
        self.tokens: list[int] = []
        """The ids whose keys and values are held, in order."""
        self.last_logits: F32 | None = None
        """[vocab_size] after the last token, where it was the last of a step; else None."""
        self.blocks: list[F32] = []
        """[L, 2, G, 32, S] each, in order of their tokens: keys, then values."""
        self._shape = (config.num_layers, 2, config.num_kv_heads, BLOCK_TOKENS, config.head_size)
        self._shared = 0
        """Leading blocks that another cache may hold too."""
        self._addresses: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Number of tokens held."""
        return len(self.tokens)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that keys and values take, shared blocks included."""
        return sum(block.nbytes for block in self.blocks)

    @property
    def addresses(self) -> npt.NDArray[np.int64]:
        """Where each block lies in memory; holds until blocks are added, copied or dropped."""
        if self._addresses is None:
            self._addresses = np.array([block.ctypes.data for block in self.blocks], np.int64)
        return self._addresses

    def reserve(self, length: int) -> None:
        """Make room for ``length`` tokens in all; the rows behind those held may be written.

        Raises EngineError, code ``context_length_exceeded``, beyond ``capacity``.
        """
        if length > self.capacity:
            raise EngineError(
                f"{length} tokens do not fit: the context holds {self.capacity}",
                code="context_length_exceeded",
            )
        first = len(self) // BLOCK_TOKENS
        if length > len(self) and first < self._shared:
            for index in range(first, self._shared):
                copied = aligned.empty(self._shape, np.float32)
                copied[:] = self.blocks[index]
                self.blocks[index] = copied
            self._shared = first
            self._addresses = None
        while len(self.blocks) * BLOCK_TOKENS < length:
            self.blocks.append(aligned.empty(self._shape, np.float32))
            self._addresses = None

    def write(self, layer: int, keys: F32, values: F32) -> None:
        """Put a step's K and V of one layer, [T, G, S] each, behind the tokens held."""
        start, end = len(self), len(self) + len(keys)
        self.reserve(end)
        for index in range(start // BLOCK_TOKENS, -(-end // BLOCK_TOKENS)):
            base = index * BLOCK_TOKENS
            first, last = max(start, base), min(end, base + BLOCK_TOKENS)
            block, rows, taken = (
                self.blocks[index],
                slice(first - base, last - base),
                slice(first - start, last - start),
            )
            block[layer, 0, :, rows] = keys[taken].transpose(1, 0, 2)
            block[layer, 1, :, rows] = values[taken].transpose(1, 0, 2)

    def read(self, layer: int, length: int) -> tuple[F32, F32]:
        """Copies of a layer's first ``length`` keys and values, [G, length, S] each."""
        count = -(-length // BLOCK_TOKENS)
        both = np.concatenate([block[layer] for block in self.blocks[:count]], axis=2)
        return both[0, :, :length], both[1, :, :length]

    def commit(self, tokens: Sequence[int], last_logits: F32 | None = None) -> None:
        """Count a step's tokens as held, once every layer's rows are written."""
        self.tokens.extend(tokens)
        self.last_logits = last_logits

    def trim(self, length: int) -> None:
        """Forget every token after the first ``length``; ValueError when there are fewer."""
        if not 0 <= length <= len(self):
            raise ValueError(f"cannot trim to {length} tokens: {len(self)} are held")
        if length < len(self):
            del self.tokens[length:]
            self.last_logits = None
            kept = -(-length // BLOCK_TOKENS)
            del self.blocks[kept + 1 :]  # one stays, for a draft that is rejected again and again
            self._shared = min(self._shared, len(self.blocks))
            self._addresses = None

    def reuse_prefix(self, ids: Sequence[int]) -> int:
        """Trim to what a prompt ``ids`` shares with the tokens held; returns how many that is.

        At least one token of ``ids`` is left to be evaluated, because a prompt's last logits are
        what its answer starts from: the result is below ``len(ids)`` for any prompt.
        """
        shared = 0
        for held, wanted in zip(self.tokens, ids[:-1], strict=False):
            if held != wanted:
                break
            shared += 1
        self.trim(shared)
        return shared

    def fork(self, length: int | None = None) -> KVCache:
        """A cache of the first ``length`` tokens (default: all), to continue otherwise.

        It shares memory with this one until either is changed. ValueError when there are fewer.
        """
        held = len(self) if length is None else length
        if not 0 <= held <= len(self):
            raise ValueError(f"cannot fork at {length} tokens: {len(self)} are held")
        other = KVCache.__new__(KVCache)
        other.capacity, other._shape = self.capacity, self._shape
        other.tokens = self.tokens[:held]
        other.last_logits = self.last_logits if held == len(self) else None
        other.blocks = self.blocks[: -(-held // BLOCK_TOKENS)]
        other._shared, other._addresses = len(other.blocks), None
        self._shared = max(self._shared, other._shared)
        return other
