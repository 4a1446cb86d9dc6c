"""Where the tests of a file go, and what they are written with: each language's habits. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from sparkcode.syntax.languages import language_of

_SCRIPTS: Final = frozenset({"javascript", "typescript", "tsx"})
_ROOTS: Final = frozenset({"src", "lib"})
"""Folders that are no part of a Python module's name."""

Exists = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """A test file, and what its author has to know."""

    path: str
    hint: str
    """The framework, and how the tests reach what they test."""


def place_of_tests(path: str, name: str, exists: Exists) -> Place:
    """Where the tests of ``name`` in the file ``path`` go.

    A test file that is there wins; else the project's habits decide as far as its folders show
    them, else the file stands beside what it tests.
    """
    language, here = language_of(path), PurePosixPath(path)
    found = Place(str(here.with_name(f"test_{here.name}")), "Use no framework.")
    if language == "python":
        found = Place(_first(_python(path, exists), exists), _python_hint(path, name))
    elif language in _SCRIPTS:
        found = _script(here, name, exists)
    elif language == "go":
        found = Place(str(here.with_name(f"{here.stem}_test.go")), _GO_HINT)
    elif language == "rust":
        found = Place(path, "Use a module `tests` with `#[cfg(test)]` and `use super::*`.")
    elif language == "java":
        java = PurePosixPath(path.replace("src/main/", "src/test/", 1))
        found = Place(str(java.with_name(f"{java.stem}Test.java")), "Use JUnit 5.")
    return found


def _script(here: PurePosixPath, name: str, exists: Exists) -> Place:
    beside = here.with_name(f"{here.stem}.test{here.suffix}")
    apart = here.parent / "__tests__" / beside.name
    spec = here.with_name(f"{here.stem}.spec{here.suffix}")
    places = [spec, apart, beside] if exists(str(apart.parent)) else [spec, beside]
    chosen = _first([str(each) for each in places], exists)
    way = f"../{here.stem}" if "__tests__" in chosen else f"./{here.stem}"
    named = f' Import it with `import {{ {name} }} from "{way}"`.' if name else ""
    return Place(chosen, f"Use `test` and `expect` as in Jest.{named}")


_GO_HINT: Final = "Use the package testing, in the same package."


def _first(places: list[str], exists: Exists) -> str:
    """The first that is there, else the last."""
    return next((place for place in places if exists(place)), places[-1])


def _python(path: str, exists: Exists) -> list[str]:
    here = PurePosixPath(path)
    if here.name.startswith("test_"):
        return [path]
    name = f"test_{here.name}"
    folders = list(here.parent.parts)
    inner = folders[1:] if folders and folders[0] in _ROOTS else folders
    places = [
        PurePosixPath("tests", *inner[1:], name),
        PurePosixPath("tests", *inner, name),
        PurePosixPath("tests", name),
        here.with_name(name),
        here.parent / "tests" / name,
    ]
    usual = [each for each in places[:3] if exists(str(each.parent))]
    default = usual[0] if usual else here.with_name(name)
    return [*map(str, places), str(default)]


def _python_hint(path: str, name: str) -> str:
    parts = list(PurePosixPath(path).with_suffix("").parts)
    parts = parts[1:] if len(parts) > 1 and parts[0] in _ROOTS else parts
    parts = parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts
    module = ".".join(parts)
    line = f"from {module} import {name}" if name else f"import {module}"
    return f"Use pytest and plain asserts. Begin with `{line}`."
