"""The file system below one folder: contained paths, bounded reads, atomic writes.

Paths in a patch are model output. Each is resolved, symlinks included, before anything is touched,
and refused when it leaves the folder. The wording of failures is Codex's.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from sparkcode.errors import PatchApplyError

MAX_FILE: Final = 64 << 20
"""Largest file that is read, in bytes."""


def resolve_inside(root: Path, path: str) -> Path:
    """``path``, relative to ``root`` or absolute, with every symlink resolved.

    Raises :class:`PatchApplyError` when the file is not below ``root``.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise PatchApplyError(f"{path!r} is not a usable path: it holds control characters")
    try:
        base = root.resolve()
        target = (base / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise PatchApplyError(f"{path!r} is not a usable path: {error}") from error
    if base not in target.parents:
        raise PatchApplyError(f"{path!r} is outside {base}; name a file inside it")
    return target


def resolve_entry(root: Path, path: str) -> Path:
    """As :func:`resolve_inside`, but a link as the last part stays a link: the entry to delete."""
    resolve_inside(root, path)
    entry = root.resolve() / path
    resolve_inside(root, str(entry.parent / "entry"))
    return entry.parent.resolve() / entry.name


def read_file(path: Path, *, shown: Path) -> str:
    """The UTF-8 text of the file at ``path``; ``shown`` stands for it in messages."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PatchApplyError(
                f"Failed to read file to update {shown}: path `{shown}` is not a file"
            )
        if status.st_size > MAX_FILE:
            raise PatchApplyError(
                f"Failed to read file to update {shown}: it is larger than {MAX_FILE} bytes"
            )
        return path.read_bytes().decode()
    except OSError as error:
        reason = f"{error.strerror} (os error {error.errno})"
        raise PatchApplyError(f"Failed to read file to update {shown}: {reason}") from error
    except UnicodeDecodeError as error:
        size = error.end - error.start
        reason = f"invalid utf-8 sequence of {size} bytes from index {error.start}"
        raise PatchApplyError(f"Failed to read file to update {shown}: {reason}") from error


def write_file(path: Path, text: str, *, shown: Path, like: Path | None = None) -> None:
    """Replace the file at ``path`` in one step, creating its folders.

    The mode bits are those of the file it replaces, else of ``like``, else the usual ones.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        data = text.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode(path) or (like and _mode(like))
        _create(temporary, data)
        try:
            if mode:
                temporary.chmod(mode)
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
    except (OSError, UnicodeEncodeError) as error:
        raise PatchApplyError(f"Failed to write file {shown}") from error


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _create(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        path.unlink()
        raise


def delete_file(path: Path, *, shown: Path) -> None:
    """Delete the file at ``path``; a folder, and a link to one or to nothing, is refused."""
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(path)
        path.unlink()
    except OSError as error:
        raise PatchApplyError(f"Failed to delete file {shown}") from error
