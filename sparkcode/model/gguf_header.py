"""The header of a GGUF file of any architecture: what it says, and how large its weights are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sparkcode.errors import WeightsError

LONG: Final = 4096
"""Elements from which an array is told by its length only."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """``fields`` by name; arrays of more than ``LONG`` elements as their length."""

    fields: dict[str, Any]
    parameters: int
    bytes: int
    tensors: frozenset[str]


def read_header(path: Path) -> GgufHeader:
    """WeightsError for a file that is missing, damaged or no GGUF."""
    from sparkcode.model.gguf_reader import BoundedReader  # it takes 0.1 s to import

    try:
        reader = BoundedReader(path)
        fields = {
            name: len(field.data) if len(field.data) > LONG else field.contents()
            for name, field in reader.fields.items()
        }
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise WeightsError(
            f"{path} is no usable GGUF file ({error}): it may be damaged, or in another format"
        ) from error
    return GgufHeader(
        fields,
        parameters=sum(int(tensor.n_elements) for tensor in reader.tensors),
        bytes=sum(int(tensor.n_bytes) for tensor in reader.tensors),
        tensors=frozenset(tensor.name for tensor in reader.tensors),
    )
