"""Where chips and models are found: the package's own data, a folder of the user's, or one file.

Data files are small TOML documents named after what they describe; a file that is given by its path
may also be the JSON that others publish. A user's file of the same name
hides the package's. Package data is read through ``importlib.resources``, so that a source tree, an
installed wheel and a zipped one behave alike.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Literal

from sparkcode.errors import ConfigError, UsageError

Shelf = Literal["chips", "models"]
"""The package's data folders."""

MAX_FILE_BYTES: Final = 65_536
"""Longer than any honest data file; a guard against being pointed at something else."""

JSON_SUFFIX: Final = ".json"
_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One parsed file: ``name`` is its stem, ``where`` what messages call it."""

    name: str
    where: str
    table: Mapping[str, object]


def names(shelf: Shelf, folder: Path | None = None) -> list[str]:
    """Every name that ``read`` knows, sorted. A ``folder`` that does not exist holds nothing."""
    return sorted(_entries(shelf, folder))


def read(shelf: Shelf, name: str, folder: Path | None = None) -> DataFile:
    """The file called ``name``, however it is hyphenated, from ``folder`` before the package; or
    the path of a .toml or .json file.

    Raises ``UsageError`` if there is none, ``ConfigError`` if it cannot be parsed.
    """
    if name.endswith((_SUFFIX, JSON_SUFFIX)):
        path = Path(name)
        if not path.exists():
            raise UsageError(f"no file {name!r}; give the path of a {shelf[:-1]} file that exists")
        return _parse(path, where=name)
    entries = _entries(shelf, folder)
    name = next((known for known in entries if _alike(known, name)), name)
    if name not in entries:
        listed = ", ".join(sorted(entries))
        raise UsageError(f"unknown {shelf[:-1]} {name!r}; expected one of: {listed}")
    return _parse(entries[name], where=f"{shelf}/{name}{_SUFFIX}")


def _alike(known: str, name: str) -> bool:
    """People write WSE-3 and llama3.1-8b."""
    return bool(name) and _bare(known) == _bare(name) and "/" not in name


def _bare(name: str) -> str:
    """``name`` without what people leave out or add."""
    return re.sub(r"[-_. ]", "", name.casefold())


def _entries(shelf: Shelf, folder: Path | None) -> dict[str, Traversable]:
    shelves: list[Traversable] = [files("sparkcode.wafer").joinpath(shelf)]
    if folder is not None and folder.is_dir():
        shelves.append(folder)
    return {
        entry.name.removesuffix(_SUFFIX): entry
        for place in shelves
        for entry in place.iterdir()
        if entry.name.endswith(_SUFFIX)
    }


def _parse(entry: Traversable, *, where: str) -> DataFile:
    try:
        with entry.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError(f"{where}: longer than {MAX_FILE_BYTES} bytes; not a data file")
        table = json.loads(raw) if where.endswith(JSON_SUFFIX) else tomllib.loads(raw.decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        kind = "JSON" if where.endswith(JSON_SUFFIX) else "TOML"
        raise ConfigError(f"{where}: cannot be read as {kind}: {reason}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: holds no table of names and values")
    return DataFile(entry.name.removesuffix(_SUFFIX), where, table)
