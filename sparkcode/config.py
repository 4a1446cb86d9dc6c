"""Settings: one frozen :class:`Config`, and where each value came from.

Precedence: command-line flag > environment ``SPARKCODE_*`` > ``.sparkcode/config.toml`` of the
project > the user's ``config.toml`` > default. An unknown key or a wrong type is a ConfigError that
names the file and lists what exists. Keys never hold secrets: the API key comes from the
environment or a flag only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

from sparkcode.errors import ConfigError

ENV_PREFIX = "SPARKCODE_"
API_KEY_ENV = "SPARKCODE_API_KEY"
DEFAULT_PORT = 8900


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting a file may hold."""

    url: str = ""
    """Responses endpoint of an engine that already runs; empty: find or start a local one."""
    model: str = ""
    """A name of the catalogue or a path to a GGUF file; empty: the default model."""
    engine: str = "spark"
    """Engine of a server that is started: ``spark`` or ``scripted``."""
    pace: str = ""
    """``live``, ``sim`` or ``max``; empty: the engine's own default."""
    chip: str = "wse3"
    """Simulated chip."""
    profile: str = "gpt-oss-120b"
    """Simulated model shape."""
    theme: str = "spark-dark"
    """Colours of the screen."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and the place it came from, for ``config show``."""

    key: str
    value: str
    origin: str


def user_config_path() -> Path:
    """``config.toml`` in the user's configuration folder; it need not exist."""
    return platformdirs.user_config_path("sparkcode") / "config.toml"


def project_config_path(folder: Path) -> Path:
    return folder / ".sparkcode" / "config.toml"


def cache_root(environ: Mapping[str, str]) -> Path:
    """Where weights and packed files live; ``SPARKCODE_CACHE`` overrides it."""
    override = environ.get(ENV_PREFIX + "CACHE", "")
    return Path(override).expanduser() if override else platformdirs.user_cache_path("sparkcode")


def load_config(
    files: list[Path], environ: Mapping[str, str], flags: Mapping[str, str | None]
) -> tuple[Config, list[Setting]]:
    """The effective configuration, and each setting with its origin.

    ``files`` from weakest to strongest; ones that do not exist are skipped.
    """
    defaults = Config()
    settings = {
        field.name: Setting(field.name, getattr(defaults, field.name), "default")
        for field in fields(Config)
    }
    for file in files:
        for key, value in _read(file).items():
            settings[key] = Setting(key, value, str(file))
    for key in settings:
        name = ENV_PREFIX + key.upper()
        if environ.get(name):
            settings[key] = Setting(key, environ[name], f"environment {name}")
        flag = flags.get(key)
        if flag is not None:
            settings[key] = Setting(key, flag, f"flag --{key}")
    config = Config(**{key: setting.value for key, setting in settings.items()})
    return config, list(settings.values())


def _read(file: Path) -> dict[str, str]:
    known = sorted(field.name for field in fields(Config))
    try:
        table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{file}: unknown key {key!r}; keys are {', '.join(known)}")
        if not isinstance(value, str):
            raise ConfigError(f"{file}: {key} = {value!r} should be a string")
    return table
