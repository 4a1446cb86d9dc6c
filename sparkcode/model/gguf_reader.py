"""The GGUF library's reader, bounded and made quick.

The library slices what is there, so a length of 2**60 in a damaged header would make it collect
empty fields until memory ends; here a read past the end is an error. It also makes several arrays
for each of a vocabulary's 300,000 strings, which takes seconds; here an array is read in one go.
Importing the library takes 0.1 s, and only packing needs it: import this module where it is used.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFValueType

MAX_ELEMENTS: Final = 16_000_000
"""Elements a header may hold; the largest known vocabularies need 2 million."""

_LENGTH = struct.Struct("<Q")

_Field = tuple[int, list[npt.NDArray[Any]], list[int], list[GGUFValueType]]
"""Size in bytes, parts, which of them are the contents, types from the outermost in."""


class BoundedReader(GGUFReader):
    """Raises ValueError for a header that is longer than its file, or has too many elements."""

    _elements = 0

    def _get(
        self, offset: int, dtype: Any, count: int = 1, override_order: Any = None
    ) -> npt.NDArray[Any]:
        self._count(1)
        if self.byte_order == "S":
            raise ValueError("it is big-endian or its version is unknown")
        return np.frombuffer(self.data, dtype=dtype, count=int(count), offset=int(offset))

    def _count(self, elements: int) -> None:
        self._elements += elements
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"its header has over {MAX_ELEMENTS:,} elements")

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> _Field:
        if raw_type != GGUFValueType.ARRAY:
            found: _Field = super()._get_field_parts(orig_offs, raw_type)
            return found
        kind, length = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        item, count = GGUFValueType(int(kind[0])), int(length[0])
        self._count(count)
        first = int(orig_offs) + 12
        types = [GGUFValueType.ARRAY, item] if count else [GGUFValueType.ARRAY]
        if item == GGUFValueType.STRING:
            size, strings = self._strings(first, count)
            return size + 12, [kind, length, *strings], list(range(2, count + 2)), types
        dtype = self.gguf_scalar_to_np.get(item)
        if dtype is None:
            raise ValueError(f"its header has an array of {item.name}, which cannot be read")
        numbers = self._get(first, dtype, count)
        return numbers.nbytes + 12, [kind, length, numbers], [2], types

    def _strings(self, first: int, count: int) -> tuple[int, list[npt.NDArray[np.uint8]]]:
        """``count`` strings from byte ``first``: their size with their lengths, and their bytes."""
        data, at = self.data.data, first
        strings = []
        for _ in range(count):
            try:
                (length,) = _LENGTH.unpack_from(data, at)
            except struct.error as error:
                raise ValueError("it ends within a list of strings") from error
            strings.append(np.frombuffer(data, np.uint8, length, at + _LENGTH.size))
            at += _LENGTH.size + length
        return at - first, strings
