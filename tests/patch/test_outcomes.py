from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.patch.outcomes import (
    BACKSLASH,
    CONTROL,
    ITSELF,
    OUTSIDE,
    Outcome,
    Record,
    apply_ours,
    disagreement,
    harvest,
    plant,
    read_records,
    write_records,
)
from tests.patch.random_patches import Case, Entry

RECORDED = Path(__file__).parent / "codex_outcomes.jsonl.gz"
"""What Codex 0.169 made of 200 random patches; written by ``scripts/patch-peer --record``."""

TREE = {
    "d": Entry("folder"),
    "d/f": Entry("file", b"a\xff\r\n"),
    "link": Entry("link", b"d"),
    "nothing": Entry("link", b"zz"),
}


def wrapped(body: str) -> bytes:
    return f"*** Begin Patch\n{body}*** End Patch\n".encode()


def test_codex_did_the_same_to_every_recorded_patch(tmp_path: Path) -> None:
    found: Counter[str | None] = Counter()
    for number, record in enumerate(read_records(RECORDED)):
        folder = tmp_path / str(number)
        folder.mkdir()
        ours = apply_ours(record.case, folder)
        name = disagreement(record.case, ours, record.outcome)
        assert name != "", (number, record.case, ours, record.outcome)
        found[name] += 1
    assert found.total() == 200
    assert found[None] > 180


def test_a_tree_is_planted_and_harvested(tmp_path: Path) -> None:
    plant(TREE, tmp_path)
    assert harvest(tmp_path) == TREE


def test_records_survive_their_file(tmp_path: Path) -> None:
    outcome = Outcome(False, "bad\nline\r", TREE)
    records = [Record(Case(TREE, b"p\xff\r\n"), outcome), Record(Case({}, b""), outcome)]
    for name in ("one", "two"):
        write_records(tmp_path / name, records)
    assert list(read_records(tmp_path / "one")) == records
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


MOVE = "*** Update File: d/f\n*** Move to: {}\n-a\n+b\n"
FILE = {"d/f": Entry("file", b"a\n"), "link": Entry("link", b"d")}


@pytest.mark.parametrize(
    ("body", "message", "name"),
    [
        ("*** Delete File: ../f\n", "Failed to delete file", OUTSIDE),
        ("*** Add File: a\tb\n", "", CONTROL),
        ("*** Add File: a\rb\n", "", CONTROL),
        (
            "*** Update File: d/f\n-a\n+b\n\\ No newline at end of file\n",
            "got: '\\ No newline at end of file'",
            BACKSLASH,
        ),
        ("*** Update File: d/f\n-a\n+b\n", "got: '\\ No newline at end of file'", BACKSLASH),
        (MOVE.format("./d/f"), "", ITSELF),
        (MOVE.format("link/f"), "", ITSELF),
        (MOVE.format("g"), "", ""),
        ("zork\n", "", ""),
    ],
)
def test_what_differs_on_purpose_has_a_name(
    tmp_path: Path, body: str, message: str, name: str
) -> None:
    case = Case(FILE, wrapped(body))
    ours = apply_ours(case, tmp_path)
    assert disagreement(case, ours, Outcome(False, message, {"other": Entry("folder")})) == name


def test_only_the_wording_of_a_failure_is_free(tmp_path: Path) -> None:
    case = Case(FILE, wrapped("*** Delete File: d/f\n"))
    ours = apply_ours(case, tmp_path)
    assert ours == Outcome(
        True,
        "Success. Updated the following files:\nD d/f\n",
        {"d": Entry("folder"), "link": FILE["link"]},
    )
    assert disagreement(case, ours, ours) is None
    assert disagreement(case, ours, Outcome(True, "Done.", ours.tree)) == ""
    bad = Case(FILE, b"\xff")
    failed = apply_ours(bad, tmp_path / "d")
    assert not failed.applied
    assert disagreement(bad, failed, Outcome(False, "No.", failed.tree)) is None
