from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from sparkcode.errors import PatchApplyError
from sparkcode.patch import files
from sparkcode.patch.apply import Result, apply_patch
from sparkcode.patch.parser import parse


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "f").write_text("a\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("a\n")
    return folder


def patch(root: Path, body: str) -> Result:
    return apply_patch(parse(f"*** Begin Patch\n{body}*** End Patch"), root)


def failure(root: Path, body: str) -> str:
    result = patch(root, body)
    assert result.failure is not None
    return str(result.failure)


@pytest.mark.parametrize(
    "body",
    [
        "*** Update File: {}\n-a\n+b\n",
        "*** Delete File: {}\n",
        "*** Add File: {}\n+b\n",
        "*** Update File: f\n*** Move to: {}\n-a\n+b\n",
    ],
)
@pytest.mark.parametrize("path", ["../outside/secret", "ABSOLUTE", "link/secret", "file-link"])
def test_nothing_outside_is_touched(root: Path, body: str, path: str) -> None:
    secret = root.parent / "outside" / "secret"
    (root / "link").symlink_to(secret.parent)
    (root / "file-link").symlink_to(secret)
    assert "is outside" in failure(root, body.format(path.replace("ABSOLUTE", str(secret))))
    assert secret.read_text() == "a\n"
    assert (root / "f").read_text() == "a\n"


def test_an_entry_outside_that_points_inside_is_not_deleted(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "outside")
    back = root.parent / "outside" / "back"
    back.symlink_to(root / "f")
    assert "is outside" in failure(root, "*** Delete File: link/back\n")
    assert back.is_symlink()


def test_the_folder_itself_is_no_file(root: Path) -> None:
    assert "is outside" in failure(root, "*** Delete File: .\n")


def test_links_and_absolute_paths_inside_work(root: Path) -> None:
    (root / "link").symlink_to("f")
    assert patch(root, f"*** Update File: {root}/link\n-a\n+b\n").failure is None
    assert (root / "link").is_symlink()
    assert (root / "f").read_text() == "b\n"
    assert patch(root, "*** Delete File: link\n").failure is None
    assert (root / "f").exists()
    assert not (root / "link").is_symlink()


def test_unusable_paths(root: Path) -> None:
    assert "control characters" in failure(root, "*** Delete File: a\x1b[2J\n")
    (root / "loop").symlink_to("loop")
    assert "loop" in failure(root, "*** Delete File: loop/x\n")


def test_mode_bits_survive(root: Path) -> None:
    (root / "f").chmod(0o751)
    patch(root, "*** Update File: f\n*** Move to: g\n-a\n+b\n")
    assert stat.S_IMODE((root / "g").stat().st_mode) == 0o751
    patch(root, "*** Update File: g\n-b\n+c\n")
    assert stat.S_IMODE((root / "g").stat().st_mode) == 0o751
    patch(root, "*** Add File: n\n+b\n")
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE((root / "n").stat().st_mode) == 0o666 & ~umask


def test_what_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = f"Failed to read file to update {root}"
    (root / "b").write_bytes(b"a\xff\n")
    (root / "d").mkdir()
    assert failure(root, "*** Update File: zz\n-a\n") == (
        f"{start}/zz: No such file or directory (os error 2)"
    )
    assert failure(root, "*** Update File: d\n-a\n") == f"{start}/d: path `{root}/d` is not a file"
    assert failure(root, "*** Update File: b\n-a\n") == (
        f"{start}/b: invalid utf-8 sequence of 1 bytes from index 1"
    )
    monkeypatch.setattr(files, "MAX_FILE", 1)
    assert failure(root, "*** Update File: f\n-a\n") == f"{start}/f: it is larger than 1 bytes"


def test_what_cannot_be_written_or_deleted(root: Path) -> None:
    (root / "d").mkdir()
    for path in ("d", "f/x"):
        assert failure(root, f"*** Add File: {path}\n+a\n") == f"Failed to write file {root}/{path}"
    assert failure(root, "*** Add File: n\n+\ud800\n") == f"Failed to write file {root}/n"
    (root / "to-folder").symlink_to("d")
    (root / "to-nothing").symlink_to("zz")
    for path in ("d", "zz", "to-folder", "to-nothing"):
        assert failure(root, f"*** Delete File: {path}\n") == f"Failed to delete file {root}/{path}"
    names = sorted(path.name for path in root.iterdir())
    assert names == ["d", "f", "to-folder", "to-nothing"]


def test_a_full_disk_leaves_the_old_file_and_no_other(root: Path) -> None:
    full = mock.Mock(side_effect=OSError(28, "No space left on device"))
    with (
        mock.patch("sparkcode.patch.files.open", full, create=True),
        pytest.raises(PatchApplyError, match="Failed to write file"),
    ):
        files.write_file(root / "f", "b\n", shown=root / "f")
    assert [path.name for path in root.iterdir()] == ["f"]
    assert (root / "f").read_text() == "a\n"
