"""Keys and values of the tokens already evaluated, so that a step costs only its new tokens.

Storage is one contiguous array for each of K and V, grown in whole blocks and by half its size at
least, so that appending stays cheap and a short conversation does not pay for a long context. Rows
beyond the length are garbage: forgetting tokens is a change of one number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.weights import ModelConfig


class KVCache:
    """The state of one token sequence.

    A step calls ``append`` once a layer and then ``commit`` with its tokens. A step that fails
    before ``commit`` leaves the cache as it was.
    """

    def __init__(self, config: ModelConfig, capacity: int, *, block_size: int = 256) -> None:
        """Hold at most ``capacity`` tokens; memory grows by multiples of ``block_size`` tokens."""
        if capacity < 1 or block_size < 1:
            raise ValueError(f"{capacity=} and {block_size=} have to be at least 1")
        self.capacity = capacity
        self.block_size = block_size
        self.tokens: list[int] = []
        """The ids whose keys and values are held, in order."""
        self.last_logits: F32 | None = None
        """[vocab_size] after the last token, where it was the last of a step; else None."""
        shape = (config.num_layers, config.num_kv_heads, 0, config.head_size)
        self._keys = np.empty(shape, np.float32)  # [L, G, rows, S]
        self._values = np.empty(shape, np.float32)  # [L, G, rows, S]

    def __len__(self) -> int:
        """Number of tokens held."""
        return len(self.tokens)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that keys and values take."""
        return self._keys.nbytes + self._values.nbytes

    def append(self, layer: int, keys: F32, values: F32) -> tuple[F32, F32]:
        """Add a step's K and V, [T, G, S] each; returns all of the layer's, [G, N + T, S] each."""
        start, end = len(self), len(self) + len(keys)
        self.reserve(end)
        self._keys[layer, :, start:end] = keys.transpose(1, 0, 2)
        self._values[layer, :, start:end] = values.transpose(1, 0, 2)
        return self._keys[layer, :, :end], self._values[layer, :, :end]

    def reserve(self, length: int) -> None:
        """Make room for ``length`` tokens in all.

        Raises EngineError, code ``context_length_exceeded``, beyond ``capacity``.
        """
        if length > self.capacity:
            raise EngineError(
                f"{length} tokens do not fit: the context holds {self.capacity}",
                code="context_length_exceeded",
            )
        rows = self._keys.shape[2]
        if length <= rows:
            return
        wanted = max(length, rows + rows // 2)
        rows = min(-(-wanted // self.block_size) * self.block_size, self.capacity)
        self._keys = _grown(self._keys, len(self), rows)
        self._values = _grown(self._values, len(self), rows)

    def commit(self, tokens: Sequence[int], last_logits: F32 | None = None) -> None:
        """Count a step's tokens as held, once every layer has appended theirs."""
        self.tokens.extend(tokens)
        self.last_logits = last_logits

    def trim(self, length: int) -> None:
        """Forget every token after the first ``length``; ValueError when there are fewer."""
        if not 0 <= length <= len(self):
            raise ValueError(f"cannot trim to {length} tokens: {len(self)} are held")
        if length < len(self):
            del self.tokens[length:]
            self.last_logits = None

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
        """An independent copy of the first ``length`` tokens (default: all), to continue otherwise.

        ValueError when there are fewer.
        """
        held = len(self) if length is None else length
        if not 0 <= held <= len(self):
            raise ValueError(f"cannot fork at {length} tokens: {len(self)} are held")
        other = KVCache.__new__(KVCache)
        other.capacity, other.block_size = self.capacity, self.block_size
        other.tokens = self.tokens[:held]
        other.last_logits = self.last_logits if held == len(self) else None
        other._keys = self._keys[:, :, :held].copy()
        other._values = self._values[:, :, :held].copy()
        return other


def _grown(old: F32, held: int, rows: int) -> F32:
    """[L, G, any, S] -> [L, G, rows, S] with the first ``held`` rows copied."""
    new = np.empty((*old.shape[:2], rows, old.shape[3]), np.float32)
    new[:, :, :held] = old[:, :, :held]
    return new
