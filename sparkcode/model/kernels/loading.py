"""The compiled kernels of an instruction set; products are tested where they were compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparkcode.model.kernels.compiled import CompiledModule
from sparkcode.model.kernels.instructions import InstructionSet
from sparkcode.model.kernels.selftest import wrong_product
from sparkcode.model.kernels.step import emit_step
from sparkcode.model.kernels.tiles import emit_module


def load_kernels(
    isa: InstructionSet, *, folder: Path, say: Callable[[str], None]
) -> CompiledModule:
    """All functions; raises KernelError where a newly compiled product proves wrong."""
    return CompiledModule(
        lambda: str(emit_step(emit_module(isa), lanes=isa.lanes)),
        cpu=isa.cpu,
        folder=folder,
        name=isa.name,
        say=say,
        check=wrong_product,
    )
