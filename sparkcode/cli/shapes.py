"""A model's shape as commands take it: a name, a TOML file, a config.json or a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkcode.wafer.shape import ModelShape


def shape_of(text: str | None) -> ModelShape:
    """The shape that ``text`` means; the default for None.

    Raises UsageError for an unknown name, ConfigError or WeightsError for a file that says nothing
    usable.
    """
    from sparkcode.wafer.shape import DEFAULT_SHAPE, load_shape

    if text is None or not text.endswith(".gguf"):
        return load_shape(text or DEFAULT_SHAPE)
    from sparkcode.model.gguf_header import read_header
    from sparkcode.wafer.catalogue import DataFile
    from sparkcode.wafer.gguf_shape import gguf_table
    from sparkcode.wafer.shape import build_shape

    header = read_header(Path(text))
    table = gguf_table(
        header.fields,
        where=text,
        weight_bytes=header.bytes / max(1, header.parameters),
        tied_embeddings="output.weight" not in header.tensors,
    )
    return build_shape(DataFile(Path(text).stem, text, table))
