from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from sparkcode.bench.machine import Target
from sparkcode.bench.text import agreement, peer_score, read_ids, require_file, score
from sparkcode.errors import WorkspaceError
from tests.bench.support import peer_of


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def test_scores_are_those_of_single_steps(target: Target) -> None:
    ids = target.model.tokenizer.encode("the cat sat on the mat, the cat sat on all of it. " * 3)
    assert len(ids) > 70  # more than a chunk
    cache, total, choices = target.model.new_cache(), 0.0, []
    for given, wanted in itertools.pairwise(ids):
        row = target.model.decode(given, cache).astype(np.float64)
        total += float(np.log(np.exp(row).sum()) - row[wanted])
        choices.append(int(row.argmax()))
    found = score(target.model, ids)
    assert found.tokens == len(ids)
    assert found.nll_per_token == pytest.approx(total / (len(ids) - 1), rel=1e-5)
    assert list(found.choices) == choices
    assert agreement(found, found) == 1.0


def test_two_tokens_are_the_least(target: Target) -> None:
    assert len(score(target.model, [1, 2]).choices) == 1
    with pytest.raises(ValueError, match="fewer than two"):
        score(target.model, [1])


def test_a_short_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("häuser")
    assert read_ids(path, letters) == letters("häuser")
    assert read_ids(path, letters, limit=3) == letters("häu")
    require_file(path)


def test_no_more_is_read_than_needed(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("ä".encode() * (1 << 20))
    seen: list[int] = []

    def encode(text: str) -> list[int]:
        seen.append(len(text))
        return letters(text[::16])

    assert len(read_ids(path, encode, limit=2000)) == 2000
    assert seen == [1 << 14, 1 << 15, 1 << 16]


def test_a_cut_character_is_no_damage_but_a_cut_file_is(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" + "ä".encode() * (1 << 20))
    assert len(read_ids(path, letters)) == 2048
    path.write_bytes("xä".encode()[:-1])
    with pytest.raises(WorkspaceError, match="not UTF-8"):
        read_ids(path, letters)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has 0 tokens; at least 2"),
        (b"x", "has 1 tokens"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_texts_that_cannot_be_scored(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match=said):
        read_ids(path, letters)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(WorkspaceError, match="cannot read the text"):
            read_ids(path, letters)
        with pytest.raises(WorkspaceError, match="cannot read the text"):
            require_file(path)


def test_the_peer_scores_the_same_ids(tmp_path: Path, target: Target) -> None:
    assert peer_score(peer_of(tmp_path), target, [1, 2, 3]) == 1.5
