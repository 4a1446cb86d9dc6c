from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkcode.assistant.checkpoints import Checkpoints, replace_all
from sparkcode.assistant.workspace import MAX_FILE_BYTES, Workspace
from sparkcode.errors import UsageError, WorkspaceError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return Workspace(root)


def test_a_buffer_is_the_file_as_it_is(workspace: Workspace) -> None:
    (workspace.root / "a.py").write_bytes(b"x = 1\r\n")
    buffer = workspace.read("a.py")
    assert (buffer.path, buffer.text, buffer.language, buffer.version, buffer.raw) == (
        "a.py",
        "x = 1\r\n",
        "python",
        1,
        b"x = 1\r\n",
    )
    assert workspace.read(str(workspace.root / "a.py")) == buffer
    (workspace.root / "a.py").write_bytes(b"")
    assert workspace.read("./a.py").version == 2


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "link/../../secret.txt", "out", "up/secret.txt", "."]
)
def test_paths_that_lead_outside_are_refused(workspace: Workspace, path: str) -> None:
    (workspace.root / "out").symlink_to(workspace.root.parent / "secret.txt")
    (workspace.root / "up").symlink_to(workspace.root.parent)
    for act in (workspace.contained, workspace.read, workspace.delete):
        with pytest.raises(WorkspaceError, match="outside the workspace"):
            act(path)
    with pytest.raises(WorkspaceError, match="outside the workspace"):
        workspace.write_atomic(path, b"x")


def test_paths_that_are_none(workspace: Workspace) -> None:
    for path in ("", "a\0b", "a\nb", "a\tb", "a\x1b[2J", "a\u202eb", "a\udc80"):
        with pytest.raises(WorkspaceError, match="no path of a file"):
            workspace.contained(path)
    (workspace.root / "loop").symlink_to("loop")
    with pytest.raises(WorkspaceError, match="cannot be resolved"):
        workspace.contained("loop/x")
    with pytest.raises(WorkspaceError) as caught:
        workspace.contained("\x1b[2J\n")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_inside_is_followed(workspace: Workspace) -> None:
    (workspace.root / "real.py").write_text("x\n")
    (workspace.root / "link.py").symlink_to("real.py")
    assert workspace.read("link.py").path == "real.py"
    workspace.write_atomic("link.py", b"y\n")
    assert (workspace.root / "link.py").is_symlink()
    assert (workspace.root / "real.py").read_bytes() == b"y\n"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a\0b", "is binary"),
        (b"a\xff", "is not UTF-8 \\(byte 1\\)"),
        (b"a" * (MAX_FILE_BYTES + 1), "is larger than 1 MiB"),
    ],
)
def test_what_is_no_text_is_not_opened(workspace: Workspace, data: bytes, error: str) -> None:
    (workspace.root / "f").write_bytes(data)
    with pytest.raises(WorkspaceError, match=error):
        workspace.read("f")


def test_what_is_no_file_is_not_opened(workspace: Workspace) -> None:
    (workspace.root / "folder").mkdir()
    os.mkfifo(workspace.root / "pipe")
    for path in ("folder", "pipe"):
        with pytest.raises(WorkspaceError, match="not a regular file"):
            workspace.read(path)
    with pytest.raises(WorkspaceError, match="does not exist"):
        workspace.read("none")
    assert workspace.read_bytes("none") is None
    with pytest.raises(WorkspaceError, match="is a folder"):
        workspace.write_atomic("folder", b"")


def test_a_new_file_gets_its_folders_and_usual_mode(workspace: Workspace) -> None:
    workspace.write_atomic("a/b/c.txt", b"x")
    place = workspace.root / "a/b/c.txt"
    plain = workspace.root / "plain"
    plain.touch()
    assert place.read_bytes() == b"x"
    assert place.stat().st_mode == plain.stat().st_mode


