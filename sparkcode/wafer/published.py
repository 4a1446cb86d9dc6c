"""Published figures: rows of a table of measurements, and what kind of system each was made on.

The table that ships, ``published_inference.csv``, is the one that the constants were fitted to.
Its columns are named in its first line; ``klass`` groups rows of one kind.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.shape import ModelShape

FILE: Final = "published_inference.csv"
MAX_FILE_BYTES: Final = 4_000_000

LEAST: Final = 1e-12
"""No published figure is smaller, nor larger than its inverse."""

_COLUMNS: Final = (
    "row_id",
    "system",
    "chips",
    "model",
    "precision",
    "context_in",
    "output_tokens",
    "batch_or_users",
    "metric",
    "value",
    "confidence",
    "klass",
    "source",
    "notes",
)

_BYTES: Final = {"fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.625}
"""Of a weight, with its share of scales (gpt-fast's groups of 32 have a scale and a zero point)."""

_FAMILIES: Final = (
    (r"llama-?3(\.\d)?-?(?P<size>8b|70b|405b)", "llama-3.1-{size}"),
    (r"deepseek-?r1-?distill-?llama-?(?P<size>8b|70b)", "llama-3.1-{size}"),
    (r"llama-?2?-?(?P<size>7b|13b|70b)", "llama-2-{size}"),
    (r"llama-?4-?(?P<size>scout|maverick)", "llama-4-{size}"),
    (r"code-?llama-?34b", "codellama-34b"),
    (r"qwen-?2(\.5)?-?72b", "qwen2-72b"),
    (r"qwen-?2\.5-?coder-?(?P<size>0\.5b|1\.5b)", "qwen2.5-coder-{size}"),
    (r"qwen-?3-?32b", "qwen3-32b"),
    (r"qwen-?3-?235b", "qwen3-235b-a22b"),
    (r"qwen-?3-?coder-?480b", "qwen3-coder-480b-a35b"),
    (r"gpt-oss-120b|gpt-5\.3-codex-spark", "gpt-oss-120b"),
    (r"glm-?4\.[567]", "glm-4.6"),
    (r"kimi-?k2", "kimi-k2"),
    (r"mistral-?large", "mistral-large-2"),
    (r"gemma-?4-?31b", "gemma-4-31b"),
    (r"mixtral-?8x7b", "mixtral-8x7b"),
    (r"gpt-?j-?6b", "gpt-j-6b"),
    (r"falcon-?180b", "falcon-180b"),
    (r"deepseek-?(r1|v3)", "deepseek-r1"),
)
"""How tables call the shapes of the package; the first that a name begins with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure. Counts are 0 where the table leaves them open."""

    row_id: str
    system: str
    chips: str
    model: str
    precision: str
    context: int
    output: int
    users: int
    metric: str
    value: float
    confidence: str
    klass: str
    source: str
    notes: str

    @property
    def shape_name(self) -> str | None:
        """The package's name for its model, if the package knows its sizes."""
        for pattern, name in _FAMILIES:
            if found := re.match(pattern, self.model.lower()):
                return name.format(**found.groupdict())
        return None

    @property
    def devices(self) -> tuple[int, int]:
        """Devices in all, and the nodes over which they are spread."""
        found = re.match(r"(?:(\d{1,5})\s*x\s*)?(\d{1,5})\s*x?\s*(?=[A-Z])", self.chips)
        if not found:
            return 1, 1
        nodes = max(1, int(found[1] or 1))
        return nodes * max(1, int(found[2])), nodes

    @property
    def grids(self) -> tuple[int, ...]:
        """Sides of the square grids of cores that it names."""
        pairs = re.findall(r"(?<!\d)([1-9]\d{0,3})x(\d+)", self.chips)
        return tuple(int(side) for side, other in pairs if side == other)


def stored(shape: ModelShape, precision: str) -> ModelShape:
    """``shape`` with weights and values as a table's ``precision`` says; its own where it does not.

    Eight-bit floating point is multiplied as it is and caches keys and values in eight bits too;
    integers are widened.
    """
    size = _BYTES.get(precision)
    if size is None:
        return shape
    native = precision == "fp8"
    return replace(
        shape,
        weight_bytes_per_parameter=size,
        expert_bytes_per_parameter=0.0,
        activation_bits=8 if native else 16,
        kv_bytes_per_element=1.0 if native else shape.kv_bytes_per_element,
    )


def development_rows() -> list[Row]:
    """The rows that ship."""
    text = files("sparkcode.wafer").joinpath(FILE).read_text(encoding="utf-8")
    return parse(text, FILE)


def read_rows(path: Path) -> list[Row]:
    """The rows of a table of the user's. UsageError if it cannot be read, ConfigError if a line is
    no row."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise UsageError(f"{path}: longer than {MAX_FILE_BYTES} bytes; not a table of figures")
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise UsageError(f"cannot read {str(path)!r}: {reason}; give a CSV file") from error
    return parse(text, str(path))


def parse(text: str, where: str) -> list[Row]:
    """Raises ``ConfigError`` with the line's number and what would be right."""
    # Only real ends of lines: a note may hold any other character.
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        return _rows(reader, where)
    except csv.Error as error:
        raise ConfigError(f"{where}: line {reader.line_num}: {error}") from error


def _rows(reader: csv.DictReader[str], where: str) -> list[Row]:
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(f"{where}: missing column {missing[0]!r}; expected {_listed(_COLUMNS)}")
    return [_row(line, f"{where}: line {reader.line_num}") for line in reader]


def _row(line: dict[str, str | None], where: str) -> Row:
    text = {name: (line[name] or "").strip() for name in _COLUMNS}
    return Row(
        row_id=text["row_id"] or where,
        system=text["system"],
        chips=text["chips"],
        model=text["model"],
        precision=text["precision"],
        context=_count(text["context_in"], where, "context_in"),
        output=_count(text["output_tokens"], where, "output_tokens"),
        users=_count(text["batch_or_users"], where, "batch_or_users"),
        metric=text["metric"],
        value=_number(text["value"], where, "value"),
        confidence=text["confidence"],
        klass=text["klass"],
        source=text["source"],
        notes=text["notes"],
    )


def _number(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST <= value <= 1 / LEAST:
        raise ConfigError(
            f"{where}: {column} {text!r}; expected a number from {LEAST:g} to {1 / LEAST:g}"
        )
    return value


def _count(text: str, where: str, column: str) -> int:
    if not text:
        return 0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9 or value != int(value):
        raise ConfigError(f"{where}: {column} {text!r}; expected a whole number or nothing")
    return int(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
