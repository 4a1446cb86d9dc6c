"""Settings: one frozen :class:`Config`, and where each value came from.

Precedence: command-line flag > environment ``SPARKCODE_*`` > ``.sparkcode/config.toml`` of the
project > the user's ``config.toml`` > default. An unknown key or a wrong type is a ConfigError that
names the file and lists what exists. Keys never hold secrets: the API key comes from the
environment or a flag only.

A project's file comes with whatever was cloned, so it may choose looks and simulated hardware, not
which engine gets the code and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

from sparkcode.errors import ConfigError

ENV_PREFIX = "SPARKCODE_"
API_KEY_ENV = "SPARKCODE_API_KEY"
DEFAULT_PORT = 8900
MAX_TRIES = 16
_NUMBERS = ("tries",)
"""Keys whose value is a whole number."""


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
    tries: int = 4
    """Answers that may be asked for while checks find faults in an edit; 1 keeps the first."""
    check: str = ""
    """Shell command that the screen runs on an edit when asked to, such as ``pytest -q``."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and the place it came from, for ``config show``."""

    key: str
    value: str
    origin: str


PROJECT_KEYS = ("check", "chip", "pace", "profile", "theme")
"""What a project's own file may set. Its check is run as its tests are: when the user asks for it,
and with the command on the screen."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file and the keys it may set; it need not exist."""

    path: Path
    keys: tuple[str, ...]


def config_files(folder: Path) -> list[ConfigFile]:
    """The user's file and that of the project in ``folder``, weakest first."""
    everything = tuple(sorted(field.name for field in fields(Config)))
    return [
        ConfigFile(user_config_path(), everything),
        ConfigFile(project_config_path(folder), PROJECT_KEYS),
    ]


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
    files: Sequence[ConfigFile], environ: Mapping[str, str], flags: Mapping[str, str | int | None]
) -> tuple[Config, list[Setting]]:
    """The effective configuration, and each setting with its origin.

    ``files`` from weakest to strongest; ones that do not exist are skipped.
    """
    defaults = Config()
    settings = {
        field.name: Setting(field.name, str(getattr(defaults, field.name)), "default")
        for field in fields(Config)
    }
    for file in files:
        for key, value in _read(file).items():
            settings[key] = Setting(key, value, str(file.path))
    for key in settings:
        name = ENV_PREFIX + key.upper()
        if environ.get(name):
            settings[key] = Setting(key, environ[name], f"environment {name}")
        flag = flags.get(key)
        if flag is not None:
            settings[key] = Setting(key, str(flag), f"flag --{key}")
    values: dict[str, Any] = {key: setting.value for key, setting in settings.items()}
    values["tries"] = _tries(settings["tries"])
    return Config(**values), list(settings.values())


def _tries(setting: Setting) -> int:
    known = [str(number) for number in range(1, MAX_TRIES + 1)]
    if setting.value not in known:
        raise ConfigError(
            f"{setting.origin}: tries is {setting.value!r}; it is a number from 1 to {MAX_TRIES}"
        )
    return int(setting.value)


def _read(file: ConfigFile) -> dict[str, str]:
    known = {field.name for field in fields(Config)}
    try:
        table: dict[str, Any] = tomllib.loads(file.path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file.path}: {error}") from error
    for key, value in table.items():
        if key not in file.keys:
            what = "a key for your own configuration only" if key in known else "an unknown key"
            raise ConfigError(f"{file.path}: {key!r} is {what}; keys are {', '.join(file.keys)}")
        if type(value) is not (int if key in _NUMBERS else str):
            kind = "a whole number" if key in _NUMBERS else "a string"
            raise ConfigError(f"{file.path}: {key} = {value!r} should be {kind}")
    return {key: str(value) for key, value in table.items()}
