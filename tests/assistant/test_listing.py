from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.assistant import listing
from sparkcode.assistant.listing import Listing
from sparkcode.assistant.workspace import Workspace


def tree(root: Path, *files: str) -> Listing:
    for name in files:
        path, _, text = name.partition("|")
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return Listing(Workspace(root))


def test_files_are_listed_folder_by_folder(tmp_path: Path) -> None:
    found = tree(tmp_path, "b/z.py", "b/a/x.py", "a.py", "c/y.py", ".github/ci.yml")
    assert list(found.files()) == ["a.py", ".github/ci.yml", "b/z.py", "b/a/x.py", "c/y.py"]
    assert list(found.files("b")) == ["b/z.py", "b/a/x.py"]
    assert list(found.files("absent")) == []


def test_what_is_installed_cached_or_private_is_left_out(tmp_path: Path) -> None:
    names = [".git/config", "node_modules/m/i.js", "a/__pycache__/x.pyc", ".venv/lib/y.py"]
    names += [".sparkcode/config.toml", ".env", "home/.ssh/config", "a/id_rsa", ".aws/credentials"]
    found = tree(tmp_path, *names, "a/b.py")
    assert list(found.files()) == ["a/b.py"]
    assert "'.git'" in found.hidden(".git/config")
    assert "'node_modules'" in found.hidden("x/node_modules/m/i.js")
    assert "'.ssh'" in found.hidden("home/.ssh/config")
    # Some file systems take both for the same.
    assert "'.GIT'" in found.hidden(".GIT/config")
    assert found.hidden("a/b.py") == ""


def test_gitignore_decides_the_nearest_first(tmp_path: Path) -> None:
    found = tree(
        tmp_path,
        ".gitignore|*.log\n/build/\nsecret.*\n!keep.log\n",
        "sub/.gitignore|!secret.txt\n*.tmp\n",
        "a.log",
        "keep.log",
        "build/out.txt",
        "sub/build/in.txt",
        "secret.txt",
        "sub/secret.txt",
        "sub/x.tmp",
        "x.tmp",
    )
    assert list(found.files()) == [
        ".gitignore",
        "keep.log",
        "x.tmp",
        "sub/.gitignore",
        "sub/secret.txt",
        "sub/build/in.txt",
    ]
    assert found.hidden("build/out.txt") == "a .gitignore names it"
    assert found.hidden("secret.txt") == "a .gitignore names it"
    assert found.hidden("sub/secret.txt") == ""


def test_a_gitignore_that_is_none_ignores_nothing(tmp_path: Path) -> None:
    found = tree(tmp_path, ".gitignore|!\n[\n***\n", "a.py")
    assert "a.py" in list(found.files())
    big = tree(tmp_path, ".gitignore|" + "x" * (1 << 21), "a.py")
    assert "a.py" in list(big.files())


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_text("k")
    root = tmp_path / "root"
    found = tree(root, "real.py")
    (root / "folder").symlink_to(outside, target_is_directory=True)
    (root / "file").symlink_to(outside / "key")
    (root / "inside.py").symlink_to(root / "real.py")
    (root / "loop").symlink_to(root, target_is_directory=True)
    assert list(found.files()) == ["inside.py", "real.py"]


def test_a_walk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tree(tmp_path, *(f"{number:02}.txt" for number in range(20)))
    monkeypatch.setattr(listing, "MAX_ENTRIES", 7)
    assert len(list(found.files())) == 7