def test_mode_bits_stay(workspace: Workspace) -> None:
    place = workspace.root / "run.sh"
    place.write_text("old")
    place.chmod(0o751)
    workspace.write_atomic("run.sh", b"new")
    assert place.stat().st_mode & 0o7777 == 0o751
    assert place.read_bytes() == b"new"


def test_a_read_only_file_stays(workspace: Workspace) -> None:
    place = workspace.root / "a"
    place.write_text("old")
    place.chmod(0o444)
    with pytest.raises(WorkspaceError, match="'a' is read-only"):
        workspace.write_atomic("a", b"new")
    with pytest.raises(WorkspaceError, match="read-only"):
        workspace.delete("a")
    assert place.read_text() == "old"


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", "sub/.GIT/config"])
def test_git_is_not_written(workspace: Workspace, path: str) -> None:
    with pytest.raises(WorkspaceError, match="belongs to git"):
        workspace.write_atomic(path, b"x")


@pytest.mark.parametrize(
    "path", [".sparkcode/config.toml", ".sparkcode", "sub/.SparkCode/config.toml", "link/x"]
)
def test_settings_are_not_written(workspace: Workspace, path: str) -> None:
    (workspace.root / "link").symlink_to(".sparkcode")
    for act in (workspace.check_writable, workspace.delete):
        with pytest.raises(WorkspaceError, match="belongs to the settings"):
            act(path)
    with pytest.raises(WorkspaceError, match="belongs to the settings"):
        workspace.write_atomic(path, b"x")
    assert [file.name for file in workspace.root.iterdir()] == ["link"]


@pytest.mark.parametrize(
    "path",
    ["a" * 300, "sub/" + "a" * 300 + "/b", "a/" * 90 + "b" * 300, "a/" * 1500 + "b", "ab/" * 9000],
    ids=["name", "folder", "deep name", "deep", "longer than a path may be"],
)
def test_paths_that_the_system_refuses_are_one_short_line(workspace: Workspace, path: str) -> None:
    errors = []
    for act in (
        workspace.read,
        workspace.check_writable,
        workspace.delete,
        lambda path: workspace.check_unchanged(path, b"x"),
        lambda path: workspace.write_atomic(path, b"x"),
    ):
        try:
            act(path)
        except WorkspaceError as error:
            errors.append(str(error))
    # Below a folder that does not exist the system has nothing to refuse before the write.
    assert len(errors) >= 3
    assert all("\n" not in error and len(error) < 400 for error in errors)
    assert not any(place.is_file() for place in workspace.root.rglob("*"))


@pytest.mark.parametrize("question", ["is_dir", "exists"])
def test_a_question_about_a_file_that_fails_is_one_line(
    workspace: Workspace, question: str
) -> None:
    (workspace.root / "a").write_text("old")
    for act in (workspace.check_writable, workspace.delete):
        with (
            mock.patch.object(Path, question, side_effect=OSError(13, "Permission denied")),
            pytest.raises(WorkspaceError, match=r"'a' cannot be \w+ \(Permission denied\)"),
        ):
            act("a")
    assert (workspace.root / "a").read_text() == "old"


