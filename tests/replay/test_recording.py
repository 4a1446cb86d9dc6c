from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant.workspace import Workspace
from sparkcode.errors import ScriptError, UsageError, WorkspaceError
from sparkcode.link.tape import Tape, TapeHeader, read_tape
from sparkcode.replay import recording as module
from sparkcode.replay.recording import (
    Cast,
    Key,
    Pasted,
    Recording,
    cast_of,
    decode_input,
    encode_input,
    header_of,
    parse_size,
    restore_files,
)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, when: float) -> None:
        self.time = when


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    root.mkdir()
    (root / "calc.py").write_bytes(b"a = 1\r\n")
    return Workspace(root)


@given(st.sampled_from(["enter", "ctrl+j", " ", "p", "paste", "é", "space"]).map(Key))
def test_a_key_is_told_from_a_paste(key: Key) -> None:
    assert decode_input(encode_input(key)) == key


@given(st.text())
def test_a_paste_keeps_its_text(text: str) -> None:
    assert decode_input(encode_input(Pasted(text))) == Pasted(text)


def test_records_have_their_distance_from_the_start(tmp_path: Path) -> None:
    clock, path = Hand(), tmp_path / "a.sparklog"
    recording = Recording(path, TapeHeader(), clock, secrets=("hunter2!",))
    clock.time += 0.5
    recording.user(Key("h"))
    recording.user(Pasted("my key is hunter2!"))
    clock.time += 0.25
    recording.resized(100, 30)
    recording.close(3)
    recording.user(Key("late"))
    assert recording.error == ""
    assert [(r.interval, r.code, r.data) for r in read_tape(path).records] == [
        (0.5, "i", "h"),
        (0.0, "i", "paste my key is ***"),
        (0.25, "r", "100x30"),
        (0.0, "x", "3"),
    ]


def test_an_existing_recording_is_kept_unless_it_may_go(tmp_path: Path) -> None:
    path = tmp_path / "a.sparklog"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        Recording(path, TapeHeader(), Hand())
    assert path.read_text() == "precious"
    Recording(path, TapeHeader(), Hand(), overwrite=True).close()
    assert [record.code for record in read_tape(path).records] == ["x"]


def test_overwriting_nothing_is_fine(tmp_path: Path) -> None:
    Recording(tmp_path / "new.sparklog", TapeHeader(), Hand(), overwrite=True).close()


def test_the_header_carries_the_open_files(workspace: Workspace) -> None:
    header = header_of(workspace, ["calc.py"], size=(90, 20), theme="spark-light")
    assert header.size == (90, 20)
    assert header.clock == "real"
    assert header.extra["files"] == {"calc.py": "a = 1\r\n"}
    cast = cast_of(Tape(header, ()), "a")
    assert cast == Cast((90, 20), ("calc.py",), {"calc.py": "a = 1\r\n"}, "spark-light")


def test_beyond_the_limit_a_file_is_only_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES_BYTES", 3)
    header = header_of(workspace, ["calc.py"], size=(90, 20), virtual=True)
    assert header.clock == "virtual"
    assert (header.extra["open"], header.extra["files"]) == (["calc.py"], {})


def test_a_file_that_cannot_be_opened_is_said_before(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="does not exist"):
        header_of(workspace, ["other.py"], size=(90, 20))


def test_files_are_restored_byte_for_byte(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    restore_files(Cast((80, 24), ("b/c.py",), {"b/c.py": "x\r\n"}, ""), workspace, "a")
    assert (tmp_path / "b" / "c.py").read_bytes() == b"x\r\n"


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil", ".git/hooks/pre-commit"])
def test_a_tape_writes_nothing_outside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(ScriptError, match=r"a\.sparklog"):
        restore_files(Cast((80, 24), (), {path: "x"}, ""), Workspace(root), "a.sparklog")
    assert list(tmp_path.rglob("*")) == [root]


def test_a_tape_without_the_text_asks_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--workspace"):
        restore_files(Cast((80, 24), ("calc.py",), {}, ""), Workspace(tmp_path), "a")


@pytest.mark.parametrize(
    ("size", "extra", "message"),
    [
        ((5, 24), {}, "5x24"),
        ((80, 10**6), {}, "80x1000000"),
        ((80, 24), {"open": "calc.py"}, "'open'"),
        ((80, 24), {"open": [1]}, "'open'"),
        ((80, 24), {"files": ["calc.py"]}, "'files'"),
        ((80, 24), {"files": {"calc.py": 1}}, "'files'"),
    ],
)
def test_a_header_that_cannot_be_used_is_named(
    size: tuple[int, int], extra: dict[str, object], message: str
) -> None:
    with pytest.raises(ScriptError, match=message):
        cast_of(Tape(TapeHeader(size=size, extra=extra), ()), "a")


def test_a_header_of_another_program_will_do() -> None:
    cast = cast_of(Tape(TapeHeader(extra={"theme": 7}), ()), "a")
    assert cast == Cast((80, 24), (), {}, "")


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ("100x30", (100, 30)),
        ("1000x500", (1000, 500)),
        ("9x30", None),
        ("1001x30", None),
        ("100", None),
        ("-1x30", None),
        ("9" * 5000 + "x30", None),
        (json.dumps([1]), None),
    ],
)
def test_sizes(data: str, size: tuple[int, int] | None) -> None:
    assert parse_size(data) == size
