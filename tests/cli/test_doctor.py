from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sparkcode.cli import doctor as room
from sparkcode.cli.doctor import Check, doctor, run_checks, versions
from sparkcode.config import cache_root
from sparkcode.errors import ConfigError
from sparkcode.link.local import Health


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no weights of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_json_names_each_check_and_version() -> None:
    result = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    report = json.loads(result.stdout)
    status = {check["id"]: check["status"] for check in report["checks"]}
    assert status["python"] == status["config"] == status["disk"] == "ok"
    assert status["weights"] == "warn"
    assert set(status.values()) <= {"ok", "warn", "fail"}
    assert report["versions"]["textual"] == versions()["textual"]
    assert result.return_value == 0


def test_a_broken_config_fails(tmp_path: Path) -> None:
    (tmp_path / ".sparkcode").mkdir()
    (tmp_path / ".sparkcode" / "config.toml").write_text("colour = 1")
    result = CliRunner().invoke(doctor, [], standalone_mode=False)
    assert "fail  config" in result.stdout
    assert "'colour' is an unknown key" in result.stdout
    assert result.return_value == 1


def failing_check() -> Check:
    raise ConfigError("all wrong")


def test_an_error_of_ours_is_a_failed_check() -> None:
    assert list(run_checks((failing_check,))) == [Check("failing", "fail", "all wrong")]


def test_absent_packages_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PACKAGES", ("no-such-package-at-all",))
    assert versions()["no-such-package-at-all"] == "absent"


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "term", "status"), [("120", "xterm", "ok"), ("60", "xterm", "warn")]
)
def test_the_terminal(
    columns: str, term: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TERM", term)
    assert room.terminal_check().status == status


def answering(health: Health | None) -> Callable[[], object]:
    async def ask() -> Health | None:
        return health

    return ask


@pytest.mark.parametrize(
    ("health", "detail"),
    [
        (None, "none runs on port 8900"),
        (Health("sparkcode", "scripted", "scripted"), "scripted with scripted runs on port 8900"),
    ],
)
def test_the_engine_is_named(
    health: Health | None, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkcode.link.local.local_health", answering(health))
    assert detail in room.engine_check().detail


def test_weights_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkcode.model.store.ModelStore.have", lambda *_: True)
    check = room.weights_check()
    assert check.status == "ok"
    assert str(cache_root({"SPARKCODE_CACHE": "cache"})) in check.detail


def test_theme_files_with_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkcode.tui.theme.user_folder", lambda: tmp_path)
    (tmp_path / "bad.toml").write_text("name = 3")
    check = room.themes_check()
    assert check.status == "warn"
    assert "bad.toml" in check.detail
