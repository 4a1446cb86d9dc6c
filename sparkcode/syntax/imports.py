"""Which files of a project the imports of a file name: each language's rules for paths. Pure.

Nothing is looked up here: an import may lead to several places, and which one it is tells the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final

from sparkcode.syntax.languages import language_of
from sparkcode.syntax.lines import Region
from sparkcode.syntax.names import names_in
from sparkcode.syntax.outline import names_needed, outline

Places = tuple[str, ...]
"""Where one import may lead, the likeliest first."""

_SCRIPT_ENDINGS: Final = (
    "", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".d.ts", "/index.ts", "/index.tsx", "/index.js",
)  # fmt: skip
_FROM: Final = re.compile(
    r"\s*from\s+(?P<dots>\.*)(?P<module>[\w.]*)\s+import\b(?P<names>.*)", re.DOTALL
)
_IMPORT: Final = re.compile(r"\s*import\s+(?P<modules>[^#]*)", re.DOTALL)
_SPECIFIER: Final = re.compile(r"""["'](?P<path>\.{1,2}/[^"'\n]+)["']""")
_INCLUDE: Final = re.compile(r'#\s*include\s+"(?P<path>[^"\n]+)"')
_RUST: Final = re.compile(r"\buse\s+(?P<root>crate|self|super)::(?P<path>[\w:]+)")
_RUST_MODULE: Final = re.compile(r"\bmod\s+(?P<name>\w+)\s*;")
_BRINGS: Final = re.compile(r"\brequire\(|^\s*(?:pub\s+)?mod\s+\w+\s*;")
"""Other statements that do what an import does."""
_JAVA: Final = re.compile(r"\bimport\s+(?:static\s+)?(?P<path>[\w.]+)\s*;")
_SCRIPTS: Final = frozenset({"javascript", "typescript", "tsx"})


def imports_used(text: str, path: str, region: Region, wanted: str = "") -> tuple[Places, ...]:
    """Where the imports lead whose names the ``region`` of the file ``path`` needs.

    ``wanted`` is an instruction, which may name more. Paths are relative, with forward slashes, and
    never lead above where ``path`` starts.
    """
    language = language_of(path)
    used = names_needed(text, language, region) | names_in(wanted)
    found: dict[Places, None] = {}
    for piece in outline(text, language, Region(0, 0)):
        brings = piece.kind == "import" or _BRINGS.search(piece.text) is not None
        if brings and (piece.names & used or language in ("c", "cpp")):
            for places in _places(piece.text, language, PurePosixPath(path), used):
                inside = (normpath(place) for place in places)
                kept = tuple(dict.fromkeys(each for each in inside if _contained(each, path)))
                found[kept] = None
    return tuple(places for places in found if places)


def _contained(place: str, path: str) -> bool:
    return place not in (".", path) and not place.startswith(("../", "/"))


def _places(line: str, language: str, path: PurePosixPath, used: Set[str]) -> Iterator[Places]:
    here = path.parent
    if language == "python":
        yield from _python(line, here, used)
    elif language in _SCRIPTS:
        for match in _SPECIFIER.finditer(line):
            yield _script(str(here / match["path"]))
    elif language in ("c", "cpp"):
        for match in _INCLUDE.finditer(line):
            yield (str(here / match["path"]), match["path"], f"include/{match['path']}")
    elif language == "rust":
        yield from _rust(line, path)
    elif language == "java":
        for match in _JAVA.finditer(line):
            name = f"{match['path'].replace('.', '/')}.java"
            yield tuple(str(folder / name) for folder in (here, *here.parents))


def _script(path: str) -> Places:
    # A module in TypeScript is imported by the name of what it is compiled to.
    bare = re.sub(r"\.[mc]?jsx?$", "", path)
    ends = [path + ending for ending in _SCRIPT_ENDINGS]
    return tuple(dict.fromkeys([path, *(bare + ending for ending in (".ts", ".tsx")), *ends]))


def _python(line: str, here: PurePosixPath, used: Set[str]) -> Iterator[Places]:
    if (match := _FROM.match(line)) is not None:
        pairs = re.findall(r"(\w+)(?:\s+as\s+(\w+))?", match["names"])
        names = [name for name, alias in pairs if (alias or name) in used]
        module = match["module"].split(".") if match["module"] else []
        roots = [here, *here.parents, PurePosixPath("src")]
        if match["dots"]:
            up = len(match["dots"]) - 1
            roots = [(here, *here.parents)[up]] if up <= len(here.parents) else []
        # What is imported from a package may be a module of it.
        for name in names:
            yield _modules(roots, [*module, name])
        if names:
            yield _modules(roots, module)
    elif (match := _IMPORT.match(line)) is not None:
        for part in match["modules"].split(","):
            module = part.split(" as ")[0].strip().split(".")
            names = part.split(" as ")[-1].strip().split(".")
            if names[0] in used:
                yield _modules([here, *here.parents, PurePosixPath("src")], module)


def _modules(roots: list[PurePosixPath], module: list[str]) -> Places:
    if not module:
        return tuple(str(root / "__init__.py") for root in roots)
    stems = [root.joinpath(*module) for root in roots]
    return tuple(place for stem in stems for place in (f"{stem}.py", f"{stem}/__init__.py"))


def _rust(line: str, path: PurePosixPath) -> Iterator[Places]:
    here = path.parent
    own = here if path.stem in ("mod", "lib", "main") else here / path.stem
    for match in _RUST_MODULE.finditer(line):
        yield (str(own / f"{match['name']}.rs"), str(own / match["name"] / "mod.rs"))
    for match in _RUST.finditer(line):
        if match["root"] == "crate":
            parents = [each for each in (here, *here.parents) if each.name == "src"]
            root = parents[0] if parents else PurePosixPath("src")
        else:
            root = own if match["root"] == "self" else own.parent
        parts = [part for part in match["path"].split("::") if part]
        stems = [root.joinpath(*parts[:count]) for count in range(len(parts), 0, -1)]
        yield tuple(place for stem in stems for place in (f"{stem}.rs", f"{stem}/mod.rs"))
