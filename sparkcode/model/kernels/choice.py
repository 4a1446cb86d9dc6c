"""Which kernel runs: the fastest whose instructions this processor has, else ``numpy``.

``numpy`` is left where the processor is not x86-64 or lacks AVX2, and where llvmlite is missing. A
compiled kernel that fails its test gives way to the next, at last to ``numpy``, which expands the
weights to float32 and leaves the products to BLAS. ``SPARKCODE_KERNEL`` overrides the choice, not
the test. Head sizes that whole steps do not take get NumPy's attention between compiled products
(:meth:`sparkcode.model.kernels.product.Kernel.runner`).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np

from sparkcode.errors import ConfigError
from sparkcode.model.kernels.instructions import INSTRUCTION_SETS
from sparkcode.model.kernels.team import available_threads
from sparkcode.model.layers import LayerRunner
from sparkcode.model.ops import DenseMatrix, attention
from sparkcode.model.packed import PackedFile
from sparkcode.model.records import PackedMatrix
from sparkcode.model.transformer import Runner

KERNEL_VARIABLE: Final = "SPARKCODE_KERNEL"
KernelName = Literal["avx512", "avxvnni", "avx2", "numpy"]
KERNELS: Final[tuple[KernelName, ...]] = (*(isa.name for isa in INSTRUCTION_SETS), "numpy")
"""Fastest first."""
NEEDED: Final[dict[KernelName, frozenset[str]]] = {
    **{isa.name: isa.needs for isa in INSTRUCTION_SETS},
    "numpy": frozenset(),
}
"""Features, in LLVM's spelling, without which a kernel's code would stop the process."""


class Backend(Protocol):
    """A kernel that is ready to run a model."""

    def runner(self, packed: PackedFile) -> Runner:
        """A packed model's layers, ready to run."""
        ...


class DenseBackend:
    """The kernel ``numpy``: expands the weights to float32 for BLAS."""

    def runner(self, packed: PackedFile) -> LayerRunner:
        return LayerRunner(packed, expand, attention=attention, copies=True)


def expand(parts: Sequence[PackedMatrix]) -> DenseMatrix:
    """Matrices [n, K] below one another as one [N, K] of float32."""
    return DenseMatrix(np.concatenate([part.dense() for part in parts]))


@dataclass(frozen=True, slots=True)
class Choice:
    """A kernel, and why it was chosen."""

    name: KernelName
    reason: str


def processor_features() -> frozenset[str]:
    """Features of this processor that its operating system supports, in LLVM's spelling.

    Empty where LLVM's Python binding is not installed, or the processor is of another family.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or not find_spec("llvmlite"):
        return frozenset()
    from llvmlite.binding import get_host_cpu_features

    return frozenset(name for name, present in get_host_cpu_features().items() if present)


def choose_kernel(environ: Mapping[str, str], features: frozenset[str]) -> Choice:
    """The fastest kernel that runs with ``features``, or the one that ``environ`` names.

    Raises ConfigError for a name that does not exist or a kernel that cannot run here.
    """
    able = [name for name in KERNELS if NEEDED[name] <= features]
    wanted = environ.get(KERNEL_VARIABLE, "")
    if not wanted:
        return Choice(able[0], "the fastest here")
    if wanted not in KERNELS:
        known = ", ".join(KERNELS)
        raise ConfigError(f"{KERNEL_VARIABLE} names no kernel: {wanted!r}; there are {known}")
    for name in able:
        if name == wanted:
            return Choice(name, f"{KERNEL_VARIABLE} asks for it")
    raise ConfigError(
        f"{KERNEL_VARIABLE} asks for {wanted!r}, which this processor cannot run; "
        f"here there is {', '.join(able)}"
    )


def make_backend(
    choice: Choice, *, folder: Path, say: Callable[[str], None], threads: int | None = None
) -> Backend:
    """Make a kernel ready; machine code is kept in ``folder``. ``numpy`` has BLAS's own threads.

    One that proves wrong when it is compiled is not used, but the next that this processor can run.
    """
    features = processor_features()
    for isa in INSTRUCTION_SETS[KERNELS.index(choice.name) :]:
        if isa.name != choice.name and not isa.needs <= features:
            continue
        from sparkcode.model.kernels.compiled import KernelError
        from sparkcode.model.kernels.product import Kernel

        try:
            return Kernel(folder, isa=isa, threads=threads or available_threads(), say=say)
        except KernelError as error:
            say(f"{error}; it is not used")
    return DenseBackend()
