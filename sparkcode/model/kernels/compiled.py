"""From LLVM text to callable functions, with the machine code kept in the cache folder.

The file ``<name>-<key>.o`` holds a SHA-256 of the object code and the object code. The key covers
this package's source, from which the text comes, the target and LLVM's version, so a changed kernel
never meets an old file; a damaged one is compiled again. Writing and compiling the text takes a few
seconds, loading a few milliseconds. What was just compiled is kept only once it has passed a test.
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


class KernelError(Exception):
    """Compiled code that gives wrong results."""


class CompiledModule:
    """Functions of a module, by name; their machine code lives as long as this object."""

    def __init__(
        self,
        text: str | Callable[[], str],
        *,
        cpu: str,
        folder: Path,
        name: str,
        say: Callable[[str], None],
        check: Callable[[Callable[[str], int]], str | None] = lambda _: None,
    ) -> None:
        """Take the machine code for ``cpu`` from ``folder``, or compile it and say so.

        A function that gives the text is called only to compile. ``check`` gets :meth:`address` of
        newly compiled code and names a function that is wrong: KernelError.
        """
        machine = target_machine(cpu)
        key = source_key() if callable(text) else text
        target = f"{llvm.llvm_version_info} {cpu}"
        digest = hashlib.sha256(f"{target} {key}".encode()).hexdigest()[:16]
        path = folder / f"{name}-{digest}.o"
        code = _read(path)
        fresh = code is None
        if code is None:
            say(f"compiling the {name} kernels (once)")
            module = llvm.parse_assembly(text() if callable(text) else text)
            module.verify()
            code = machine.emit_object(module)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        if fresh:
            wrong = check(self.address)
            if wrong is not None:
                raise KernelError(f"{wrong} of the {name} kernels gives wrong results here")
            _write(path, code)

    def address(self, name: str) -> int:
        """Address of a function, or 0 where there is none of that name."""
        address: int = self._engine.get_function_address(name)
        return address


def target_machine(cpu: str) -> llvm.TargetMachine:
    """LLVM's code generator for a processor: its name, then features (``+f``, ``-f``) by commas."""
    name, _, features = cpu.partition(",")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, codemodel="jitdefault")


def source_key() -> str:
    """A SHA-256 of the source that the text depends on: this package, and the size of a block."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in (*sorted(package.glob("*.py")), package.parent / "blocks.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
