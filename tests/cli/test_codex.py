"""What is printed for Codex CLI."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from sparkcode.cli.codex import CATALOG, KEY_ENV, config_text
from sparkcode.cli.serve import serve
from tests.cli.scripted import invoke


def test_the_settings_are_toml_and_name_the_catalog() -> None:
    settings = tomllib.loads(config_text("127.0.0.1", 8900, needs_key=False))
    assert Path(settings["model_catalog_json"]) == CATALOG
    provider = settings["model_providers"][settings["model_provider"]]
    assert provider["base_url"] == "http://127.0.0.1:8900/v1"
    assert provider["wire_api"] == "responses"
    assert provider["supports_websockets"] is True
    assert "env_key" not in provider
    keyed = tomllib.loads(config_text("::1", 9, needs_key=True))["model_providers"]["spark"]
    assert (keyed["env_key"], keyed["base_url"]) == (KEY_ENV, "http://[::1]:9/v1")


def test_the_catalog_has_the_model_of_the_settings() -> None:
    (model,) = json.loads(CATALOG.read_text())["models"]
    assert model["slug"] == "spark"
    assert model["apply_patch_tool_type"] == "freeform"
    assert len(model["base_instructions"]) < 100


def test_serve_prints_them_and_serves_nothing() -> None:
    status, stdout, _ = invoke(serve, ["--print-codex-config", "--port", "9000"])
    assert status == 0
    provider = tomllib.loads(stdout)["model_providers"]["spark"]
    assert provider["base_url"] == "http://127.0.0.1:9000/v1"