@pytest.mark.parametrize("step", ["os.replace", "os.fsync", "os.chmod", "tempfile.mkstemp"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    workspace: Workspace, step: str
) -> None:
    (workspace.root / "a").write_text("old")
    with (
        mock.patch(step, side_effect=OSError(28, "No space left on device")),
        pytest.raises(WorkspaceError, match=r"cannot be written \(No space left on device\)"),
    ):
        workspace.write_atomic("a", b"new")
    assert [file.name for file in workspace.root.iterdir()] == ["a"]
    assert (workspace.root / "a").read_text() == "old"


def test_other_failures_of_the_system_are_one_line(workspace: Workspace) -> None:
    (workspace.root / "a").write_text("old")
    failing = OSError(5, "Input/output error")
    with (
        mock.patch.object(Path, "open", side_effect=failing),
        pytest.raises(WorkspaceError, match=r"'a' cannot be read \(Input/output error\)"),
    ):
        workspace.read("a")
    with (
        mock.patch.object(Path, "unlink", side_effect=failing),
        pytest.raises(WorkspaceError, match="'a' cannot be deleted"),
    ):
        workspace.delete("a")


def test_a_change_on_disk_is_noticed(workspace: Workspace) -> None:
    (workspace.root / "a").write_text("old")
    workspace.check_unchanged("a", b"old")
    workspace.check_unchanged("b", None)
    with pytest.raises(WorkspaceError, match="'a' has changed on disk"):
        workspace.check_unchanged("a", b"other")
    with pytest.raises(WorkspaceError, match="'a' has changed on disk"):
        workspace.check_unchanged("a", None)


def test_undo_restores_changed_created_and_deleted_files(workspace: Workspace) -> None:
    (workspace.root / "a").write_bytes(b"a\r\n")
    (workspace.root / "b").write_bytes(b"\xff\0")
    points = Checkpoints(workspace)
    before = {"a": b"a\r\n", "b": b"\xff\0", "c/d": None}
    after = {"a": b"A\n", "b": None, "c/d": b"new"}
    replace_all(workspace, after)
    points.save(before, after)
    assert len(points) == 1
    assert points.undo() == ("a", "b", "c/d")
    assert (workspace.root / "a").read_bytes() == b"a\r\n"
    assert (workspace.root / "b").read_bytes() == b"\xff\0"
    assert not (workspace.root / "c/d").exists()
    with pytest.raises(UsageError, match="no edit to undo"):
        points.undo()


def test_undo_leaves_no_folder_that_the_edit_made(workspace: Workspace) -> None:
    (workspace.root / "there").mkdir()
    points = Checkpoints(workspace)
    added = {"new/deep/a": b"a", "new/b": b"b", "there/c": b"c"}
    gone: dict[str, bytes | None] = dict.fromkeys(added)
    replace_all(workspace, added)
    points.save(gone, added)
    points.undo()
    assert [path.name for path in workspace.root.iterdir()] == ["there"]
    # Nor one that holds something else by now.
    replace_all(workspace, added)
    (workspace.root / "new" / "mine").write_text("mine")
    points.save(gone, added)
    points.undo()
    assert [path.name for path in (workspace.root / "new").iterdir()] == ["mine"]


def test_undo_restores_the_mode_of_a_deleted_file(workspace: Workspace) -> None:
    place = workspace.root / "run.sh"
    place.write_text("x")
    place.chmod(0o700)
    points = Checkpoints(workspace)
    points.save({"run.sh": b"x"}, {"run.sh": None})
    replace_all(workspace, {"run.sh": None})
    points.undo()
    assert place.stat().st_mode & 0o777 == 0o700


def test_undo_does_not_throw_away_a_later_change(workspace: Workspace) -> None:
    points = Checkpoints(workspace)
    points.save({"a": b"old"}, {"a": b"new"})
    (workspace.root / "a").write_bytes(b"mine")
    with pytest.raises(WorkspaceError, match="changed on disk"):
        points.undo()
    assert (workspace.root / "a").read_bytes() == b"mine"
    assert len(points) == 1


def test_all_files_are_replaced_or_none(workspace: Workspace) -> None:
    (workspace.root / "a").write_text("a")
    (workspace.root / "blocked").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        replace_all(workspace, {"a": b"new", "new": b"new", "blocked/b": b"new"})
    assert (workspace.root / "a").read_text() == "a"
    assert not (workspace.root / "new").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.none() | st.binary(max_size=4), min_size=1),
        max_size=5,
    )
)
def test_undoing_everything_gives_the_first_bytes_back(
    workspace: Workspace, edits: list[dict[str, bytes | None]]
) -> None:
    points = Checkpoints(workspace)
    first = {name: workspace.read_bytes(name) for name in "abc"}
    for after in edits:
        points.save({name: workspace.read_bytes(name) for name in after}, after)
        replace_all(workspace, after)
    for _ in edits:
        points.undo()
    assert {name: workspace.read_bytes(name) for name in "abc"} == first
