from __future__ import annotations

import re
from collections import Counter

import pytest

from sparkcode.errors import PatchError
from sparkcode.patch.parser import parse
from tests.patch.random_patches import Case, random_case

CASES = [random_case(seed) for seed in range(400)]


def text(case: Case) -> str:
    return case.patch.decode(errors="replace")


def test_a_case_depends_on_its_seed_only() -> None:
    assert [random_case(seed) for seed in range(20)] == CASES[:20]
    assert len({case.patch for case in CASES}) > 0.95 * len(CASES)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\*\*\* Add File: ",
        r"^\*\*\* Delete File: ",
        r"^\*\*\* Update File: .*\n\*\*\* Move to: ",
        r"^@@\n",
        r"^@@ \S",
        r"^@@ .+ @@ ",
        r"^@@.*\n[ +-].*\n(.*\n)*@@",
        r"^\*\*\* End of File$",
        r"^\*\*\* Environment ID",
        r"^\\ (No newline|Line ends|Text ends)",
        r"^<<'?EOF",
        r"\r\n",
        r"^\+.*[—’“\u00a0]",
        r"^.{5000}",
        r"^[+-].*\t",
        r"\ufffd",
    ],
)
def test_patches_of_every_kind(pattern: str) -> None:
    assert any(re.search(pattern, text(case), re.MULTILINE) for case in CASES)


@pytest.mark.parametrize(
    "pattern",
    [
        rb"\A\Z",
        rb"\A\xef\xbb\xbf",
        rb"\r\n",
        rb"\r[^\n]",
        rb"\r\n.*[^\r]\n",
        rb"[^\n]\Z",
        rb"\xff",
        rb"[ \t]\n",
        rb"\t",
        rb"\xe2\x80\x9c",
        rb".{5000}",
    ],
)
def test_files_of_every_kind(pattern: bytes) -> None:
    files = [entry.data for case in CASES for entry in case.tree.values() if entry.kind == "file"]
    assert any(re.search(pattern, data) for data in files)


def test_trees_with_links_and_several_files() -> None:
    kinds = Counter(entry.kind for case in CASES for entry in case.tree.values())
    assert set(kinds) == {"file", "folder", "link"}
    assert max(len(case.tree) for case in CASES) > 4


def test_most_patches_are_well_formed_and_some_are_not() -> None:
    sound = 0
    for case in CASES:
        try:
            parse(text(case))
        except PatchError:
            continue
        sound += 1
    assert 0.6 < sound / len(CASES) < 0.9
