"""What a replay needs around the screen: a copy of the files, and an engine or a tape."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sparkcode.assistant.workspace import Workspace
from sparkcode.clock import Clock
from sparkcode.engine.scripted import ScriptedEngine
from sparkcode.errors import ScriptError, UsageError, WorkspaceError
from sparkcode.link.replay import ReplayDialer
from sparkcode.link.tape import read_tape
from sparkcode.replay.script import ExpectFile, Script, Settings, parse
from sparkcode.replay.wire import MemoryWire

MAX_SCRIPT_BYTES: Final = 1 << 20
_NOT_COPIED: Final = (".git", ".venv", "node_modules", "__pycache__")

ClockName = Literal["virtual", "real"]
Wire = MemoryWire | ReplayDialer


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line chooses over the script."""

    clock: ClockName | None = None
    """None: as the script says, else virtual."""
    speed: float = 1.0
    """Seconds of the replay in one of the wall; for the real clock."""
    workspace: Path | None = None
    """A folder to copy instead of the one that the script names."""

    def clock_for(self, default: ClockName) -> ClockName:
        """The clock to use; UsageError for a speed that no clock has."""
        clock = self.clock or default
        if not 0.01 <= self.speed <= 1000:
            raise UsageError(f"--speed {self.speed:g} is none; it lies between 0.01 and 1000")
        if clock == "virtual" and self.speed != 1:
            raise UsageError(
                f"--speed {self.speed:g} needs --clock real; simulated time takes no time anyway"
            )
        return clock


def read_script(path: Path) -> Script:
    """The script in a file; ScriptError if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ScriptError(f"cannot read the script {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: no UTF-8 text (byte {error.start})") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"{path}: larger than {MAX_SCRIPT_BYTES} bytes")
    return parse(text, path.name)


@contextmanager
def copied(folder: Path | None) -> Iterator[Workspace]:
    """A workspace with a copy of ``folder`` that is gone afterwards; empty without a folder."""
    with tempfile.TemporaryDirectory(prefix="sparkcode-") as place:
        root = Path(place, "workspace")
        if folder is None:
            root.mkdir()
        else:
            _copy(folder, root)
        yield Workspace(root)


def _copy(folder: Path, root: Path) -> None:
    if not folder.is_dir():
        raise ScriptError(f"the workspace {str(folder)!r} is no folder")
    try:
        ignored = shutil.ignore_patterns(*_NOT_COPIED)
        shutil.copytree(folder, root, symlinks=True, ignore=ignored)
    except (OSError, shutil.Error) as error:
        raise ScriptError(f"the workspace {str(folder)!r} cannot be copied: {error}") from error


def folder_of(settings: Settings, base: Path, options: Options) -> Path | None:
    """The folder to copy: the command line's, else the script's."""
    if options.workspace is not None:
        return options.workspace
    return base / settings.workspace if settings.workspace else None


def wire_of(settings: Settings, base: Path, clock: Clock) -> Wire:
    """The other end of the session: a tape, or the scripted engine."""
    if settings.tape and settings.script:
        raise ScriptError("Set Tape and Set Script exclude each other: a tape is its own engine")
    if settings.tape:
        return ReplayDialer(read_tape(base / settings.tape), clock)
    engine = ScriptedEngine.from_file(base / settings.script if settings.script else None)
    return MemoryWire(engine, pace=settings.pace, clock=clock)


def files_for(expect: ExpectFile, workspace: Workspace, base: Path) -> Mapping[str, bytes]:
    """The bytes that an expectation names: of the workspace, and of the fixture it compares with.

    ScriptError if both go by the same name.
    """
    files: dict[str, bytes] = {}
    with suppress(WorkspaceError):
        data = workspace.read_bytes(expect.path)
        if data is not None:
            files[expect.path] = data
    if expect.equals:
        if expect.equals == expect.path:
            raise ScriptError(f"{expect.path!r} is compared with itself; name a file of the script")
        with suppress(OSError):
            files[expect.equals] = (base / expect.equals).read_bytes()
    return files
