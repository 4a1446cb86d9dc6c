from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.model.partial import Partial, SourceError, one_line
from tests.model.places import Tally


def open_partial(folder: Path, *, limit: int = 10, progress: Tally | None = None) -> Partial:
    return Partial(folder / "f.partial", limit, progress or Tally())


def test_it_hashes_and_counts_what_is_written(tmp_path: Path) -> None:
    progress = Tally()
    with open_partial(tmp_path, progress=progress) as partial:
        partial.claim("here")
        partial.write(b"hello")
        assert (partial.size, partial.missing, progress.total) == (5, 5, 5)
        partial.write(b"world")
        assert partial.sha256 == hashlib.sha256(b"helloworld").hexdigest()
        partial.commit(tmp_path / "f")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"helloworld"


def test_it_goes_on_for_the_same_origin(tmp_path: Path) -> None:
    with open_partial(tmp_path) as partial:
        partial.claim("here")
        partial.write(b"hello")
    progress = Tally()
    with open_partial(tmp_path, progress=progress) as partial:
        partial.claim("here")
        assert (partial.size, partial.resumed, progress.total) == (5, True, 5)
        partial.write(b"!")
        assert partial.sha256 == hashlib.sha256(b"hello!").hexdigest()


@pytest.mark.parametrize("sidecar", ['{"origin": "there"}', "not json", "[]", None])
def test_it_starts_over_for_any_other_origin(tmp_path: Path, sidecar: str | None) -> None:
    (tmp_path / "f.partial").write_bytes(b"hello")
    if sidecar is not None:
        (tmp_path / "f.partial.json").write_text(sidecar)
    with open_partial(tmp_path) as partial:
        partial.claim("here")
        assert (partial.size, partial.resumed) == (0, False)


def test_it_starts_over_when_too_long(tmp_path: Path) -> None:
    (tmp_path / "f.partial").write_bytes(b"hello")
    (tmp_path / "f.partial.json").write_text('{"origin": "here"}')
    with open_partial(tmp_path, limit=4) as partial:
        partial.claim("here")
        assert partial.size == 0


def test_too_much_is_refused(tmp_path: Path) -> None:
    with open_partial(tmp_path, limit=4) as partial:
        partial.claim("here")
        partial.write(b"hell")
        with pytest.raises(SourceError, match="more than the 4 bytes"):
            partial.write(b"o")
        assert partial.size == 0


def test_bytes_foreseen_are_counted_once(tmp_path: Path) -> None:
    progress = Tally()
    with open_partial(tmp_path, progress=progress) as partial:
        partial.claim("here")
        partial.foresee(6)
        partial.write(b"hell")
        assert progress.total == 6
        partial.write(b"o world"[:3])
        assert progress.total == 7
        partial.foresee(100)
        assert progress.total == 10
        partial.rewind(2)
        assert progress.total == 2


def test_a_rewind_past_the_end_keeps_what_is_there(tmp_path: Path) -> None:
    with open_partial(tmp_path) as partial:
        partial.claim("here")
        partial.write(b"ab")
        partial.rewind(5)
        assert partial.size == 2


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    progress = Tally()
    with open_partial(tmp_path, progress=progress) as partial:
        partial.claim("here")
        partial.write(b"ab")
        partial.scratch.mkdir()
        partial.discard()
    assert list(tmp_path.iterdir()) == []
    assert progress.total == 0


@pytest.mark.parametrize(("written", "left"), [(b"", []), (b"ab", ["f.partial", "f.partial.json"])])
def test_an_error_keeps_only_what_is_of_use(
    tmp_path: Path, written: bytes, left: list[str]
) -> None:
    def fail() -> None:
        with open_partial(tmp_path, progress=progress) as partial:
            partial.claim("here")
            partial.write(written)
            raise SourceError("gone")

    progress = Tally()
    with pytest.raises(SourceError, match="gone"):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert progress.total == 0


@given(text=st.text(), limit=st.integers(1, 40))
def test_one_line_is_printable_and_short(text: str, limit: int) -> None:
    line = one_line(text, limit=limit)
    assert len(line) <= limit
    assert line.isprintable()


def test_one_line_drops_terminal_escapes() -> None:
    assert one_line("a\x1b[31m\nb\t c") == "a [31m b c"
