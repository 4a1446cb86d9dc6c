"""The recording: its text form, its time, what must not be in it."""

from __future__ import annotations

import errno
import json
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkcode.errors import ScriptError, UsageError
from sparkcode.link import tape as tape_module
from sparkcode.link.tape import (
    Code,
    RecordingDialer,
    RecordingTransport,
    Tape,
    TapeHeader,
    TapeRecord,
    TapeWriter,
    cap_idle,
    parse_tape,
    read_tape,
    speed,
    timed,
)
from sparkcode.link.transport import MemoryTransport, Peer, memory_pair

HEADER = b'{"version": 1, "app": "0", "clock": "real", "size": [80, 24]}\n'

codes = st.sampled_from(["i", "q", "e", "r", "m", "x"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
intervals = st.integers(0, 10**9).map(lambda microseconds: microseconds / 1e6)
records = st.lists(st.builds(TapeRecord, intervals, codes, texts), max_size=8)
headers = st.builds(
    TapeHeader,
    app=texts,
    clock=st.sampled_from(["real", "virtual"]),
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    extra=st.dictionaries(texts.map("x-".__add__), st.integers(-9, 9), max_size=3),
)


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, when: float) -> None:
        self.time = max(self.time, when)


def written(path: Path, *lines: tuple[float, Code, str], secrets: tuple[str, ...] = ()) -> Tape:
    writer = TapeWriter(path, TapeHeader(app="0"), secrets=secrets)
    for now, code, data in lines:
        writer.write(now, code, data)
    writer.close()
    return read_tape(path)


@given(headers, records)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_is_written_is_read(
    tmp_path: Path, header: TapeHeader, expected: list[TapeRecord]
) -> None:
    path = tmp_path / "t.sparklog"
    path.unlink(missing_ok=True)
    writer = TapeWriter(path, header, start=0.0)
    now = 0.0
    for record in expected:
        now += record.interval
        writer.write(now, record.code, record.data)
    writer.close()
    tape = read_tape(path)
    assert tape.header == header
    assert [(r.code, r.data) for r in tape.records] == [(r.code, r.data) for r in expected]
    assert [r.interval for r in tape.records] == pytest.approx(
        [r.interval for r in expected], abs=2e-6
    )
    assert tape.duration == pytest.approx(now, abs=1e-5)


@given(headers, records)
def test_text_and_back_is_the_identity(header: TapeHeader, expected: list[TapeRecord]) -> None:
    head = {"version": 1, "app": header.app, "clock": header.clock, "size": header.size}
    rows: list[object] = [{**head, **header.extra}]
    rows += [[record.interval, record.code, record.data] for record in expected]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    assert parse_tape(lines) == Tape(header, tuple(expected))


@given(records, st.floats(0.01, 100))
def test_speed_scales_each_gap(tape: list[TapeRecord], factor: float) -> None:
    faster = list(speed(tape, factor))
    assert [r.interval * factor for r in faster] == pytest.approx([r.interval for r in tape])
    assert [(r.code, r.data) for r in faster] == [(r.code, r.data) for r in tape]


@given(records, st.floats(0, 10))
def test_capping_shortens_long_gaps_and_no_others(tape: list[TapeRecord], most: float) -> None:
    for before, after in zip(tape, cap_idle(tape, most), strict=True):
        assert after.interval == min(before.interval, most)


def test_times_are_sums_of_intervals() -> None:
    tape = [TapeRecord(1, "i", "a"), TapeRecord(0.5, "i", "b")]
    assert [when for when, _ in timed(tape)] == [1, 1.5]


@pytest.mark.parametrize("factor", [0, -1, float("inf"), float("nan")])
def test_a_speed_is_above_zero(factor: float) -> None:
    with pytest.raises(UsageError, match="speed"):
        list(speed([], factor))


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_longest_gap_is_not_negative(seconds: float) -> None:
    with pytest.raises(UsageError, match="gap"):
        list(cap_idle([], seconds))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"no json\n",
        b"\xff\n",
        b"[]\n",
        b'{"version": 1}\n',
        b'{"version": "1", "app": "0", "clock": "real", "size": [80, 24]}\n',
        b'{"version": 1, "app": "0", "clock": "sun", "size": [80, 24]}\n',
        b'{"version": 1, "app": "0", "clock": "real", "size": [80]}\n',
        b'{"version": 1, "a": ' + b"[" * 100_000 + b"\n",
    ],
)
def test_a_bad_header_is_named_with_its_line(header: bytes) -> None:
    with pytest.raises(ScriptError, match=r"x\.sparklog:1: no tape header"):
        parse_tape([header] if header else [], name="x.sparklog")


def test_a_header_after_comments_is_named_with_its_own_line() -> None:
    with pytest.raises(ScriptError, match=r"tape:3: no tape header"):
        parse_tape([b"# a comment\n", b"\n", b"{}\n"])


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(ScriptError, match=r"tape:1: a tape of version 2; this program reads up"):
        parse_tape([b'{"version": 2}\n'])


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff",
        b"[]",
        b'[-1, "i", "a"]',
        b'["0", "i", "a"]',
        b'[true, "i", "a"]',
        b'[0, "i"]',
        b"[" * 100_000,
        b'[0, "i", ' + b'{"a":' * 100_000,
    ],
)
def test_a_bad_line_is_named_unless_it_is_the_torn_last_one(line: bytes) -> None:
    good = b'[0, "i", "a"]\n'
    with pytest.raises(ScriptError, match=r"tape:3: "):
        parse_tape([HEADER, good, line + b"\n", good])
    assert parse_tape([HEADER, good, line]).records == (TapeRecord(0, "i", "a"),)


