from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sparkcode.clock import LoopClock
from sparkcode.errors import ScriptError, UsageError
from sparkcode.link.replay import ReplayDialer
from sparkcode.replay.scene import (
    MAX_SCRIPT_BYTES,
    Options,
    copied,
    files_for,
    folder_of,
    read_script,
    wire_of,
)
from sparkcode.replay.script import ExpectFile, Settings
from sparkcode.replay.wire import MemoryWire


@pytest.fixture
def fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "fixture"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg" / "a.py").write_bytes(b"a\r\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref")
    return folder


def test_the_clock_is_the_options_then_the_scripts() -> None:
    assert Options().clock_for("virtual") == "virtual"
    assert Options().clock_for("real") == "real"
    assert Options(clock="virtual").clock_for("real") == "virtual"
    assert Options(speed=2).clock_for("real") == "real"


def test_a_speed_needs_a_clock_that_has_one() -> None:
    with pytest.raises(UsageError, match="--clock real"):
        Options(speed=2).clock_for("virtual")


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), 1e9])
def test_speeds_that_are_none(speed: float) -> None:
    with pytest.raises(UsageError, match="--speed"):
        Options(clock="real", speed=speed).clock_for("virtual")


def test_a_script_is_read_and_named(tmp_path: Path) -> None:
    file = tmp_path / "a.spark"
    file.write_text("Enter\n")
    script = read_script(file)
    assert (script.name, len(script.statements)) == ("a.spark", 1)


def test_a_script_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.spark"
    with pytest.raises(ScriptError, match="No such file"):
        read_script(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ScriptError, match="UTF-8"):
        read_script(file)
    file.write_bytes(b"#" * (MAX_SCRIPT_BYTES + 1))
    with pytest.raises(ScriptError, match="larger"):
        read_script(file)


def test_the_copy_may_change_and_goes_away(fixture: Path) -> None:
    with copied(fixture) as workspace:
        workspace.write_atomic("pkg/a.py", b"b")
        workspace.write_atomic("new.py", b"c")
        root = workspace.root
        assert not (root / ".git").exists()
    assert not root.exists()
    assert (fixture / "pkg" / "a.py").read_bytes() == b"a\r\n"
    assert not (fixture / "new.py").exists()


def test_a_link_out_of_the_fixture_is_not_followed(fixture: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (fixture / "link").symlink_to(tmp_path / "secret")
    with copied(fixture) as workspace:
        assert (workspace.root / "link").is_symlink()


def test_without_a_folder_the_workspace_is_empty() -> None:
    with copied(None) as workspace:
        assert list(workspace.root.iterdir()) == []


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no folder"), copied(tmp_path / "absent"):
        pass


def test_a_folder_that_cannot_be_copied_is_said(
    fixture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(shutil, "copytree", refuse)
    with pytest.raises(ScriptError, match="disk full"), copied(fixture):
        pass


def test_the_folder_is_the_options_then_the_scripts(tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert folder_of(Settings(), tmp_path, Options()) is None
    assert folder_of(Settings(workspace="ws"), tmp_path, Options()) == tmp_path / "ws"
    chosen = folder_of(Settings(workspace="ws"), tmp_path, Options(workspace=other))
    assert chosen == other


def test_the_wire_is_an_engine_or_a_tape(tmp_path: Path) -> None:
    clock = LoopClock()
    (tmp_path / "e.jsonl").write_text('{"reply": "hi"}\n')
    (tmp_path / "t.sparklog").write_text('{"version":1,"app":"","clock":"real","size":[80,24]}\n')
    assert isinstance(wire_of(Settings(), tmp_path, clock), MemoryWire)
    assert isinstance(wire_of(Settings(script="e.jsonl"), tmp_path, clock), MemoryWire)
    assert isinstance(wire_of(Settings(tape="t.sparklog"), tmp_path, clock), ReplayDialer)
    with pytest.raises(ScriptError, match="exclude"):
        wire_of(Settings(script="e.jsonl", tape="t.sparklog"), tmp_path, clock)
    with pytest.raises(ScriptError, match="cannot be read"):
        wire_of(Settings(script="absent.jsonl"), tmp_path, clock)


def test_files_of_an_expectation(fixture: Path, tmp_path: Path) -> None:
    (tmp_path / "want.py").write_bytes(b"w")
    with copied(fixture) as workspace:
        found = files_for(ExpectFile("pkg/a.py", equals="want.py"), workspace, tmp_path)
        assert found == {"pkg/a.py": b"a\r\n", "want.py": b"w"}
        assert files_for(ExpectFile("absent.py", pattern="x"), workspace, tmp_path) == {}
        assert files_for(ExpectFile("a", equals="absent"), workspace, tmp_path) == {}
        # Outside of the workspace nothing is looked at.
        assert files_for(ExpectFile("../../etc/passwd"), workspace, tmp_path) == {}
        with pytest.raises(ScriptError, match="itself"):
            files_for(ExpectFile("want.py", equals="want.py"), workspace, tmp_path)
