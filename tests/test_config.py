from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from sparkcode.config import (
    PROJECT_KEYS,
    Config,
    ConfigFile,
    cache_root,
    config_files,
    load_config,
    project_config_path,
    user_config_path,
)
from sparkcode.errors import ConfigError

KEYS = tuple(sorted(field.name for field in fields(Config)))


def test_defaults() -> None:
    config, settings = load_config([], {}, {})
    assert config == Config()
    assert {setting.origin for setting in settings} == {"default"}


def test_precedence_flag_environment_project_user(tmp_path: Path) -> None:
    user, project = tmp_path / "user.toml", tmp_path / "project.toml"
    user.write_text('theme = "u"\nmodel = "u"\nchip = "u"\npace = "sim"\n')
    project.write_text('theme = "p"\nmodel = "p"\nchip = "p"\n')
    environ = {"SPARKCODE_THEME": "e", "SPARKCODE_MODEL": "e", "SPARKCODE_URL": ""}
    files = [ConfigFile(path, KEYS) for path in (user, project, tmp_path / "absent.toml")]
    config, settings = load_config(files, environ, {"theme": "f", "url": None})
    assert (config.theme, config.model, config.chip, config.pace) == ("f", "e", "p", "sim")
    origins = {setting.key: setting.origin for setting in settings}
    assert origins["theme"] == "flag --theme"
    assert origins["model"] == "environment SPARKCODE_MODEL"
    assert origins["chip"] == str(project)
    assert origins["pace"] == str(user)
    assert origins["url"] == "default"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('colour = "red"', "'colour' is an unknown key; keys are check, chip"),
        ("theme = 3", "theme = 3 should be a string"),
        ("theme =", "Invalid value"),
        ("\xff", "decode"),
    ],
)
def test_a_bad_file_names_itself(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=f"config.toml: .*{reason}"):
        load_config([ConfigFile(file, KEYS)], {}, {})


@pytest.mark.parametrize("key", sorted(set(KEYS) - set(PROJECT_KEYS)))
def test_a_project_cannot_choose_who_gets_the_code_and_the_key(tmp_path: Path, key: str) -> None:
    file = project_config_path(tmp_path)
    file.parent.mkdir()
    file.write_text(f'{key} = "http://elsewhere"')
    with pytest.raises(ConfigError, match=f"{key!r} is a key for your own configuration only"):
        load_config(config_files(tmp_path)[1:], {}, {})
    file.write_text('theme = "spark-light"')
    assert load_config(config_files(tmp_path)[1:], {}, {})[0].theme == "spark-light"


def test_places(tmp_path: Path) -> None:
    assert user_config_path().name == "config.toml"
    assert project_config_path(tmp_path) == tmp_path / ".sparkcode" / "config.toml"
    assert cache_root({"SPARKCODE_CACHE": str(tmp_path)}) == tmp_path
    assert cache_root({}).name == "sparkcode"
