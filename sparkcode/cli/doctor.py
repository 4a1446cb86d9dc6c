"""``sparkcode doctor``: what works here, what does not, and what would mend it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import click

from sparkcode import __version__
from sparkcode.config import (
    DEFAULT_PORT,
    Config,
    cache_root,
    config_files,
    load_config,
)
from sparkcode.errors import ConfigError, SparkError

Status = Literal["ok", "warn", "fail"]

PACKAGES = [
    "textual",
    "websockets",
    "httpx",
    "starlette",
    "uvicorn",
    "tiktoken",
    "pygments",
    "numpy",
    "llvmlite",
    "gguf",
    "click",
    "msgspec",
]
_MIN_FREE_BYTES = 4_000_000_000
"""Weights, their packed form, and room for a pull."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    id: str
    status: Status
    detail: str


def python_check() -> Check:
    good = sys.version_info >= (3, 11)
    return Check("python", "ok" if good else "fail", platform.python_version())


def terminal_check() -> Check:
    if not sys.stdout.isatty():
        return Check("terminal", "warn", "stdout is no terminal: the screen will not start here")
    columns, rows = shutil.get_terminal_size()
    term = os.environ.get("TERM", "")
    small = columns < 80 or rows < 24 or term in ("", "dumb")
    return Check("terminal", "warn" if small else "ok", f"{columns}x{rows}, TERM={term!r}")


def config_check() -> Check:
    files = config_files(Path.cwd())
    config, _ = load_config(files, os.environ, {})
    check_values(config)
    present = [str(file.path) for file in files if file.path.exists()]
    return Check("config", "ok", ", ".join(present) or "defaults only")


def check_values(config: Config) -> None:
    """ConfigError or UsageError that lists what exists, for a value that names nothing."""
    from sparkcode.tui.theme import load_themes
    from sparkcode.wafer.profile import load_profile

    load_themes().get(config.theme)
    load_profile(config.chip, config.profile)
    for key, known in (("engine", ("spark", "scripted")), ("pace", ("", "live", "sim", "max"))):
        if getattr(config, key) not in known:
            value, names = getattr(config, key), ", ".join(filter(None, known))
            raise ConfigError(f"{key} is {value!r}; there are {names}")


def weights_check() -> Check:
    from sparkcode.model.catalogue import DEFAULT_MODEL, load_catalogue
    from sparkcode.model.store import ModelStore, models_folder

    store = ModelStore(models_folder(os.environ))
    entries = load_catalogue()
    present = [name for name, entry in entries.items() if store.have(entry)]
    if DEFAULT_MODEL in present:
        return Check("weights", "ok", f"{', '.join(present)} in {store.folder}")
    advice = f"the default model is absent: `sparkcode models pull {DEFAULT_MODEL}`"
    return Check("weights", "warn", advice)


def disk_check() -> Check:
    folder = cache_root(os.environ)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    status: Status = "ok" if free >= _MIN_FREE_BYTES else "warn"
    writable = os.access(folder, os.W_OK)
    detail = f"{free / 1e9:.1f} GB free at {folder}{'' if writable else ', not writable'}"
    return Check("disk", status if writable else "fail", detail)


def kernel_check() -> Check:
    from sparkcode.model.kernels.choice import choose_kernel, processor_features
    from sparkcode.model.kernels.team import available_threads

    choice = choose_kernel(os.environ, processor_features())
    place = f"{platform.machine()}, {available_threads()} threads"
    return Check("kernel", "ok", f"{choice.name} ({place}): {choice.reason}")


def themes_check() -> Check:
    from sparkcode.tui.theme import load_themes

    found = load_themes()
    if found.problems:
        return Check("themes", "warn", "; ".join(found.problems))
    return Check("themes", "ok", ", ".join(found.themes))


def engine_check() -> Check:
    from sparkcode.link.local import local_health

    health = asyncio.run(local_health())
    if health is None:
        detail = f"none runs on port {DEFAULT_PORT}; one is started when needed"
        return Check("engine", "ok", detail)
    detail = f"{health.engine} with {health.model} runs on port {DEFAULT_PORT}"
    return Check("engine", "ok", detail)


CHECKS: tuple[Callable[[], Check], ...] = (
    python_check,
    terminal_check,
    config_check,
    weights_check,
    disk_check,
    kernel_check,
    themes_check,
    engine_check,
)


def run_checks(checks: tuple[Callable[[], Check], ...]) -> Iterator[Check]:
    """Each check's result; one that raises our own error is a failed check, not a crash."""
    for check in checks:
        try:
            yield check()
        except SparkError as error:
            yield Check(check.__name__.removesuffix("_check"), "fail", str(error))


def versions() -> dict[str, str]:
    """Installed versions of what the project is built on; ``absent`` where there is none."""
    found = {"sparkcode": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> int:
    """Check this installation; exit status 1 if something cannot work."""
    results = list(run_checks(CHECKS))
    if as_json:
        report = {"checks": [asdict(check) for check in results], "versions": versions()}
        click.echo(json.dumps(report))
    else:
        for check in results:
            click.echo(f"{check.status:<4}  {check.id:<9} {check.detail}")
        click.echo("  ".join(f"{name} {number}" for name, number in versions().items()))
    return 1 if any(check.status == "fail" for check in results) else 0
