from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sparkcode.cli.patch import patch

TEXT = "*** Begin Patch\n*** Update File: f\n@@\n-a\n+b\n*** End Patch\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("a\n")
    return tmp_path


def test_success_is_summed_up_on_stdout(folder: Path) -> None:
    result = CliRunner().invoke(patch, input=TEXT)
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "Success. Updated the following files:\nM f\n",
        "",
    )
    assert (folder / "f").read_text() == "b\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (TEXT.replace("-a", "-x"), "Failed to find expected lines in {}/f:\nx\n"),
        (TEXT.replace("-a", "-\x1b[2J"), "Failed to find expected lines in {}/f:\n\\x1b[2J\n"),
        (TEXT[5:], "Invalid patch: The first line of the patch must be '*** Begin Patch'\n"),
        ("*** Begin Patch\n*** End Patch\n", "No files were modified.\n"),
        (b"\xff", "Error: Failed to read PATCH from stdin.\nstream did not contain valid UTF-8\n"),
    ],
)
def test_failure_is_reported_on_stderr(folder: Path, text: str | bytes, error: str) -> None:
    result = CliRunner().invoke(patch, input=text)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", error.format(folder))
    assert (folder / "f").read_text() == "a\n"


def test_no_patch_is_a_usage_error() -> None:
    assert CliRunner().invoke(patch, input="").exit_code == 2
