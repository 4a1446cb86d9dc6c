"""Which language a file is in, by its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

_LANGUAGES: Final = {
    "py": "python",
    "pyi": "python",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "cjs": "javascript",
    "ts": "typescript",
    "mts": "typescript",
    "cts": "typescript",
    "tsx": "tsx",
    "go": "go",
    "rs": "rust",
    "java": "java",
    "c": "c",
    "h": "c",
    "cc": "cpp",
    "cpp": "cpp",
    "cxx": "cpp",
    "hh": "cpp",
    "hpp": "cpp",
    "hxx": "cpp",
    "sh": "bash",
    "bash": "bash",
    "css": "css",
    "html": "html",
    "json": "json",
    "md": "markdown",
    "rb": "ruby",
    "sql": "sql",
    "toml": "toml",
    "yaml": "yaml",
    "yml": "yaml",
}


def language_of(path: str) -> str:
    """The language that a path's ending tells, as a fence names it; "" if it tells none."""
    return _LANGUAGES.get(PurePosixPath(path).suffix.lower().removeprefix("."), "")


def suffix_of(language: str) -> str:
    """The usual ending of a file in ``language``, with its dot."""
    wanted = "bash" if language == "shell" else language
    known = (f".{suffix}" for suffix, name in _LANGUAGES.items() if name == wanted)
    return next(known, f".{language}")