def test_a_whole_last_line_without_its_ending_counts() -> None:
    assert len(parse_tape([HEADER, b'[0, "i", "a"]']).records) == 1


def test_unknown_letters_are_skipped_and_their_time_is_kept() -> None:
    tape = parse_tape([HEADER, b'[1, "f", "frame"]\n', b'[2, "i", "a"]\n', b'[1, "i", "b"]\n'])
    assert tape.records == (TapeRecord(3, "i", "a"), TapeRecord(1, "i", "b"))


def test_a_missing_file_is_a_script_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="No such file"):
        read_tape(tmp_path / "none.sparklog")


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_module, "MAX_LINE_BYTES", 100)
    path = tmp_path / "t.sparklog"
    path.write_bytes(HEADER + b" " * 200)
    with pytest.raises(ScriptError, match=r":2: a line of more than 100 bytes"):
        read_tape(path)


def test_intervals_count_from_the_start_or_from_the_first_record(tmp_path: Path) -> None:
    tape = written(tmp_path / "a", (7.0, "i", "a"), (7.25, "i", "b"), (7.0, "i", "c"))
    assert [record.interval for record in tape.records] == [0, 0.25, 0]
    writer = TapeWriter(tmp_path / "b", TapeHeader(), start=6.0)
    writer.write(7.0, "i", "a")
    writer.close()
    assert read_tape(tmp_path / "b").records[0].interval == 1


def test_rounding_does_not_accumulate(tmp_path: Path) -> None:
    lines: list[tuple[float, Code, str]] = [(n / 3e6, "e", "") for n in range(3001)]
    assert written(tmp_path / "t", *lines).duration == pytest.approx(1e-3, abs=1e-6)


def test_keys_are_blotted_out(tmp_path: Path) -> None:
    token = "sk-proj-" + "a1" * 12
    tape = written(
        tmp_path / "t",
        (0, "q", f'{{"a": "{token}", "b": "Bearer {"x" * 20}", "c": "hunter2!"}}'),
        (0, "i", "task-list and disk-usage-of-everything"),
        secrets=("hunter2!", "hunter2!!", ""),
    )
    assert tape.records[0].data == '{"a": "sk-***", "b": "Bearer ***", "c": "***"}'
    assert tape.records[1].data == "task-list and disk-usage-of-everything"


@pytest.mark.parametrize("secret", ["any", "a", "x y", "\n", "code", "import ", "1234567"])
def test_a_secret_as_short_as_a_word_corrupts_no_tape(tmp_path: Path, secret: str) -> None:
    data = '{"type":"response.create","input":"import any company, code 1234567\\n"}'
    tape = written(tmp_path / "t", (0, "q", data), secrets=(secret,))
    assert tape.records[0].data == data
    assert tape.header == TapeHeader(app="0")


def test_each_record_is_on_disk_at_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    writer = TapeWriter(path, TapeHeader(app="0"))
    writer.write(0, "m", "\ud800 a lone surrogate")
    assert read_tape(path).records[0].data == "? a lone surrogate"
    assert path.stat().st_mode & 0o777 == 0o600
    writer.close()
    writer.write(1, "m", "late")
    assert len(read_tape(path).records) == 1


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        TapeWriter(path, TapeHeader())
    assert path.read_text() == "mine"
    with pytest.raises(ScriptError, match="cannot record"):
        TapeWriter(tmp_path / "no" / "t", TapeHeader())


def test_a_full_disk_stops_the_recording_and_nothing_else(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "t", TapeHeader(app="0"))
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(writer, "_file", wraps=writer._file) as file:
        file.closed = False
        file.write.side_effect = full
        writer.write(0, "i", "a")
    assert writer.error == "recording stopped: No space left on device"
    writer.write(0, "i", "b")
    assert read_tape(tmp_path / "t").records == ()


class PairDialer:
    """Dials the client end of a pair, whose server end a test holds."""

    def __init__(self) -> None:
        self.client, self.server = memory_pair()

    async def dial(self) -> tuple[MemoryTransport, Peer]:
        return self.client, Peer("memory", "memory", "scripted", "m", "wse3")


async def collect(frames: AsyncIterator[str]) -> list[str]:
    return [frame async for frame in frames]


async def test_a_recorded_link_is_the_same_link(tmp_path: Path) -> None:
    clock, pair = HandClock(), PairDialer()
    writer = TapeWriter(tmp_path / "t", TapeHeader(app="0"), start=clock.now())
    transport, peer = await RecordingDialer(pair, writer, clock).dial()
    assert peer.engine == "scripted"
    clock.time += 1
    await transport.send("q1")
    await pair.server.send("e1")
    await pair.server.send("e2")
    await pair.server.close()
    clock.time += 2
    assert await collect(transport.frames()) == ["e1", "e2"]
    assert await collect(pair.server.frames()) == ["q1"]
    writer.close()
    mark = 'link {"kind":"memory","engine":"scripted","model":"m","profile":"wse3"}'
    assert read_tape(tmp_path / "t").records == (
        TapeRecord(0, "m", mark),
        TapeRecord(1, "q", "q1"),
        TapeRecord(2, "e", "e1"),
        TapeRecord(0, "e", "e2"),
        TapeRecord(0, "m", "cut"),
    )


async def test_a_link_that_the_client_closes_was_not_cut(tmp_path: Path) -> None:
    client, server = memory_pair()
    writer = TapeWriter(tmp_path / "t", TapeHeader(app="0"))
    transport = RecordingTransport(client, writer, HandClock())
    await server.send("e1")
    await transport.close()
    assert await collect(transport.frames()) == ["e1"]
    writer.close()
    assert [record.code for record in read_tape(tmp_path / "t").records] == ["e"]
