"""Where a name of Python's standard library comes from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Set
from functools import cache
from typing import Final

_SOURCES: Final = (
    "typing",
    "collections",
    "dataclasses",
    "pathlib",
    "functools",
    "contextlib",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "abc",
    "io",
    "urllib.parse",
    "concurrent.futures",
)
"""Modules whose names are mostly imported one by one, those first that are meant most often."""

_UNSAFE: Final = frozenset(
    {"antigravity", "idlelib", "lib2to3", "test", "this", "tkinter", "turtle"}
)
"""Modules that do something when they are imported, or are no part of a library."""

_FUNCTIONS: Final = frozenset(
    {
        *("abstractmethod", "asdict", "astuple", "asynccontextmanager", "cache", "cached_property"),
        *("closing", "contextmanager", "dataclass", "date", "datetime", "defaultdict", "deque"),
        *("field", "lru_cache", "namedtuple", "nullcontext", "overload", "partial", "quote"),
        *("reduce", "replace", "singledispatch", "suppress", "timedelta", "timezone", "unquote"),
        *("total_ordering", "urlencode", "urljoin", "urlparse", "wraps"),
    }
)
"""Names in small letters that are hardly anything else where they are called."""


def import_of(name: str, attributes: Set[str], *, called: bool) -> str:
    """The line that imports ``name``, or ``""`` where it is not known for sure.

    ``attributes`` are what is read of it, if nothing else is done with it; ``called`` is whether
    nothing else is done than calling it.
    """
    if attributes and _has(name, attributes):
        return f"import {name}"
    if not (name[:1].isupper() or (name in _FUNCTIONS and (called or attributes))):
        return ""
    module = _source(name)
    return f"from {module} import {name}" if module else ""


@cache
def _source(name: str) -> str:
    for module in _SOURCES:
        if name in getattr(importlib.import_module(module), "__all__", ()):
            return module
    # ``datetime`` names what it offers, ``enum`` and ``abc`` do so in some versions only.
    for module in ("datetime", "enum", "abc"):
        if hasattr(importlib.import_module(module), name):
            return module
    return ""


@cache
def _module(name: str) -> frozenset[str]:
    """What a module of the standard library has; nothing for any other."""
    known = name in sys.stdlib_module_names and name not in _UNSAFE and not name.startswith("_")
    if not known:
        return frozenset()
    try:
        return frozenset(dir(importlib.import_module(name)))
    except ImportError:
        return frozenset()


def _has(name: str, attributes: Set[str]) -> bool:
    return bool(_module(name)) and attributes <= _module(name)
