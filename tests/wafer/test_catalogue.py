from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sparkcode
from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.catalogue import MAX_FILE_BYTES, Shelf, names, read


def test_lists_the_package_s_own() -> None:
    assert {"wse3", "h100"} <= set(names("chips"))
    assert names("models") == sorted(names("models"))


def test_a_user_s_file_is_added_and_hides_the_package_s(tmp_path: Path) -> None:
    (tmp_path / "wse3.toml").write_text("x = 1\n")
    (tmp_path / "mine.toml").write_text("x = 2\n")
    (tmp_path / "notes.txt").write_text("no data file")
    assert set(names("chips", tmp_path)) == {*names("chips"), "mine"}
    assert read("chips", "wse3", tmp_path).table == {"x": 1}
    assert read("chips", "mine", tmp_path).name == "mine"


def test_a_folder_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert names("models", tmp_path / "none") == names("models")


def test_reads_a_path(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text("x = 1\n")
    data = read("models", str(path))
    assert (data.name, data.where, data.table) == ("one", str(path), {"x": 1})


@pytest.mark.parametrize(
    ("shelf", "written", "name"),
    [
        ("chips", "WSE-3", "wse3"),
        ("chips", "wse3 turbo", "wse3-turbo"),
        ("models", "llama3.1-8b", "llama-3.1-8b"),
        ("models", "GPT-OSS-120B", "gpt-oss-120b"),
    ],
)
def test_names_as_people_write_them(shelf: Shelf, written: str, name: str) -> None:
    assert read(shelf, written).name == name


@pytest.mark.parametrize("name", ["wse9", "../chips/wse3", "", "-", "wse", "wse33"])
def test_an_unknown_name_lists_those_that_exist(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown chip '.*'; expected one of: .*h100, .*wse3"):
        read("chips", name)


def test_an_absent_path_is_named() -> None:
    with pytest.raises(UsageError, match=r"no file 'gone\.toml'; give the path of a model file"):
        read("models", "gone.toml")


@pytest.mark.parametrize(
    "content",
    [b"x = \n", b"\xff\xfe", b"x = " + b"[" * 5000, b"#" * (MAX_FILE_BYTES + 1)],
    ids=["syntax", "encoding", "depth", "length"],
)
def test_an_unreadable_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml: ") as caught:
        read("chips", str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read("chips", "folder", tmp_path)


def test_data_is_found_inside_an_archive(tmp_path: Path) -> None:
    """The package's data needs no files on disk, so any way of installing it will do."""
    root = Path(sparkcode.__file__).parent
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in [root / "__init__.py", root / "errors.py", *root.glob("wafer/**/*")]:
            if path.suffix in {".py", ".toml"}:
                packed.write(path, path.relative_to(root.parent))
    program = (
        "import sparkcode.wafer.profile as p, sys; print(p.__file__, p.load_profile().name);"
        "print(sorted({'asyncio', 'numpy', 'textual', 'socket'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split("\n")
    assert shown[0].startswith(str(archive))
    assert shown[0].endswith("wse3/gpt-oss-120b")
    assert shown[1] == "[]"
