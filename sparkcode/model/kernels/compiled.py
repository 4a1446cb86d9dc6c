"""From LLVM text to callable functions, with the machine code kept in the cache folder.

The file ``<name>-<key>.o`` holds a SHA-256 of the object code and the object code. The key covers
the text, the target and LLVM's version, so a changed kernel never meets an old file; a damaged one
is compiled again. Compiling takes about a second, loading a few milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm

_DIGEST_BYTES = 32


class CompiledModule:
    """Functions of a module, by name; their machine code lives as long as this object."""

    def __init__(
        self, text: str, *, cpu: str, folder: Path, name: str, say: Callable[[str], None]
    ) -> None:
        """Take the machine code for ``cpu`` from ``folder``, or compile it and say so."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        llvm.initialize_native_asmparser()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu, opt=3, codemodel="jitdefault"
        )
        key = hashlib.sha256(f"{llvm.llvm_version_info} {cpu} {text}".encode()).hexdigest()[:16]
        path = folder / f"{name}-{key}.o"
        code = _read(path)
        if code is None:
            say(f"compiling the {name} kernels (once)")
            module = llvm.parse_assembly(text)
            module.verify()
            code = machine.emit_object(module)
            _write(path, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Address of a function, or 0 where there is none of that name."""
        address: int = self._engine.get_function_address(name)
        return address


def _read(path: Path) -> bytes | None:
    """The object code in ``path``; None where there is none or it is damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Keep ``code``; a folder that cannot be written costs a compilation at each start."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
